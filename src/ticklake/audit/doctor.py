"""Look at a home before anything goes wrong: can it be written, is its store sound, is the clock sane.

Gives      one finding a check, with the mend
Takes      nothing away: what it writes to try, it deletes
"""

import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from ticklake.contracts.frame import read_record_id
from ticklake.contracts.ports import Clock, Log, ObjectStore
from ticklake.errors import TicklakeError

RACERS: Final = 32
LOW_SPACE_BYTES: Final = 1 << 30
EARLIEST_NS: Final = 1_767_225_600 * 10**9
"""2026-01-01: a clock before it is a clock that was never set."""

CLOCK_SLACK_NS: Final = 5 * 10**9


class Finding(msgspec.Struct, frozen=True):
    """What a check found."""

    check: str
    is_good: bool
    found: str
    mend: str = ""


def check_space(folder: Path) -> Finding:
    """Whether the disk has room."""
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free in {folder}"
    return Finding("disk", free >= LOW_SPACE_BYTES, found, "free some space, or move the home: --home DIR")


def check_store(store: ObjectStore) -> Finding:
    """Whether create-only has exactly one winner, and what was written can be read and listed at once."""
    key = f"doctor/{uuid.uuid4().hex}"
    try:
        with ThreadPoolExecutor(RACERS) as racers:
            wins = list(racers.map(lambda number: store.create(key, b"%d" % number), range(RACERS)))
        winners = sum(wins)
        content = store.read(key) if winners else b""
        is_listed = key in store.list("doctor/")
        store.delete(key)
    except TicklakeError as error:
        return Finding("store", is_good=False, found=error.what, mend=error.hint)
    is_good = winners == 1 and content == b"%d" % wins.index(True) and is_listed
    found = f"{winners} of {RACERS} concurrent creators won, {'listed' if is_listed else 'not listed'} at once"
    return Finding("store", is_good, found, "this store would let two landers overwrite each other: use another")


def check_clock(clock: Clock, log: Log) -> Finding:
    """Whether the wall clock is plausible, and not behind what the log holds of live feeds."""
    now_ns = clock.now_ns()
    if now_ns < EARLIEST_NS:
        return Finding("clock", is_good=False, found="the clock stands before 2026", mend="set it: timedatectl set-ntp true")
    newest_ns = _newest_received_ns(log)
    if newest_ns > now_ns + CLOCK_SLACK_NS:
        ahead = (newest_ns - now_ns) / 1e9
        found = f"the log's newest record was received {ahead:,.0f} s after now"
        return Finding("clock", is_good=False, found=found, mend="the clock went back, or was ahead before: timedatectl set-ntp true")
    return Finding("clock", is_good=True, found="plausible, and not behind the log")


def check_last_objects(log: Log, store: ObjectStore, resume_offset: Callable[[ObjectStore, str, int], int]) -> Finding:
    """Whether the lander could go on: the last object of each partition is whole, and the log reaches it."""
    try:
        for partition in log.partitions() if log.log_id else ():
            resume_at = resume_offset(store, log.log_id, partition)
            if log.end_offset(partition) < resume_at:
                found = f"landing has partition {partition} up to offset {resume_at}, the log only to {log.end_offset(partition)}"
                mend = "the log is an old copy: move its folder aside, a new one begins a new epoch"
                return Finding("landing", is_good=False, found=found, mend=mend)
    except TicklakeError as error:
        return Finding("landing", is_good=False, found=error.what, mend=error.hint)
    return Finding("landing", is_good=True, found="the last object is whole, and the log goes on from it")


def _newest_received_ns(log: Log) -> int:
    newest = 0
    for partition in log.partitions() if log.log_id else ():
        last = log.read(partition, max(0, log.end_offset(partition) - 1), max_records=1)
        newest = max([newest, *(read_record_id(record.value).received_ns for record in last)])
    return newest
