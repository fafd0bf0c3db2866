"""The client's socket over the library `websockets`: always there.

The library's own queue and its wake-up of a task for each message are passed by: a message is handed on where it is
read. What is left of its buffers is bounded by the terms: one reading of the operating system's, and `write_bytes`.
"""

import asyncio
import contextlib
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import Event

from ticklake.feed.finnhub.ports import (
    CLOSED_BY_SERVER,
    CONNECTION_LOST,
    FRAME_TOO_LARGE,
    MAX_FRAGMENTS,
    Deliver,
    Ending,
    Socket,
    SocketClosed,
    Terms,
    Unreachable,
)
from ticklake.logs import silent_logger

QUEUE_FRAMES: Final = 16
"""Of the library's queue, in which nothing ever waits."""

_SILENT: Final = silent_logger("feed.finnhub.socket")


class _Connection(ClientConnection):
    """The library's connection, which hands each message on as it is read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.deliver: Deliver | None = None
        self.early: list[bytes] = []
        self.failure: Exception | None = None
        self.leaving = asyncio.Event()
        self._parts: list[bytes] = []
        self._is_paused = False

    def process_event(self, event: Event) -> None:
        """Take a frame. One that ends a message completes it."""
        if self.response is None or not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
        elif event.fin and not self._parts:
            self._hand_on(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))
            if event.fin:
                message, self._parts = b"".join(self._parts), []
                self._hand_on(message)
            elif len(self._parts) > MAX_FRAGMENTS:
                self._parts = []
                self.protocol.fail(CloseCode.MESSAGE_TOO_BIG, f"over {MAX_FRAGMENTS} fragments")
                self.send_data()

    def _hand_on(self, message: bytes) -> None:
        if self.deliver is None:
            self.early.append(message)
            self.transport.pause_reading()
            return
        if self.failure:
            return
        try:
            self.deliver(message)
        except Exception as error:  # noqa: BLE001 — raised again by `ended`: here it would be the event loop's, and lost
            self.failure = error
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read; wake who closes the connection if this was the last that can be read from it."""
        super().data_received(data)
        if self.protocol.close_expected():
            self.leaving.set()

    def pause_writing(self) -> None:
        """Stop reading a server that does not read: answers to its pings would pile up."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, unless told not to."""
        super().resume_writing()
        self._read_on()

    def pause(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        self.transport.pause_reading()

    def resume(self) -> None:
        """Read on, unless the server does not."""
        self._is_paused = False
        self._read_on()

    def listen(self, deliver: Deliver) -> None:
        """Hand on what came already, and all that comes."""
        self.deliver = deliver
        early, self.early = self.early, []
        for message in early:
            deliver(message)
        self._read_on()

    def _read_on(self) -> None:
        if not self._is_paused and not self.paused:
            self.transport.resume_reading()


class _Attempt(connect):
    """The library's way to a connection, but that it goes nowhere else: what another host says is not the vendor's."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is; where it points is not even read."""
        return exc


class WebsocketsSocket:
    """A `Socket`."""

    def __init__(self, connection: _Connection, terms: Terms) -> None:
        self._connection = connection
        self._terms = terms
        self.server_date = _read_header(connection.response, "Date")

    def listen(self, deliver: Deliver) -> None:
        """Hand on each message from now on, and those that came already."""
        self._connection.listen(deliver)

    async def send(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise SocketClosed from error

    async def ping(self) -> None:
        """Return when the server has answered a ping that is sent now. Raises SocketClosed."""
        try:
            await (await self._connection.ping())
        except ConnectionClosed as error:
            raise SocketClosed from error

    def pause(self) -> None:
        """Read no more for now."""
        self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        self._connection.resume()

    async def ended(self) -> Ending:
        """Return when the connection is over and its file closed. Raises what `deliver` raised."""
        lost = asyncio.ensure_future(self._connection.wait_closed())
        leaving = asyncio.ensure_future(self._connection.leaving.wait())
        try:
            await asyncio.wait({lost, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            lost.cancel()
        await self.close()
        if self._connection.failure:
            raise self._connection.failure
        return _name_ending(self._connection.protocol.close_exc)

    async def close(self) -> None:
        """Say goodbye if there is anybody to hear it; return when the file is closed, after `close_seconds` at most."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._terms.close_seconds):
                    await self._connection.close()
        finally:
            self._connection.transport.abort()
            await self._connection.wait_closed()


async def open_websocket(url: str, terms: Terms) -> Socket:
    """Connect and shake hands; a redirect is not followed. Raises Unreachable."""
    try:
        connection = await _Attempt(
            url,
            logger=_SILENT,
            compression=None,
            create_connection=_Connection,
            max_size=terms.max_frame_bytes,
            max_queue=QUEUE_FRAMES,
            write_limit=terms.write_bytes,
            ping_interval=None,
            open_timeout=terms.handshake_seconds,
            close_timeout=terms.close_seconds,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise Unreachable(f"status {status}", status=status, retry_after=_read_header(error.response, "Retry-After")) from None
    except Exception as error:  # noqa: BLE001 — what the library makes of an answer that is no handshake can be anything
        raise Unreachable(type(error).__name__) from None
    return WebsocketsSocket(cast("_Connection", connection), terms)


def _read_header(response: Response | None, name: str) -> str:
    """Give a header's first value; servers may send several, and bytes that are no text."""
    values = response.headers.get_all(name) if response else []
    return values[0].encode("ascii", "replace").decode() if values else ""


def _name_ending(error: ConnectionClosed) -> Ending:
    if error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
        return Ending(FRAME_TOO_LARGE, error.sent.reason[:200])
    return Ending(CLOSED_BY_SERVER if error.rcvd else CONNECTION_LOST, str(error)[:200])
