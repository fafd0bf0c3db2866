"""The client's socket over the library `picows`, where the extra `fast` is installed.

A message of six prints costs 1.0 microseconds from socket to `deliver`, 3.7 over `websockets`, alone on one core.

What the library leaves to its user is done here: fragments are put together and held to the limit of a whole message,
reserved bits and fragments out of turn end the connection, and so does the library's own complaint about a frame: at
once, since it would go on reading a frame that is too large. It looks one frame ahead: the good one in front of a broken
one comes behind the complaint about that, and is kept.
"""

import asyncio
import itertools
import socket
from contextlib import suppress
from typing import Any, Final, cast

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

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

RECEIVE_BYTES: Final = 256 << 10
"""What the operating system may hold back for us: the library reads all of it at once, into a buffer that grows with it."""

TEXT: Final = WSMsgType.TEXT
BINARY: Final = WSMsgType.BINARY
CONTINUATION: Final = WSMsgType.CONTINUATION
PONG: Final = WSMsgType.PONG
CLOSE: Final = WSMsgType.CLOSE


class _Listener(WSListener):
    """Takes frames, and hands messages on."""

    def __init__(self, terms: Terms) -> None:
        self.transport: WSTransport | None = None
        self.early: list[bytes] = []
        self.failure: Exception | None = None
        self.ending: Ending | None = None
        """Why we ended it for what was received, where the library saw nothing wrong."""
        self.is_abandoned = False
        self.is_leaving = False
        self.leaving = asyncio.Event()
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.pings: dict[bytes, asyncio.Future[None]] = {}
        self._deliver: Deliver | None = None
        self._terms = terms
        self._parts: list[bytes] | None = None
        self._parts_bytes = 0
        self._is_paused = False
        self._is_failed = False
        self._is_read_out = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        transport.underlying_transport.set_write_buffer_limits(self._terms.write_bytes)
        held = transport.underlying_transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        if self.is_abandoned:
            transport.disconnect(graceful=False)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.gone.set()
        self.writable.set()
        for answered in self.pings.values():
            if not answered.done():
                answered.set_exception(SocketClosed())
        self.pings.clear()

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        if self._is_failed:
            return
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(WSCloseCode.PROTOCOL_ERROR, "reserved bits")
        elif kind in {TEXT, BINARY, CONTINUATION}:
            if (kind == CONTINUATION) != (self._parts is not None):
                self.fail(WSCloseCode.PROTOCOL_ERROR, "a fragment out of turn")
            elif frame.fin and self._parts is None:
                self._hand_on(frame.get_payload_as_bytes())
            else:
                self._put_together(frame)
        elif kind == PONG:
            self._answer(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            self.leave()

    def _put_together(self, frame: WSFrame) -> None:
        parts = self._parts = self._parts or []
        parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._terms.max_frame_bytes or len(parts) > MAX_FRAGMENTS:
            self.fail(WSCloseCode.MESSAGE_TOO_BIG, f"{self._parts_bytes} bytes in {len(parts)} fragments")
        elif frame.fin:
            self._parts, self._parts_bytes = None, 0
            self._hand_on(b"".join(parts))

    def _answer(self, ping: bytes) -> None:
        """Let whoever waits for a ping, or for one before it, go on."""
        if ping in self.pings:
            for each in list(self.pings):
                answered = self.pings.pop(each)
                if not answered.done():
                    answered.set_result(None)
                if each == ping:
                    return

    def _hand_on(self, message: bytes) -> None:
        if self.failure:
            return
        if self._deliver is None:
            self.early.append(message)
            self._hold()
            return
        try:
            self._deliver(message)
        except Exception as error:  # noqa: BLE001 — raised again by `ended`: here the library would only tell its logger
            self.failure = error
            self.leave()
            self.pause()

    def listen(self, deliver: Deliver) -> None:
        self._deliver = deliver
        early, self.early = self.early, []
        for message in early:
            deliver(message)
        self._read_on()

    def fail(self, code: WSCloseCode, reason: str) -> None:
        """End the connection for what was received, and hand on nothing more of it."""
        self._is_failed = True
        self._parts = None
        self.ending = Ending(FRAME_TOO_LARGE if code == WSCloseCode.MESSAGE_TOO_BIG else CONNECTION_LOST, reason)
        if self.transport:
            self.transport.send_close(code, reason.encode())
        self.complain()

    def complain(self) -> None:
        """Read no more: a frame was given up. Where the library did so, the one in front of it may still be on its way to us."""
        self._is_read_out = True
        self._hold()
        self.leave()

    def leave(self) -> None:
        self.is_leaving = True
        self.leaving.set()

    def pause_writing(self) -> None:
        """Stop reading a server that does not read: answers to its pings would pile up."""
        self.writable.clear()
        self._hold()

    def resume_writing(self) -> None:
        self.writable.set()
        self._read_on()

    def pause(self) -> None:
        self._is_paused = True
        self._hold()

    def resume(self) -> None:
        self._is_paused = False
        self._read_on()

    def _hold(self) -> None:
        if self.transport:
            self.transport.underlying_transport.pause_reading()

    def _read_on(self) -> None:
        if self.transport and not self._is_paused and not self._is_read_out and self.writable.is_set():
            self.transport.underlying_transport.resume_reading()


class _Mute:
    """A logger that says nothing, for addresses have keys in them; but a complaint is heard."""

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 — the name is logging's
        return False

    def log(self, *_arguments: Any, **_options: Any) -> None: ...

    debug = info = warning = log

    def error(self, *_arguments: Any, **_options: Any) -> None:
        self._listener.complain()

    exception = error


class PicowsSocket:
    """A `Socket`."""

    def __init__(self, transport: WSTransport, listener: _Listener, terms: Terms) -> None:
        self._transport = transport
        self._listener = listener
        self._terms = terms
        self._numbers = itertools.count()
        self.server_date = _read_header(transport.response, "Date")

    def listen(self, deliver: Deliver) -> None:
        """Hand on each message from now on, and those that came already."""
        self._listener.listen(deliver)

    async def send(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""
        self._check()
        self._transport.send(TEXT, text.encode())
        await self._listener.writable.wait()
        self._check()

    async def ping(self) -> None:
        """Return when the server has answered a ping that is sent now. Raises SocketClosed."""
        self._check()
        name = b"%d" % next(self._numbers)
        answered = self._listener.pings[name] = asyncio.get_running_loop().create_future()
        self._transport.send_ping(name)
        await answered

    def _check(self) -> None:
        if self._listener.is_leaving or self._listener.gone.is_set():
            raise SocketClosed

    def pause(self) -> None:
        """Read no more for now."""
        self._listener.pause()

    def resume(self) -> None:
        """Read on."""
        self._listener.resume()

    async def ended(self) -> Ending:
        """Return when the connection is over and its file closed. Raises what `deliver` raised."""
        leaving = asyncio.ensure_future(self._listener.leaving.wait())
        gone = asyncio.ensure_future(self._listener.gone.wait())
        try:
            await asyncio.wait({leaving, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            gone.cancel()
        await self.close()
        if self._listener.failure:
            raise self._listener.failure
        return self._listener.ending or _name_ending(self._transport)

    async def close(self) -> None:
        """Say goodbye if there is anybody to hear it; return when the file is closed, after `close_seconds` at most."""
        try:
            if not self._listener.gone.is_set():
                self._transport.send_close(WSCloseCode.OK)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._terms.close_seconds):
                    await self._listener.gone.wait()
        finally:
            self._transport.disconnect(graceful=False)
            await self._listener.gone.wait()
            with suppress(WSError):  # the complaint that `_name_ending` tells of; nobody asking, the loop would log it
                await self._transport.wait_disconnected()


async def open_picows(url: str, terms: Terms) -> Socket:
    """Connect and shake hands. Raises Unreachable."""
    listener = _Listener(terms)
    try:
        async with asyncio.timeout(terms.handshake_seconds):
            transport, _ = await ws_connect(
                lambda _request, _response: listener,
                url,
                logger_name=cast("Any", _Mute(listener)),
                websocket_handshake_timeout=terms.handshake_seconds,
                max_frame_size=terms.max_frame_bytes,
                max_redirects=0,
                use_aiofastnet=False,
            )
    except WSHandshakeError as error:
        status = int(error.response.status) if error.response else 0
        raise Unreachable(
            f"status {status}" if status else type(error).__name__, status=status, retry_after=_read_header(error.response, "Retry-After")
        ) from None
    except Exception as error:  # noqa: BLE001 — what the library makes of an answer that is no handshake can be anything
        raise Unreachable(type(error).__name__) from None
    finally:
        listener.is_abandoned = listener.transport is None  # cancelled: a handshake that comes about later is hung up on
    if listener.transport is None:  # the line was cut before there was an answer: to the library that is no error
        transport.disconnect(graceful=False)
        raise Unreachable("ConnectionResetError")
    return PicowsSocket(transport, listener, terms)


def _read_header(response: Any, name: str) -> str:
    """Give a header's first value; servers may send several, and bytes that are no text."""
    return str(response.headers.get(name, "")).encode("ascii", "replace").decode() if response else ""


def _name_ending(transport: WSTransport) -> Ending:
    said = transport.close_handshake
    if said and said.sent and said.sent.code == WSCloseCode.MESSAGE_TOO_BIG and not said.recv_then_sent:
        return Ending(FRAME_TOO_LARGE, str(said.sent.reason)[:200])
    if said and said.recv:
        return Ending(CLOSED_BY_SERVER, f"received {int(said.recv.code.value)} {said.recv.reason}"[:200])
    return Ending(CONNECTION_LOST, "no close frame received")
