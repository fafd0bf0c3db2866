"""`ticklake backfill`: history into the log, as feeds of its own, over and over the same."""

import json
import re
import signal
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from tests.live_rig import read_records
from tests.rest_rig import DAY, KEY, ask_backfill, make_premium, make_rest, plan_backfill, serve_exchange, serve_replies
from tests.rig import open_lake, start_ticklake, utc_ms
from tests.unit.fakes import FakeClock, FakeLog
from ticklake.cli.lake import Lake
from ticklake.errors import AnswerInvalid, PlanRefused, SettingsInvalid, StageLocked, TicklakeError
from ticklake.feed.finnhub import backfill
from ticklake.feed.finnhub.backfill import Backfill, SymbolDay, plan_candles, plan_splits, plan_ticks
from ticklake.locks import hold_stage

Record = dict[str, Any]
DAYS = [SymbolDay(symbol, date.fromisoformat(DAY), 1763442000, 1763528400, follows=False) for symbol in ("AAPL", "MSFT")]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key, where the command line looks for it."""
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    return KEY


def sessions_of(records: list[Record]) -> list[list[Record]]:
    """Give records three by three: a session each."""
    assert len(records) % 3 == 0
    return [records[place : place + 3] for place in range(0, len(records), 3)]


def test_an_answer_is_a_session_of_its_own_feed_and_the_pages_are_the_tape(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE_TICKS", 200)
    home, exchange = tmp_path / "home", make_premium()
    with serve_exchange(exchange, to_the_end=True) as url:
        done = ask_backfill(home, "AAPL", "MSFT", "--from", DAY, "--to", DAY, "--url", url, "--json")
        assert done.exit_code == 0, done.output
        for source in ("candles", "splits"):
            assert ask_backfill(home, "AAPL", "--from", DAY, "--to", DAY, "--source", source, "--url", url).exit_code == 0
    records = read_records(open_lake(home))
    tapes: dict[str, list[tuple[int, Decimal]]] = {"AAPL": [], "MSFT": []}
    skips = []
    for opened, frame, closed in sessions_of(records):
        assert [each["seq"] for each in (opened, frame, closed)] == [0, 1, 2]
        assert opened["session"] == frame["session"] == closed["session"]
        assert opened["feed"] == frame["feed"] == closed["feed"]
        assert opened["session"].startswith("a/")
        assert opened["control"].keys() == {"type", "path", "parameters"}
        assert (opened["control"]["type"], closed["control"]) == ("session_opened", {"type": "session_closed", "cause": "answered"})
        if opened["feed"] == "finnhub_tick":
            asked = opened["control"]["parameters"]
            assert asked == {"symbol": frame["frame"]["s"], "date": DAY, "skip": frame["frame"]["skip"], "limit": 200}
            skips.append(asked["skip"])
            del tapes[asked["symbol"]][asked["skip"] :]  # what lay in the last moment of the page before
            tapes[asked["symbol"]] += zip(frame["frame"]["t"], (Decimal(str(each)) for each in frame["frame"]["p"]), strict=True)
    for symbol, tape in tapes.items():
        told = [(each.traded_ms, each.price) for each in exchange.told.trades if each.symbol == symbol]
        assert sorted(tape) == sorted(told)
        assert len(tape) > 200
    assert skips == sorted(skips[:3]) + sorted(skips[3:])
    received = [each["received_ns"] for each in records]
    assert received == sorted(set(received))
    assert {each["feed"] for each in records} == {"finnhub_tick", "finnhub_candle", "finnhub_split"}
    assert [each["control"]["path"] for each in records if "path" in each.get("control", {})][-2:] == ["/stock/candle", "/stock/split"]
    assert json.loads(done.stdout)["ticks"] == sum(map(len, tapes.values()))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert key not in done.output + "".join(exchange.rest.asked)


def test_what_is_asked_twice_has_the_same_sessions_and_the_same_frames_to_the_byte() -> None:
    exchange, clock, log = make_premium(), FakeClock(), FakeLog()
    questions = plan_ticks(DAYS) + plan_candles(DAYS, "5") + plan_splits(["AAPL"], date(2000, 1, 1), date(2026, 1, 1))
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, clock=clock) as vendor:
        runs = [Backfill(vendor, log, collector="rig", clock=clock).run(questions) for _ in range(2)]
    assert runs[0] == runs[1]
    halves = list(log.records.values())[: runs[0].records], list(log.records.values())[runs[0].records :]
    first, second = ([cut_time(record) for record in half] for half in halves)
    assert first == second
    assert len(set(first)) == len(first) == 3 * len(questions)
    assert len({session for session, *_ in first}) == len(questions)


def cut_time(record: bytes) -> tuple[str, int, bytes]:
    """Give a record's session, seq, and its bytes without the time of receipt."""
    read = msgspec.json.decode(record)
    return read["session"], read["seq"], record.replace(b'"received_ns":%d' % read["received_ns"], b"")


