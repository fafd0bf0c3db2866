"""What people are told while the work goes on, whatever the level of the log."""

import errno
import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.unit.fakes import FakeLog
from ticklake.cli.notices import give_notice
from ticklake.cli.pipeline import LONGEST_WAIT_SECONDS, Patience, PatientWriter
from ticklake.errors import BuildFailed, DiskFull, LogCorrupt, StageLocked
from ticklake.logs import (
    FEED_OPENED,
    FEED_UNREACHABLE,
    LOG_RESUMED,
    LOG_STALLED,
    LOGGER,
    OBJECT_QUARANTINED,
    SYMBOL_GRANTED,
    SYMBOL_REFUSED,
    listen,
    log_event,
    start_logging,
    warn_event,
)

LOCKED = StageLocked("build is already at work", hint="wait for it")
FULL = DiskFull("the log cannot grow", hint="free some space")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    handlers, level, propagate = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    start_logging("error")
    yield
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


class Stopping(threading.Event):
    """An event that is waited for in no time; notes for how long it would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def test_a_feed_is_told_of_when_it_cannot_be_reached_and_again_when_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with give_notice() as notices:
        for _ in range(3):
            warn_event(FEED_UNREACHABLE, host="h", reason="TimeoutError")
        assert notices.obstacle == "TimeoutError"
        for _ in range(2):
            log_event(FEED_OPENED, host="h", session="a/1")
        assert notices.obstacle == ""
        warn_event(FEED_UNREACHABLE, host="h", reason="status 429")
    assert capsys.readouterr().err.splitlines() == [
        "warning: the feed at h cannot be reached, and is tried again and again: TimeoutError",
        "the feed at h is reached",
        "warning: the feed at h cannot be reached, and is tried again and again: status 429",
    ]


def test_symbols_that_are_refused_are_told_once_until_they_are_granted(capsys: pytest.CaptureFixture[str]) -> None:
    with give_notice():
        for symbol in ("XX", "YY", "XX"):
            warn_event(SYMBOL_REFUSED, symbol=symbol, cause="invalid_symbol")
        log_event(SYMBOL_GRANTED, symbols=["XX", "ZZ"])
        warn_event(SYMBOL_REFUSED, symbol="XX", cause="no_slot")
    assert capsys.readouterr().err.splitlines() == [
        "warning: the feed refuses XX, of which nothing is recorded: it does not know it",
        "warning: the feed refuses YY, of which nothing is recorded: it does not know it",
        "the feed grants XX after all",
        "warning: the feed refuses XX, of which nothing is recorded: the plan has no slot for it",
    ]


def test_a_log_that_stalls_and_an_object_that_is_broken_are_told_and_other_events_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    with give_notice():
        warn_event(LOG_STALLED, reason="no space left")
        log_event(LOG_RESUMED, records=7)
        warn_event(OBJECT_QUARANTINED, key="landing/1", reason="cut")
        log_event("home_created")
    warn_event(LOG_STALLED, reason="when nobody listens")
    assert capsys.readouterr().err.splitlines() == [
        "warning: the log cannot be written, and the feed waits: no space left",
        "the log is written again, and the feed goes on",
        "warning: landing/1 is quarantined: cut",
    ]
    assert LOGGER.level == logging.ERROR


def test_a_listener_whose_reader_has_gone_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def hear(_event: str, _fields: dict[str, object]) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with listen(hear):
        log_event(FEED_OPENED, host="h")
    assert "Broken pipe" in capsys.readouterr().err  # logging's own way to say that it could not


def test_what_may_pass_is_waited_for_longer_and_longer_and_told_once_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    stopping = Stopping()
    patience = Patience("build", stopping=stopping, least_seconds=0.5)
    with give_notice():
        patience.resume()
        for error in [LOCKED] * 5 + [OSError(errno.ENOSPC, "No space left on device")]:
            patience.outlast(error)
        patience.resume()
        patience.resume()
        patience.outlast(LOCKED)
    assert stopping.waits == [0.5, 1.0, 2.0, 4.0, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, 0.5]
    warning = "warning: build waits and tries again, the feed goes on: build is already at work"
    assert capsys.readouterr().err.splitlines() == [warning, "build goes on", warning]


@pytest.mark.parametrize("error", [BuildFailed("a model failed", hint=""), OSError(errno.EIO, "Input/output error"), KeyError("x")])
def test_what_does_not_pass_is_not_waited_for(error: Exception) -> None:
    stopping = Stopping()
    with pytest.raises(type(error)):
        Patience("build", stopping=stopping, least_seconds=0.5).outlast(error)
    assert stopping.waits == []


class FullAtFirst(FakeLog):
    """A log that fails so many times."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    def append(self, records: Sequence[bytes]) -> int:
        if self.errors:
            raise self.errors.pop(0)
        return super().append(records)

    def close(self) -> None: ...


def test_a_replay_waits_for_a_full_disk_until_it_is_stopped_with_a_log_that_pretends() -> None:
    stopping = Stopping()
    patience = Patience("replay", stopping=stopping, least_seconds=0.5)
    log = FullAtFirst(FULL, FULL)
    assert PatientWriter(log, patience, stopping).append([b"1", b"2"]) == 0
    assert (log.diary, len(stopping.waits)) == ([2], 2)
    with pytest.raises(LogCorrupt):
        PatientWriter(FullAtFirst(LogCorrupt("torn", hint="")), patience, stopping).append([b"3"])
    stopping.set()
    with pytest.raises(DiskFull):
        PatientWriter(FullAtFirst(FULL), patience, stopping).append([b"3"])
