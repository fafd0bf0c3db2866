"""What the client needs of a socket, whichever library holds it.

    open      a `Transport` shakes hands within its terms, and gives a `Socket`, or raises Unreachable
    listen    each whole message is handed on as it is read, in the loop's thread, without a queue in between
    close     bounded: whatever the server does, the connection is gone when `close` returns

Guarantee  a message over `max_frame_bytes`, in one piece or in fragments, ends the connection and is handed to nobody;
           what is read and not handed on yet, and what is written and not sent yet, stay within the terms
"""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

CLOSED_BY_SERVER: Final = "closed_by_server"
CONNECTION_LOST: Final = "connection_lost"
FRAME_TOO_LARGE: Final = "frame_too_large"

MAX_FRAGMENTS: Final = 1_024
"""Pieces that a message may come in: empty ones would add up to no size, but to memory."""

Deliver = Callable[[bytes], None]
"""Takes one message as it came. What it raises ends the connection, and is raised by `Socket.ended`."""


class Terms(msgspec.Struct, frozen=True):
    """What a connection is held to."""

    max_frame_bytes: int
    handshake_seconds: float
    close_seconds: float
    write_bytes: int = 32 << 10
    """What may wait to be sent; a server that does not read so much is not read from any longer."""


class Ending(msgspec.Struct, frozen=True):
    """Why a connection is over."""

    cause: str
    """`closed_by_server`, `connection_lost` or `frame_too_large`."""
    detail: str = ""


class Unreachable(Exception):
    """No connection came about; the reason never holds the address, for the key is in it."""

    def __init__(self, reason: str, *, status: int = 0, retry_after: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        """The HTTP status of an answer that was no handshake; 0 if there was none."""
        self.retry_after = retry_after


class SocketClosed(Exception):
    """The connection is over: nothing can be sent, no ping will be answered."""


class Socket(Protocol):
    """One connection behind its handshake."""

    server_date: str
    """The `Date` of the server's answer; empty if it had none."""

    def listen(self, deliver: Deliver) -> None:
        """Hand on each message from now on, and those that came already."""
        ...

    async def send(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""
        ...

    async def ping(self) -> None:
        """Return when the server has answered a ping that is sent now. Raises SocketClosed."""
        ...

    def pause(self) -> None:
        """Read no more for now; doing it twice is no error."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    async def ended(self) -> Ending:
        """Return when the connection is over and its file closed. Raises what `deliver` raised."""
        ...

    async def close(self) -> None:
        """Say goodbye if there is anybody to hear it; return when the file is closed, after `close_seconds` at most."""
        ...


class Transport(Protocol):
    """One library's way to open a connection."""

    async def __call__(self, url: str, terms: Terms) -> Socket:
        """Connect and shake hands. Raises Unreachable."""
        ...
