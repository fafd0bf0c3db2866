"""While `run` works, readers are answered; interrupted, it loses nothing and the next start goes on."""

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.rig import (
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
from ticklake.errors import QueryInvalid

ROWS: Final = 24_000
ANSWER_SECONDS: Final = 10.0
COMMANDS: Final = (
    ("query", "select count(*) from silver.trades"),
    ("bars", "--interval", "1m", "--last", "1"),
    ("status", "--json"),
)
SMALL_BATCHES: Final = {"TICKLAKE_LANDING__OBJECT_RECORDS": "1500", "TICKLAKE_WAREHOUSE__RUN_BATCH_RECORDS": "3000"}


class Reader:
    """Someone in another terminal who asks again and again; notes how long each answer took."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self.waits: list[float] = []
        self.counts = [0]

    def ask(self) -> int:
        """Ask for the number of trades; that there is no warehouse yet is an answer too."""
        started = time.monotonic()
        try:
            self.counts.append(self._lake.query("select count(*) from silver.trades").rows[0][0])
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


def test_readers_are_answered_while_run_works_and_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    recording, home = write_recording(tmp_path / "tape.csv"), tmp_path / "home"
    lake = open_lake(home, read_wait_seconds=ANSWER_SECONDS)
    reader, terminal = Reader(lake), Terminal(home)

    def anyone_sees_trades() -> bool:
        terminal.type_next(is_built=False)
        return reader.ask() > 0

    with start_ticklake(home, "run", str(recording), environment=SMALL_BATCHES) as running:
        wait_until(anyone_sees_trades, process=running.process)
        running.process.send_signal(signal.SIGINT)
        code, _ = running.end()
    assert code == 0, running.seen
    assert not [line for line in running.seen if "Traceback" in line]
    assert 0 < reader.ask() < ROWS
    assert find_unbalanced(lake) == []
    assert balance(lake.log, lake.store, lake.query)[0].parts["pending"] == 0

    with start_ticklake(home, "run", str(recording), "--until-done", environment=SMALL_BATCHES) as running:
        for _ in running.moments():
            reader.ask()
            terminal.type_next(is_built=True)
        code, _ = running.end()
    assert code == 0, running.seen

    assert max(reader.waits) < ANSWER_SECONDS
    assert max(terminal.waits)[0] < ANSWER_SECONDS, max(terminal.waits)
    assert {command for _, command in terminal.waits} == {name for name, *_ in COMMANDS}
    assert reader.counts == sorted(reader.counts)
    assert len(set(reader.counts)) >= 3  # it was asked while the work went on
    undisturbed = open_lake(tmp_path / "undisturbed")
    replay_files(undisturbed, recording)
    land(undisturbed)
    build(undisturbed)
    expected = {**read_gold(undisturbed), "trades": read_trades(undisturbed)}
    assert tell_difference(expected, {**read_gold(lake), "trades": read_trades(lake)}) == ""
    assert find_unbalanced(lake) == []
