"""What people hear of the work while it goes on: a few events, each a sentence on stderr, whatever the level of the log.

    feed     it cannot be reached, and is; symbols that it refuses
    log      it stalls, and goes on
    stages   beside a live feed: one waits, goes on, or has failed; an object is quarantined

Guarantee  once, not once an attempt: a trouble is told when it begins and when it is over, a refused symbol until it is granted
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from ticklake.logs import (
    FEED_OPENED,
    FEED_UNREACHABLE,
    LOG_RESUMED,
    LOG_STALLED,
    OBJECT_QUARANTINED,
    STAGE_DELAYED,
    STAGE_FAILED,
    STAGE_RESUMED,
    SYMBOL_GRANTED,
    SYMBOL_REFUSED,
    listen,
)

CAUSES: Final = {"invalid_symbol": "it does not know it", "no_slot": "the plan has no slot for it"}


@contextmanager
def give_notice() -> Iterator["Notices"]:
    """Tell people what happens until the block ends."""
    notices = Notices(lambda sentence: click.echo(sentence, err=True))
    with listen(notices.hear):
        yield notices


class Notices:
    """Turns events into sentences; called by one thread at a time."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._refused: set[str] = set()
        self.obstacle = ""
        """Why the feed cannot be reached; empty where it can."""
        self._tell: Final[dict[str, Callable[..., None]]] = {
            FEED_UNREACHABLE: self._tell_unreachable,
            FEED_OPENED: self._tell_opened,
            LOG_STALLED: lambda reason: self._say(f"warning: the log cannot be written, and the feed waits: {reason}"),
            LOG_RESUMED: lambda **_: self._say("the log is written again, and the feed goes on"),
            SYMBOL_REFUSED: self._tell_refused,
            SYMBOL_GRANTED: self._tell_granted,
            OBJECT_QUARANTINED: lambda key, reason: self._say(f"warning: {key} is quarantined: {reason}"),
            STAGE_DELAYED: lambda stage, reason: self._say(f"warning: {stage} waits and tries again, the feed goes on: {reason}"),
            STAGE_RESUMED: lambda stage: self._say(f"{stage} goes on"),
            STAGE_FAILED: self._tell_failed,
        }

    def hear(self, event: str, fields: dict[str, Any]) -> None:
        """Tell of an event, if people should know."""
        if tell := self._tell.get(event):
            tell(**fields)

    def _tell_unreachable(self, *, host: str, reason: str) -> None:
        was_reached, self.obstacle = not self.obstacle, reason
        if was_reached:
            self._say(f"warning: the feed at {host} cannot be reached, and is tried again and again: {reason}")

    def _tell_opened(self, *, host: str, **_: Any) -> None:
        was_reached, self.obstacle = not self.obstacle, ""
        if not was_reached:
            self._say(f"the feed at {host} is reached")

    def _tell_refused(self, *, symbol: str, cause: str) -> None:
        if symbol not in self._refused:
            self._refused.add(symbol)
            self._say(f"warning: the feed refuses {symbol}, of which nothing is recorded: {CAUSES.get(cause, cause)}")

    def _tell_granted(self, *, symbols: list[str]) -> None:
        if healed := [symbol for symbol in symbols if symbol in self._refused]:
            self._refused.difference_update(healed)
            self._say(f"the feed grants {', '.join(healed)} after all")

    def _tell_failed(self, *, stage: str, reason: str, hint: str) -> None:
        self._say(f"error: {stage} has failed and is over, the feed is collected on until Ctrl-C: {reason}")
        if hint:
            self._say(f"hint:  {hint}")
