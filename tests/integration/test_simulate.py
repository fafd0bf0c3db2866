"""`ticklake simulate`, and `ticklake collect` beside it, as their users start them."""

import asyncio
import itertools
import json
import re
import signal
import socket
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from tests.exchange_rig import Heard, dial, hear, wish
from tests.integration.conftest import assert_said, run_cli
from tests.live_rig import KEY
from tests.rig import build, land, open_lake, start_ticklake
from ticklake.cli.main import cli
from ticklake.cli.simulate import _read_hours
from ticklake.errors import RecordingInvalid
from ticklake.feed.exchange.hours import A_TUESDAY
from ticklake.feed.exchange.quirks import describe_quirks

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quirk", "sulk=0.1"], ["'sulk=0.1'", "no such quirk", "hang"]),
        (["--quirk", "drop=2"], ["'drop=2'", "from 0 to 1"]),
        (["--quirk", "close_minutes=soon"], ["'close_minutes=soon'", "100,000"]),
        (["--date", "2025-13-01"], ["'2025-13-01'", "2025-11-28"]),
        (["--date", "2045-01-03"], ["1990", "2030", "2045"]),
        (["--date", "2025-12-25", "--symbols", "3"], ["closed on 2025-12-25", "round the clock"]),
        (["--symbols", "0"], ["--symbols"]),
        (["trades.csv", "--date", "2025-11-28"], ["a date of its own", "--date"]),
    ],
)
def test_what_cannot_be_played_is_said(tmp_path: Path, words: list[str], said: list[str]) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "simulate", *words])
    assert done.exit_code == 2
    assert all(word in done.stderr.replace("\n", " ") for word in said), done.stderr


def test_a_recording_that_cannot_be_told_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_text("s,t,p\nAAPL,1,2\n")
    assert_said(run_cli(tmp_path / "home", "simulate", str(tmp_path / "broken.csv")), "no column v, c", "s,t,p,v,c")
    assert isinstance(CliRunner().invoke(cli, ["simulate", str(tmp_path / "nowhere.csv")]).exception, RecordingInvalid)


def test_the_help_names_every_quirk_and_what_it_is() -> None:
    told = " ".join(CliRunner().invoke(cli, ["simulate", "--help"]).stdout.split())
    assert all(f"{name} {what}" in told for name, what in describe_quirks())


@pytest.mark.parametrize(
    ("day", "minutes"),
    [
        ("2025-11-18", (330, 390, 240)),
        ("2025-11-28", (330, 210, 240)),  # the day after Thanksgiving
        ("2025-07-03", (330, 210, 240)),
        ("2025-12-25", None),
        ("2025-11-22", None),  # a Saturday
    ],
)
def test_a_day_has_the_hours_of_the_exchange(tmp_path: Path, day: str, minutes: tuple[int, ...] | None) -> None:
    hours = _read_hours(open_lake(tmp_path), day)
    opens = datetime.fromtimestamp(hours.first_ms / 1000, ZoneInfo("America/New_York"))
    assert opens.isoformat()[:16] == f"{day}T04:00"
    assert hours.is_holiday == (minutes is None)
    if minutes:
        edges = (hours.first_ms, hours.open_ms, hours.close_ms, hours.end_ms)
        assert tuple((to_ms - from_ms) // 60_000 for from_ms, to_ms in itertools.pairwise(edges)) == minutes
    if day == "2025-11-18":
        assert hours == A_TUESDAY


def test_a_recording_is_told_to_whoever_listens_and_the_truth_beside(tmp_path: Path, recording: Path) -> None:
    truth = tmp_path / "truth.ndjson"
    words = (
        "--port",
        "0",
        "--until-told",
        "--quirk",
        "truncate=0.1",
        "--quirk",
        "garbage=0.1",
        "--keys",
        "2",
        "--truth",
        str(truth),
        "--json",
    )
    with start_ticklake(tmp_path / "exchange", "simulate", str(recording), *words) as exchange:
        exchange.wait_for("TICKLAKE_FEED__KEY=simulated-2")
        port = re.search(r"ws://127.0.0.1:(\d+)", "".join(exchange.seen))
        assert port is not None
        heard = asyncio.run(_hear_all(int(port[1]), "simulated-2"))
        code, stdout = exchange.end()
    assert code == 0, exchange.seen
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    trades = [line for line in lines if line["kind"] == "trade"]
    rows = [row.split(",") for row in recording.read_text().splitlines()[1:]]
    assert [(each["symbol"], str(each["traded_ms"]), each["price"]) for each in trades] == [tuple(row[:3]) for row in rows]
    delivered = Counter((each["symbol"], each["traded_ms"], Decimal(each["price"])) for each in trades if each["delivered"] == [1])
    assert Counter((each.symbol, each.traded_ms, each.price) for each in heard.trades().elements()) == delivered
    assert {reason for each in trades for reason in each.get("spoilt", {}).values()} == {"malformed"}
    assert {line["quirk"] for line in lines if line["kind"] == "quirk"} == {"truncate", "garbage"}
    done = json.loads(stdout)
    assert (done["told"], done["reached"]) == (len(trades), delivered.total())
    assert done["connections"] == [{key: value for key, value in line.items() if key != "kind"} for line in lines[-1:]]
    ((key, ended),) = [(line["key"], line["ended"]) for line in lines if line["kind"] == "connection"]
    assert (key, ended) == (2, "open")  # when the exchange ended
    assert "simulated" not in truth.read_text()


async def _hear_all(port: int, key: str) -> Heard:
    heard = Heard()
    async with dial(port, key) as socket:
        await wish(socket, "subscribe", "AAPL", "MSFT")
        await hear(socket, heard, silence_seconds=20)
    return heard


def test_a_port_that_is_taken_and_a_truth_that_cannot_be_written_are_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_cli(tmp_path, "simulate", "--port", port)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"{port} is taken" in done.stderr
    done = run_cli(tmp_path, *SIMULATE, "--truth", str(tmp_path / "nowhere" / "truth.ndjson"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "truth.ndjson" in done.stderr
