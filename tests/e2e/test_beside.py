"""While `run` works, readers are answered; interrupted, it loses nothing and the next start goes on."""

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from tests.live_rig import KEY, controls, make_exchange
from tests.rig import (
    Rows,
    build,
    find_unbalanced,
    land,
    open_lake,
    read_gold,
    read_trades,
    replay_files,
    start_ticklake,
    tell_difference,
    untraced_environment,
    wait_until,
)
from ticklake.audit.ledger import balance
from ticklake.cli.lake import Lake
from ticklake.cli.live import LiveFeed, SharedWriter
from ticklake.cli.main import cli
from ticklake.cli.run import _find_live
from ticklake.errors import KeyRefused, LogCorrupt, QueryInvalid, SettingsInvalid
from ticklake.feed.exchange.serve import Exchange
from ticklake.locks import hold_stage

ROWS: Final = 24_000
ANSWER_SECONDS: Final = 10.0
COMMANDS: Final = (
    ("query", "select count(*) from silver.trades"),
    ("bars", "--interval", "1m", "--last", "1"),
    ("status", "--json"),
)
LIVE: Final = "select symbol, traded_ms, price, size, conditions from silver.trades where feed = 'finnhub'"
COMMANDS_TYPED: Final = 8
SMALL_BATCHES: Final = {
    "TICKLAKE_LANDING__OBJECT_RECORDS": "1000",
    "TICKLAKE_WAREHOUSE__RUN_BATCH_RECORDS": "2000",
    "TICKLAKE_LANDING__OBJECT_SECONDS": "2",
}


