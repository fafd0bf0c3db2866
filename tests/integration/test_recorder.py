"""What arrives is kept: with a full disk, with a log that fails, with a disk slower than the feed."""

import asyncio
from pathlib import Path

import pytest

from tests.live_rig import controls, make_exchange, read_records, run_day
from tests.rig import open_lake
from ticklake.cli.lake import Lake
from ticklake.cli.notices import give_notice
from ticklake.errors import DiskFull, LogCorrupt
from ticklake.feed.recorder import Recorder


def test_a_full_disk_pauses_the_feed_and_loses_nothing_that_was_kept_with_a_log_that_pretends(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    class FullForAWhile:
        """A log that has no room at its third, fourth and fifth append."""

        def __init__(self) -> None:
            self.log = lake.open_log_writer()
            self.appends = 0

        def append(self, records: list[bytes]) -> int:
            self.appends += 1
            if 3 <= self.appends <= 5:
                raise DiskFull("the log cannot grow", hint="free some space")
            return self.log.append(records)

    exchange = make_exchange(lake, prints=3_000, speed=20_000.0)
    with give_notice():
        client = run_day(lake, exchange, log=FullForAWhile())
    stalled, resumed = capsys.readouterr().err.splitlines()
    assert stalled == "warning: the log cannot be written, and the feed waits: the log cannot grow"
    assert resumed == "the log is written again, and the feed goes on"
    assert "disk_full" in {closed["cause"] for closed in controls(lake, "session_closed")}
    assert client.connections > 1
    numbers: dict[str, list[int]] = {}
    for record in read_records(lake):
        numbers.setdefault(record["session"], []).append(record["seq"])
    assert all(seqs == list(range(len(seqs))) for seqs in numbers.values())


def test_a_log_that_fails_stops_the_collector_with_a_log_that_pretends(lake: Lake) -> None:
    class Corrupt:
        """A log whose segment is broken."""

        def append(self, _records: list[bytes]) -> int:
            raise LogCorrupt("the log segment cannot be used", hint="ticklake doctor")

    with pytest.raises(LogCorrupt):
        run_day(lake, make_exchange(lake, prints=1_000, speed=1.0), log=Corrupt())


def test_memory_stays_bounded_where_the_disk_is_slower_than_the_feed(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home")
    recorder = Recorder(lake.open_log_writer(), feed="finnhub", collector="rig", clock=lake.clock)

    async def flood() -> int:
        recorder.open_session()
        kept = 0
        while kept < 200_000:
            try:
                await asyncio.wait_for(recorder.room(), 0.01)
            except TimeoutError:
                return kept
            recorder.frame(b'{"type":"ping"}')
            kept += 1
        return kept

    assert asyncio.run(flood()) < 60_000  # nobody commits: the reader is told to wait