def test_another_answer_is_another_session_and_so_is_another_question_and_another_collector() -> None:
    names = set()
    for reply in (b'{"count":0,"total":0,"s":"AAPL"}', b'{"count":0,"total":0}'):
        for collector, days in (("a", DAYS[:1]), ("b", DAYS[:1]), ("a", DAYS[1:])):
            log = FakeLog()
            Backfill(Script(reply), log, collector=collector, clock=FakeClock()).run(plan_ticks(days))
            names |= {msgspec.json.decode(record)["session"] for record in log.records.values()}
    assert len(names) == 6


def test_prints_that_equal_each_other_lie_together_in_one_page_wherever_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PAGE_TICKS", 9)
    clock, log = FakeClock(), FakeLog()
    exchange = make_premium(clock, prints=3_000)
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, clock=clock) as vendor:
        done = Backfill(vendor, log, collector="a", clock=clock).run(plan_ticks(DAYS[:1]))
    tape = Counter((each.traded_ms, each.price, each.size) for each in exchange.told.trades if each.symbol == "AAPL")
    most: Counter[tuple[int, Decimal, Decimal]] = Counter()
    for record in log.records.values():
        frame = msgspec.json.Decoder(float_hook=Decimal).decode(record).get("frame")
        if frame:
            columns = frame["t"], map(Decimal, frame["p"]), map(Decimal, frame["v"])
            most |= Counter(zip(*columns, strict=True))
    assert most == tape
    assert done.ticks == tape.total()
    assert max(tape.values()) > 2


def test_ctrl_c_between_two_answers_leaves_whole_sessions_and_the_next_run_goes_on(tmp_path: Path) -> None:
    exchange, home = make_premium(), tmp_path / "home"
    with serve_exchange(exchange, to_the_end=True) as url:
        words = ("backfill", "AAPL", "MSFT", "NVDA", "--from", DAY, "--to", DAY, "--url", url)
        settings = {"TICKLAKE_FEED__KEY": KEY, "TICKLAKE_FEED__REQUESTS_PER_MINUTE": "2"}
        with start_ticklake(home, *words, environment=settings) as running:
            assert "answer_logged" in running.wait_for('"asked_symbol": "MSFT"')
            running.process.send_signal(signal.SIGINT)  # it waits for the minute's turn
            code, _ = running.end()
        assert code == 130
        assert "Traceback" not in "".join(running.seen)
        assert KEY not in "".join(running.seen)
        lake = open_lake(home)
        before = sessions_of(read_records(lake))
        assert [opened["control"]["parameters"]["symbol"] for opened, _, _ in before] == ["AAPL", "MSFT"]
        with make_rest(url) as vendor:
            asked = plan_ticks([day._replace(symbol=symbol) for day in DAYS[:1] for symbol in ("AAPL", "MSFT", "NVDA")])
            Backfill(vendor, lake.open_log_writer(), collector="a", clock=lake.clock).run(asked)
    after = sessions_of(read_records(lake))[len(before) :]
    assert [opened["session"] for opened, _, _ in after[:2]] == [opened["session"] for opened, _, _ in before]
    assert len(after) == 3


