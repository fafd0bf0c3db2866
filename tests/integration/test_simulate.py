"""`ticklake simulate`, and `ticklake collect` beside it, as their users start them."""

import json
import re
import signal
import socket
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.conftest import run_cli
from tests.live_rig import KEY
from tests.rig import build, land, open_lake, start_ticklake

SIMULATE = ("simulate", "--port", "0", "--prints", "2000", "--until-told")


def test_collect_records_from_simulate_until_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, home = tmp_path / "truth.ndjson", tmp_path / "home"
    key = {"TICKLAKE_FEED__KEY": KEY}
    with start_ticklake(tmp_path / "exchange", *SIMULATE, "--truth", str(truth), environment=key) as exchange:
        assert exchange.process.stdout is not None
        url = re.search(rb"ws://127.0.0.1:\d+", exchange.process.stdout.readline())
        assert url is not None
        with start_ticklake(home, "collect", "AAPL", "MSFT", "--json", "--url", url[0].decode(), environment=key) as collector:
            collector.wait_for("feed_opened")
            assert exchange.end()[0] == 0
            collector.process.send_signal(signal.SIGINT)
            code, stdout = collector.end()
    assert code == 0, collector.seen
    assert KEY not in stdout + "".join(collector.seen)
    lake = open_lake(home)
    land(lake)
    build(lake)
    told = [json.loads(line) for line in truth.read_text().splitlines() if json.loads(line)["kind"] == "trade"]
    reached = Counter((each["symbol"], each["traded_ms"], Decimal(each["price"])) for each in told if each["delivered"])
    assert Counter(lake.query("select symbol, traded_ms, price from silver.trades").rows) == reached
    assert reached.total() > 100
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    assert KEY not in run_cli(home, "config", "show").stdout


def test_a_quirk_that_nobody_knows_is_named(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "simulate", "--quirk", "sulk=0.1")
    assert done.returncode == 2
    assert "sulk=0.1" in done.stderr
    assert "hang" in done.stderr


def test_a_port_that_is_taken_and_a_truth_that_cannot_be_written_are_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_cli(tmp_path, "simulate", "--port", port)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"{port} is taken" in done.stderr
    done = run_cli(tmp_path, *SIMULATE, "--truth", str(tmp_path / "nowhere" / "truth.ndjson"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "truth.ndjson" in done.stderr
