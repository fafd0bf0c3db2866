"""`ticklake demo --chaos`, and what is left of it when it is killed itself."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig import start_ticklake
from ticklake.cli.demo import MARKER


def test_every_promise_holds_though_everything_is_killed_and_stalled(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    (home / "landing").mkdir(parents=True)
    (home / "landing" / "old").write_text("of the demo before")
    (home / MARKER).write_text("{}")
    command = [sys.executable, "-m", "ticklake.cli", "--home", str(home), "demo", "--chaos", "--prints", "20000", "--json"]
    chaos = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert chaos.returncode == 0, chaos.stderr
    document = json.loads(chaos.stdout)
    assert document["holds"] is True
    assert all(each["has_held"] for each in document["promises"])
    assert len(document["promises"]) == 12
    assert (home / "truth.ndjson").exists()
    assert not (home / "landing" / "old").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel ends a process with its parent")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_that_is_killed_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    with start_ticklake(tmp_path / "home", "demo", "--chaos", "--prints", "2000") as running:
        running.wait_for("exchange a morning")
        pid = running.process.pid
        children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        assert len(children) >= 2  # the exchange and the collector
        watched = [os.pidfd_open(child) for child in children]
        running.process.send_signal(number)
        assert running.process.wait(timeout=30) == -number
    assert [bool(select.select([each], [], [], 30)[0]) for each in watched] == [True] * len(watched)
    for each in watched:
        os.close(each)