class Reader:
    """Someone in another terminal who asks again and again; notes how long each answer took."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.waits: list[float] = []
        self.counts = [0]

    def ask(self) -> int:
        """Ask for the number of recorded trades; that there is no warehouse yet is an answer too."""
        started = time.monotonic()
        try:
            self.counts.append(self._lake.query("select count(*) from silver.trades where feed = 'recording'").rows[0][0])
        except QueryInvalid:
            assert self.counts[-1] == 0
        self.waits.append(time.monotonic() - started)
        return self.counts[-1]


def write_recording(path: Path) -> Path:
    """Write a tape of four prints a frame, of some symbols, over some minutes."""

    def rows() -> Iterator[str]:
        choose = random.Random(5)
        for row in range(ROWS):
            time_ms = 1_704_900_000_000 + row // 4 * 22
            symbol, price = choose.choice(("AAPL", "IBM", "SPY")), choose.randrange(9000, 9100) / 100
            yield f"{symbol},{time_ms},{price:.2f},{choose.randrange(1, 500)},\n"

    path.write_text("s,t,p,v,c\n" + "".join(rows()))
    return path


class Terminal:
    """Another terminal, in which one command after the other is typed; notes how long each took."""

    def __init__(self, home: Path) -> None:
        self._ticklake: Final[list[str | Path]] = [Path(sys.executable).with_name("ticklake"), "--home", str(home)]
        self._next = itertools.cycle(COMMANDS)
        self.waits: list[tuple[float, str]] = []

    def type_next(self, *, is_built: bool) -> None:
        """Run the next of COMMANDS; it answers, or says in a sentence that nothing is built yet."""
        command = next(self._next)
        started = time.monotonic()
        done = subprocess.run(
            [*self._ticklake, *command], check=False, capture_output=True, text=True, timeout=60, env=untraced_environment()
        )
        self.waits.append((time.monotonic() - started, command[0]))
        if done.returncode == 0:
            assert done.stdout
            return
        assert (done.returncode, is_built) == (1, False), f"{command[0]} ended with {done.returncode}:\n{done.stderr}"
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert command[0] != "status"


def read_recorded(lake: Lake) -> dict[str, Rows]:
    """Give gold and the trades, as far as they come from recordings."""
    tables = {**read_gold(lake), "trades": read_trades(lake)}
    return {name: [row for row in rows if row[0] == "recording"] for name, rows in tables.items()}


class Serving:
    """An exchange at work in a thread of its own."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.url = ""

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve while the block runs."""
        ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

        async def serve() -> None:
            async with self._exchange.open("127.0.0.1", 0) as port:
                self.url = f"ws://127.0.0.1:{port}"
                ready.set()
                await over.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(30)
            yield
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()

    @property
    def settings(self) -> dict[str, str]:
        """What has to be set to collect all of it."""
        return {"TICKLAKE_FEED__KEY": KEY, "TICKLAKE_FEED__URL": self.url, "TICKLAKE_FEED__SYMBOLS": json.dumps(self._exchange.symbols)}

    @property
    def told(self) -> Counter[tuple[object, ...]]:
        """The trades that there were by now, whoever heard of them."""
        return Counter(tuple(trade) for trade in self._exchange.told.trades)

    @property
    def reached(self) -> Counter[tuple[object, ...]]:
        """The trades that somebody received, as far as the exchange knows by now."""
        told = self._exchange.told
        return Counter(tuple(trade) for trade, connections in zip(list(told.trades), list(told.delivered), strict=False) if connections)


def test_run_answers_readers_while_it_collects_and_replays_and_the_next_run_goes_on(tmp_path: Path) -> None:
    recording, home = write_recording(tmp_path / "tape.csv"), tmp_path / "home"
    lake = open_lake(home, read_wait_seconds=ANSWER_SECONDS)
    reader, terminal = Reader(lake), Terminal(home)
    serving = Serving(make_exchange(lake, prints=20_000, speed=57_600 / 200))

    def anyone_sees_trades() -> bool:
        if reader.ask() == 0:
            terminal.type_next(is_built=False)
        return reader.counts[-1] > 0

    with serving.open():
        settings = {**SMALL_BATCHES, **serving.settings}
        with start_ticklake(home, "run", str(recording), environment=settings) as running:
            wait_until(anyone_sees_trades, process=running.process)
            running.process.send_signal(signal.SIGINT)
            code, said = running.end()
        assert code == 0, running.seen
        assert said.startswith("collected ")
        assert not [line for line in running.seen if "Traceback" in line], "\n".join(running.seen)
        assert 0 < reader.ask() < ROWS
        assert find_unbalanced(lake) == []
        assert balance(lake.log, lake.store, lake.query)[0].parts["pending"] == 0
        first = Counter(lake.query(LIVE).rows)

        settings["TICKLAKE_WAREHOUSE__RUN_BATCH_RECORDS"] = "3000"
        with start_ticklake(home, "run", str(recording), "--json", environment=settings) as running:
            for _ in running.moments():
                if len(terminal.waits) < COMMANDS_TYPED:
                    terminal.type_next(is_built=True)
                if reader.ask() == ROWS and len(lake.query(LIVE).rows) > first.total():
                    running.process.send_signal(signal.SIGTERM)
                    break
            code, said = running.end()
        assert code == 0, running.seen
    counted = json.loads(said)
    assert (counted["collected"]["connections"], counted["replayed"]) == (1, ROWS)

    assert max(reader.waits) < ANSWER_SECONDS
    assert max(terminal.waits)[0] < ANSWER_SECONDS, max(terminal.waits)
    assert {command for _, command in terminal.waits} == {name for name, *_ in COMMANDS}
    assert reader.counts == sorted(reader.counts)
    assert len(set(reader.counts)) >= 3  # it was asked while the work went on
    done = CliRunner().invoke(cli, ["--home", str(home), "run", "--until-done", "--json"])
    assert json.loads(done.stdout)["collected"] is None
    undisturbed = open_lake(tmp_path / "undisturbed")
    replay_files(undisturbed, recording)
    land(undisturbed)
    build(undisturbed)
    assert tell_difference(read_recorded(undisturbed), read_recorded(lake)) == ""

    trades = Counter(lake.query(LIVE).rows)
    assert lake.query("select count(distinct session) from silver.trades where feed = 'finnhub'").rows == [(2,)]
    assert not first - trades
    assert not serving.reached - trades
    assert not trades - serving.told
    assert lake.query("select cause, count(*) from silver.feed_sessions where feed = 'finnhub' group by cause").rows == [("stopped", 2)]
    assert find_unbalanced(lake) == []


@pytest.fixture
def set_feed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what a lake would collect; what is not named stands at its default."""

    def put(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"TICKLAKE_FEED__{name.upper()}", value)

    return put


