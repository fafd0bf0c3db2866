"""No other stage of `run` stops the live feed: one that is held up waits, one that fails ends alone."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.test_beside import SMALL_BATCHES, Serving
from tests.live_rig import controls, make_exchange
from tests.rig import Running, find_unbalanced, open_lake, start_ticklake, wait_until
from tests.unit.test_settings import HOLD
from ticklake.audit.ledger import balance
from ticklake.cli.lake import Lake
from ticklake.warehouse.transform import find_project

ENOUGH: Final = 20
"""Records that show that the feed is collected on."""


@contextmanager
def held(lake: Lake, stage: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a stage's lock until it is killed."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lake.home.locks), stage], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield other
        finally:
            other.kill()


def serve_a_day(lake: Lake) -> Serving:
    """Give an exchange whose day lasts longer than the test."""
    return Serving(make_exchange(lake, prints=3_000, speed=57_600 / 200))


def wait_for_more(lake: Lake, running: Running) -> None:
    """Wait until the feed has brought more than there is now."""
    before = lake.log.end_offset(0)
    wait_until(lambda: lake.log.end_offset(0) > before + ENOUGH, process=running.process)


def test_stages_that_other_processes_hold_wait_while_the_feed_goes_on_and_gold_catches_up(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home")
    serving = serve_a_day(lake)
    with serving.open(), held(lake, "land") as lander, held(lake, "build") as builder:
        environment = {**SMALL_BATCHES, **serving.settings, "TICKLAKE_LOG__LEVEL": "error"}
        with start_ticklake(lake.home.root, "run", environment=environment) as running:
            running.wait_for("warning: build waits and tries again, the feed goes on: build is already at work")
            wait_for_more(lake, running)
            assert next(lake.store.list("landing/"), "") == ""
            lander.kill()
            running.wait_for("land goes on")
            wait_until(lambda: bool(next(lake.store.list("landing/"), "")), process=running.process)
            builder.kill()
            running.wait_for("build goes on")
            running.process.send_signal(signal.SIGINT)
            code, said = running.end()
    assert (code, said.startswith("collected ")) == (0, True), running.seen
    for stage in ("land", "build"):
        assert sum(line.startswith(f"warning: {stage} waits") for line in running.seen) == 1
        assert running.seen.count(f"{stage} goes on") == 1
    (closed,) = controls(lake, "session_closed")
    assert closed["cause"] == "stopped"
    assert lake.query("select count(*) > 0 from gold.bars_1m where feed = 'finnhub'").rows == [(True,)]
    assert find_unbalanced(lake) == []
    assert balance(lake.log, lake.store, lake.query)[0].parts["pending"] == 0


def test_a_model_that_fails_ends_the_build_alone_and_the_feed_is_collected_until_ctrl_c(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home")
    leave_out = shutil.ignore_patterns("target", "logs", "silver", "gold")  # what stands behind the model would not be built anyway
    broken = shutil.copytree(find_project(), tmp_path / "broken", ignore=leave_out)
    model = broken / "models" / "bronze" / "recorded_frames.sql"
    model.write_text(model.read_text() + "\nwhere no_such_column\n")
    serving = serve_a_day(lake)
    with serving.open():
        environment = {**SMALL_BATCHES, **serving.settings, "TICKLAKE_WAREHOUSE__PROJECT": str(broken), "TICKLAKE_LOG__LEVEL": "error"}
        with start_ticklake(lake.home.root, "run", environment=environment) as running:
            running.wait_for("error: build has failed and is over, the feed is collected on until Ctrl-C: recorded_frames failed")
            wait_for_more(lake, running)
            assert running.is_alive
            running.process.send_signal(signal.SIGINT)
            code, said = running.end()
    assert (code, said) == (1, ""), running.seen
    assert sum(line.startswith("error: recorded_frames failed") for line in running.seen) == 1
    assert not [line for line in running.seen if "Traceback" in line]
    (closed,) = controls(lake, "session_closed")
    assert closed["cause"] == "stopped"
    assert list(lake.store.list("landing/"))  # what came was landed all the same