def test_simulate_plays_both_plans_and_knows_the_calendars_holidays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    words = ("AAPL", "--from", "2000-01-03", "--to", "2026-01-02", "--source", "splits", "--url")
    found = []
    for plan in ("premium", "free"):
        simulate = ("simulate", "--port", "0", "--prints", "100", "--plan", plan)
        with start_ticklake(tmp_path / "exchange", *simulate, environment={"TICKLAKE_FEED__KEY": KEY}) as exchange:
            assert exchange.process.stdout is not None
            url = next(re.findall(rb"http://127.0.0.1:\d+/api/v1", line) for line in exchange.process.stdout if b"REST" in line)[0].decode()
            found.append(ask_backfill(tmp_path / plan, *words, url))
            with make_rest(url) as vendor:
                hours = {each.at_date: each.trading_hour for each in vendor.market_holidays().data}
            assert (hours["2025-07-03"], hours["2025-07-04"]) == ("09:30-13:00", "")
    assert (found[0].exit_code, "asked 1 requests" in found[0].output) == (0, True)
    assert isinstance(failure(found[1]), PlanRefused)
    assert "simulate --plan premium" in failure(found[1]).hint


def test_a_dry_run_writes_nothing_and_connects_nowhere(tmp_path: Path) -> None:
    with serve_replies((200, b"{}")) as (url, vendor):
        done = ask_backfill(tmp_path / "home", "AAPL", "MSFT", "--from", "2025-11-17", "--to", "2025-12-01", "--dry-run", "--url", url)
    assert done.exit_code == 0
    assert "at least 20 requests: AAPL 10, MSFT 10" in done.stdout
    assert vendor.requests == []
    assert list(tmp_path.iterdir()) == []


def test_weekends_and_holidays_are_not_asked_for_and_each_exchange_has_its_own(tmp_path: Path) -> None:
    asked = plan_backfill(tmp_path, "AAPL", "VOD.L", "--from", "2025-11-26", "--to", "2025-12-01")
    dates = {
        symbol: [each["parameters"]["date"][8:] for each in asked if each["parameters"]["symbol"] == symbol] for symbol in ("AAPL", "VOD.L")
    }
    assert dates == {"AAPL": ["26", "28", "01"], "VOD.L": ["26", "27", "28", "01"]}
    holiday = ("AAPL", "--from", "2025-11-27", "--to", "2025-11-27")
    assert plan_backfill(tmp_path, *holiday) == []
    done = ask_backfill(tmp_path, *holiday)  # no key, and no matter
    assert (done.exit_code, "there is nothing to ask for" in done.stdout) == (0, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("resolution", "windows"), [("1", 14), ("5", 3), ("60", 1), ("D", 1)])