def test_a_key_that_is_refused_ends_run_with_its_sentence(tmp_path: Path, set_feed: Callable[..., None]) -> None:
    lake = open_lake(tmp_path / "home")
    serving = Serving(make_exchange(lake, prints=100))
    with serving.open():
        set_feed(key="wrong", symbols='["AAPL"]')
        done = CliRunner().invoke(cli, ["--home", str(lake.home.root), "run", "--url", serving.url])
    assert isinstance(done.exception, KeyRefused)


def test_run_without_symbols_says_how_to_name_some_and_goes_on(
    tmp_path: Path, set_feed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    set_feed(key=KEY)
    assert _find_live(Lake.at(tmp_path), None, has_recordings=False) is None
    assert "TICKLAKE_FEED__SYMBOLS=AAPL,MSFT" in capsys.readouterr().err


def test_run_leaves_the_log_to_who_writes_it_already(
    tmp_path: Path, set_feed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    set_feed(key=KEY, symbols='["AAPL"]')
    lake = Lake.at(tmp_path).open()
    with hold_stage(lake.home.locks, "log"):
        assert _find_live(lake, None, has_recordings=False) is None
    assert "writes this home's log already" in capsys.readouterr().err
    assert _find_live(lake, None, has_recordings=False) is not None


def test_run_collects_where_a_key_or_a_simulators_address_is_set(tmp_path: Path, set_feed: Callable[..., None]) -> None:
    assert LiveFeed.of(Lake.at(tmp_path), None) is None
    assert LiveFeed.of(Lake.at(tmp_path), "ws://127.0.0.1:8765") is not None
    with pytest.raises(SettingsInvalid, match=r"no key for the feed at ws\.example\.com"):
        LiveFeed.of(Lake.at(tmp_path), "wss://ws.example.com")
    set_feed(key=KEY)
    assert LiveFeed.of(Lake.at(tmp_path), None) is not None
    with pytest.raises(SettingsInvalid, match="no address of a socket without a key in it"):
        LiveFeed.of(Lake.at(tmp_path), "http://127.0.0.1:1")


def test_a_feed_that_was_stopped_before_it_began_connects_to_nobody(tmp_path: Path, set_feed: Callable[..., None]) -> None:
    set_feed(key=KEY, symbols='["AAPL"]')
    lake = Lake.at(tmp_path).open()
    live = LiveFeed.of(lake, "ws://127.0.0.1:1")
    assert live is not None
    live.stop()
    log = SharedWriter(lake.open_log_writer())
    live.collect(log)
    log.close()
    assert (live.tally() or {})["connections"] == 0
    assert lake.log.end_offset(0) == 0


def test_a_feed_is_stopped_from_another_thread_and_closes_its_session(tmp_path: Path, set_feed: Callable[..., None]) -> None:
    exchange = make_exchange(open_lake(tmp_path / "home"), prints=100)
    serving = Serving(exchange)
    with serving.open():
        set_feed(key=KEY, symbols=json.dumps(exchange.symbols))
        lake = Lake.at(tmp_path / "home")
        live = LiveFeed.of(lake, serving.url)
        assert live is not None
        log = SharedWriter(lake.open_log_writer())
        collecting = threading.Thread(target=live.collect, args=(log,))
        collecting.start()
        while collecting.is_alive() and not exchange.finished.is_set():
            collecting.join(0.05)
        live.stop(at_once=True)
        collecting.join(30)
    log.close()
    (last,) = controls(lake, "session_closed")
    assert last["cause"] == "stopped"
    assert (live.tally() or {})["frames"] > 0


class TornLog:
    """A log that fails, as no real one does on demand."""

    def append(self, records: Sequence[bytes]) -> int:
        raise LogCorrupt(f"{len(records)} records found no segment", hint="")

    def close(self) -> None: ...


def test_a_faked_log_that_fails_ends_the_feed_with_its_sentence(tmp_path: Path, set_feed: Callable[..., None]) -> None:
    serving = Serving(make_exchange(open_lake(tmp_path / "home"), prints=100))
    with serving.open():
        set_feed(key=KEY, symbols='["AAPL"]')
        live = LiveFeed.of(Lake.at(tmp_path / "home"), serving.url)
        assert live is not None
        with pytest.raises(LogCorrupt, match="found no segment"):
            live.collect(SharedWriter(TornLog()))
