"""What a connection is held to, and how long the client waits for what."""

from typing import Final

import msgspec

NS_PER_SECOND: Final = 1_000_000_000


class Limits(msgspec.Struct, frozen=True):
    """In seconds, but for the slots."""

    slots: int = 50
    silence_seconds: float = 90.0
    """A ping comes about once a minute, at night too: one that did not come for half as long again is a connection that hangs."""
    handshake_seconds: float = 10.0
    close_seconds: float = 1.0
    least_wait_seconds: float = 0.5
    most_wait_seconds: float = 8.0
    refusal_wait_seconds: float = 60.0
    """The wait after a 429 that names none."""
    longest_refusal_seconds: float = 3_600.0
    """The most that a server may ask for with a 429."""
    heartbeat_seconds: float = 1.0
    ping_seconds: float = 20.0
    """Between two pings of ours, and the most that an answer may take: a line that is dead is noticed before the silence is."""
    symbol_silence_seconds: float = 60.0
    """No symbol is taken for silent before, whatever its rate."""
    rotation_seconds: float | None = None
    """How long a turn takes, where more symbols than slots take turns."""
    pinned: tuple[str, ...] = ()
    """Symbols that keep their slots."""