def test_candles_are_asked_in_windows_that_hold_every_day_and_fit_a_frame(tmp_path: Path, resolution: str, windows: int) -> None:
    words = ("AAPL", "--source", "candles", "--resolution", resolution, "--from", "2025-08-20", "--to", "2025-11-18")
    asked = [each["parameters"] for each in plan_backfill(tmp_path, *words)]
    assert len(asked) == windows
    seconds = {"D": 86_400}.get(resolution) or int(resolution) * 60
    assert all(0 < each["to"] - each["from"] < 10_080 * seconds for each in asked)
    for moment in ("2025-08-20 08:00", "2025-09-30 15:00", "2025-11-18 00:00" if resolution == "D" else "2025-11-19 00:59"):
        assert sum(each["from"] <= utc_ms(moment) // 1000 <= each["to"] for each in asked) == 1


def test_a_window_spans_no_day_that_is_not_wanted() -> None:
    day = DAYS[0]
    later = day._replace(start_s=day.start_s + 2 * 86_400, end_s=day.end_s + 2 * 86_400)
    assert len(plan_candles([day, later._replace(follows=True)], "5")) == 1
    assert len(plan_candles([day, later], "5")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name symbols"),
        (["AAPL"], "--from"),
        (["AAPL", "--from", "2025-11-18", "--to", "2025-11-17"], "before"),
        (["AAPL", "--from", "yesterday"], "yesterday"),
        (["AAPL", "--from", "2100-01-04"], "is not over"),
        (["AAPL", "--from", "2025-11-18", "--to", "2100-01-04", "--source", "candles"], "is not over"),
        (["BINANCE:BTCUSDT", "--from", DAY], "stocks alone"),
        (["--gaps", "--source", "splits"], "of no gap"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_asked(tmp_path: Path, words: list[str], said: str) -> None:
    done = ask_backfill(tmp_path / "home", *words)
    assert done.exit_code == 2
    assert said in done.output
    assert list(tmp_path.iterdir()) == []


def test_today_is_not_over(tmp_path: Path) -> None:
    done = ask_backfill(tmp_path, "AAPL", "--from", datetime.now(UTC).date().isoformat())
    assert (done.exit_code, "is not over where AAPL trades" in done.output) == (2, True)


def failure(result: Result) -> TicklakeError:
    assert isinstance(result.exception, TicklakeError), result.output
    return result.exception


def test_what_is_missing_or_refused_is_said_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("AAPL", "--from", DAY, "--to", DAY)
    assert "TICKLAKE_FEED__KEY" in failure(ask_backfill(tmp_path, *words)).hint
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    for url in (f"https://finnhub.io/api/v1?token={KEY}", f"https://{KEY}@finnhub.io", "http:///api/v1", "http://127.0.0.1:x/api/v1"):
        wrong = failure(ask_backfill(tmp_path, *words, "--url", url))
        assert isinstance(wrong, SettingsInvalid)
        assert "such as https" in wrong.hint
        assert KEY not in wrong.what + wrong.hint
    with serve_exchange(make_premium(is_premium=False)) as url:
        refused = failure(ask_backfill(tmp_path, *words, "--url", url))
    assert isinstance(refused, PlanRefused)
    assert read_records(open_lake(tmp_path)) == []
    monkeypatch.setenv("TICKLAKE_FEED__REST_URL", f"https://finnhub.io/api/v1?token={KEY}")
    wrong = failure(ask_backfill(tmp_path, *words))
    assert "feed.rest_url" in wrong.what
    assert KEY not in wrong.what + wrong.hint


@pytest.mark.usefixtures("key")
def test_beside_a_collector_it_says_whose_turn_it_is_and_asks_nothing(lake: Lake) -> None:
    with serve_replies((200, b"{}")) as (url, vendor), hold_stage(lake.home.locks, "log"):
        refused = failure(ask_backfill(lake.home.root, "AAPL", "--from", DAY, "--to", DAY, "--url", url))
    assert isinstance(refused, StageLocked)
    assert vendor.requests == []


class Script:
    """A vendor in memory that gives its answers in turn."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.diary: list[Mapping[str, str | int]] = []

    def ask(self, path: str, parameters: Mapping[str, str | int]) -> bytes:  # noqa: ARG002 — the signature is the port's
        self.diary.append(parameters)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    "answer", [b'{"s":"AAPL"}', b'{"count":0,"total":9}', b'{"count":-1,"total":9}', b"[]", b'{"count":"many","total":9}']
)
def test_a_page_that_would_be_asked_for_ever_is_said_and_not_logged(answer: bytes) -> None:
    log = FakeLog()
    with pytest.raises(AnswerInvalid, match="/stock/tick"):
        Backfill(Script(answer), log, collector="a", clock=FakeClock()).run(plan_ticks(DAYS))
    assert log.records == {}


def test_pages_follow_what_came_not_what_was_asked_and_each_is_told_of() -> None:
    pages = b'{"count":7,"total":9}', b'{"count":2,"total":9,"t":[5,5]}', b'{"count":0,"total":0,"t":null}'
    vendor, told = Script(*pages), list[tuple[int, int]]()
    done = Backfill(vendor, FakeLog(), collector="a", clock=FakeClock()).run(plan_ticks(DAYS), on_answer=lambda *pair: told.append(pair))
    assert [each["skip"] for each in vendor.diary] == [0, 7, 0]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (done.requests, done.records, done.ticks) == (3, 9, 9)


def test_a_page_of_one_moment_is_followed_by_the_next_one_not_by_itself() -> None:
    vendor = Script(b'{"count":3,"total":6,"t":[5,5,5]}', b'{"count":3,"total":6,"t":[5,6,6]}')
    Backfill(vendor, FakeLog(), collector="a", clock=FakeClock()).run(plan_ticks(DAYS[:1]))
    assert [each["skip"] for each in vendor.diary] == [0, 3]
