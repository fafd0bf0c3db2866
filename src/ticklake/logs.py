"""Log events: constants in the past tense, data in fields, one JSON object a line on stderr.

    log_event(OBJECT_LANDED, key=key, records=1200)

Quiet by default: people read progress and results, machines read `TICKLAKE_LOG__LEVEL=info`. Whoever turns events into
sentences for people hears them whatever the level: `with listen(tell): …`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

LOGGER: Final = logging.getLogger("ticklake")

HOME_CREATED: Final = "home_created"
VENDOR_UNAVAILABLE: Final = "vendor_unavailable"
ANSWER_LOGGED: Final = "answer_logged"
FEED_OPENED: Final = "feed_opened"
FEED_CLOSED: Final = "feed_closed"
FEED_UNREACHABLE: Final = "feed_unreachable"
SYMBOLS_WITHOUT_SLOT: Final = "symbols_without_slot"
SYMBOL_REFUSED: Final = "symbol_refused"
SYMBOL_GRANTED: Final = "symbol_granted"
SYMBOL_SILENT: Final = "symbol_silent"
SYMBOLS_ROTATED: Final = "symbols_rotated"
LOG_STALLED: Final = "log_stalled"
LOG_RESUMED: Final = "log_resumed"
SEGMENT_ROLLED: Final = "segment_rolled"
SEGMENT_DROPPED: Final = "segment_dropped"
OBJECT_LANDED: Final = "object_landed"
OBJECT_ADOPTED: Final = "object_adopted"
OFFSETS_LOST: Final = "offsets_lost"
OBJECTS_LOADED: Final = "objects_loaded"
OBJECT_QUARANTINED: Final = "object_quarantined"
OVERLAP_TRIMMED: Final = "overlap_trimmed"
MODELS_BUILT: Final = "models_built"
MANIFEST_NOT_KEPT: Final = "manifest_not_kept"
STAGE_DELAYED: Final = "stage_delayed"
STAGE_RESUMED: Final = "stage_resumed"
STAGE_FAILED: Final = "stage_failed"


def log_event(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Record that something happened."""
    LOGGER.log(level, event, extra={"fields": fields})


def warn_event(event: str, **fields: Any) -> None:
    """Record something that an operator should look at."""
    log_event(event, level=logging.WARNING, **fields)


def silent_logger(name: str) -> logging.Logger:
    """Give a logger that says nothing, for a library that would tell a URL, and in it a key, to whoever listens."""
    logger = LOGGER.getChild(name)
    silence_logger(logger)
    return logger


def silence_logger(logger: logging.Logger) -> None:
    """Let a logger say nothing, for a library that takes no other."""
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


class JsonFormatter(logging.Formatter):
    """One JSON object a line: when, how grave, what, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one event."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        return json.dumps({"at": record.created, "level": record.levelname.lower(), "event": record.getMessage(), **fields}, default=str)


def start_logging(level: str) -> None:
    """Send events of a level and above to stderr."""
    handler = logging.StreamHandler()
    handler.setLevel(level.upper())
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


class _Listener(logging.Handler):
    def __init__(self, hear: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__(logging.INFO)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._hear(record.getMessage(), getattr(record, "fields", {}))
        except OSError:  # whoever read stderr has gone: no reason for a feed to end
            self.handleError(record)


@contextmanager
def listen(hear: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """Call with each event and its fields, one at a time, from whatever thread and whatever the level, until the block ends."""
    listener, level = _Listener(hear), LOGGER.level
    LOGGER.addHandler(listener)
    LOGGER.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        LOGGER.removeHandler(listener)
        LOGGER.setLevel(level)
