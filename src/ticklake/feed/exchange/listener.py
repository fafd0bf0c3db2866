"""One connection of the exchange: what it is sent, when it answered, and how it ends.

    tell      a frame's prints that it subscribed to, as its quirks leave them, into its outbox
    send      what is in the outbox, in order, in a task of its own: who reads slowly holds up nobody but itself
    ask       by a ping, whether all that was sent before has arrived; what it answers for was delivered
    end       as the last words say, once all that was sent before is answered for

Guarantee  memory is bounded: who leaves too much unread for seconds is dropped (too_slow)
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.prints import Print
from ticklake.feed.exchange.trouble import SIZES, Dice, Message, Part, Trouble
from ticklake.feed.exchange.truth import Connection, Played, Told

PING: Final = b'{"type":"ping"}'
ANSWER_SECONDS: Final = 5.0
SWALLOW_SECONDS: Final = 60.0
"""For a message that is larger than any frame."""
ASK_SECONDS: Final = 0.02
"""When nothing more comes, a connection is asked so much later."""
OVERLAP_FRAMES: Final = 20
"""How many of a connection's last frames may come again on the next one."""


class Listener:
    """One connection, and what was sent to it since it last answered."""

    def __init__(
        self,
        socket: ServerConnection,
        connection: Connection,
        *,
        truth: Told,
        dice: Dice,
        clocks: tuple[Clock, Clock],
        window: int,
        close_minutes: float,
    ) -> None:
        self.socket = socket
        self.connection = connection
        self.symbols: set[str] = set()
        self.is_told = True
        self.last_frames: deque[Message] = deque(maxlen=OVERLAP_FRAMES)
        self.on_return: Callable[[], None] = lambda: None
        """Called when a connection that was told nothing for a while listens again."""
        self.again: Sequence[Message] = ()
        """Frames of the connection before, to be told again first."""
        self._truth = truth
        self._market, self._clock = clocks
        self._trouble = Trouble(dice, self.note, lambda ids, reason: truth.spoil(ids, self.number, reason))
        self._outbox: deque[Message | str] = deque()
        self._filled = asyncio.Event()
        self._sent: list[Message] = []
        self._asked = 0
        self._answered = asyncio.Event()
        self._loop_time = asyncio.get_running_loop().time
        self._window = window
        self._asked_at = 0.0
        self._last_words = ""
        self._at_rest = asyncio.Event()
        self._close_ns = connection.from_ns + int(close_minutes * 60e9) if close_minutes else 0
        self._sending = asyncio.create_task(self._send_forever())

    @property
    def number(self) -> int:
        """The connection's number."""
        return self.connection.number

    def note(self, quirk: str, ids: Iterable[int], note: str = "") -> Played:
        """Write down a quirk."""
        now_ns, clock_ns = self._market.now_ns(), self._clock.now_ns()
        return self._truth.play(Played(quirk, self.number, self.connection.key, now_ns, clock_ns, sorted(ids), note))

    def subscribe(self, symbol: str) -> None:
        """Tell a symbol from here on; one that fell silent stays so."""
        self.symbols.add(symbol)

    def unsubscribe(self, symbol: str) -> None:
        """Tell it no more; subscribed again, it speaks again."""
        self.symbols.discard(symbol)
        self._trouble.muted.discard(symbol)

    def tell(self, frame: Sequence[Print], ids: range, number: int) -> str:
        """Put into the outbox what the day's nth frame is to this connection; give its last words, if there are any."""
        if not self.is_told:
            return ""
        if self._close_ns and self._market.now_ns() >= self._close_ns:
            self._put(*self._trouble.release())
            return self.end("close", "close_minutes")
        symbols = self.symbols - self._trouble.muted if self._trouble.muted else self.symbols
        prints = [Part(trade, each.trade.symbol, each.text) for trade, each in zip(ids, frame, strict=True) if each.trade.symbol in symbols]
        if not prints:
            return ""
        if self.again:
            played = self.note("overlap", {trade for message in self.again for trade in message.trades})
            self._put(*(Message(message.raw, message.trades, [played]) for message in self.again))
            self.again = ()
        messages, last = self._trouble.tell(prints, number)
        self.last_frames += [message for message in messages if message.trades]
        self._put(*messages)
        if last:
            self.note(last, [])
            return self.end(last)
        return ""

    def end(self, how: str, quirk: str = "") -> str:
        """Say nothing more but these last words."""
        if quirk:
            self.note(quirk, [])
        self.is_told = False
        self._at_rest.clear()
        self._put(how)
        return how

    def say(self, raw: bytes) -> None:
        """Send a message that is about no trade."""
        if self.is_told:
            self._put(Message(raw))

    @property
    def waiting(self) -> int:
        """How many messages are not answered for yet."""
        return len(self._outbox) + len(self._sent) + self._asked

    async def room(self, seconds: float) -> None:
        """Wait until so few messages are unanswered that the day may go on; drop who takes too long."""
        if self.waiting < self._window:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._is_full:
                    self._answered.clear()
                    await self._answered.wait()
        if self._is_full:
            self.is_told = False
            self._end_as("too_slow")
            self.socket.transport.abort()

    @property
    def _is_full(self) -> bool:
        return self.is_told and self.waiting >= self._window and not self._sending.done()

    async def settle(self) -> None:
        """Wait until everything is sent and answered for, or the connection ends, or it takes too long."""
        for message in self._trouble.release():
            self._put(message)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while self.waiting and not self._sending.done():
                    self._answered.clear()
                    await self._answered.wait()

    async def leave(self, how: str) -> None:
        """Write down that the connection is over, and what it did not answer for. Raises what broke its sending."""
        self._end_as(self._last_words or how)
        self._sending.cancel()
        await asyncio.wait([self._sending])
        for message in self._sent:
            self._truth.miss(message.trades, self.number)
        self._answered.set()
        if not self._sending.cancelled():
            self._sending.result()

    def _end_as(self, how: str) -> None:
        """Write down how and when it ended; the first word counts."""
        connection = self.connection
        if connection.ended == "open":
            connection.ended, connection.to_ns, connection.to_clock_ns = how, self._market.now_ns(), self._clock.now_ns()

    def _put(self, *messages: Message | str) -> None:
        self._outbox.extend(messages)
        self._filled.set()

    async def _send_forever(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ASK_SECONDS if self._sent else None):
                        await self._filled.wait()
                self._filled.clear()
                if not self._outbox:
                    await self._ask()
                while self._outbox:
                    message = self._outbox.popleft()
                    if isinstance(message, str):
                        await self._end(message)
                        self._at_rest.set()
                        continue
                    self._sent.append(message)
                    await self.socket.send(message.raw, text=message.is_text)
                    if len(self._sent) * 4 >= self._window or self._loop_time() - self._asked_at > ASK_SECONDS:
                        await self._ask()
        self._answered.set()

    async def _ask(self) -> "asyncio.Future[float]":
        """Send a ping behind all that was sent; whoever answers it has received that."""
        sent, self._sent = self._sent, []
        self._asked += len(sent)
        self._asked_at = self._loop_time()
        try:
            waiter = asyncio.ensure_future(await self.socket.ping())
        except ConnectionClosed:
            self._take_answer(sent, None)
            raise
        waiter.add_done_callback(partial(self._take_answer, sent))
        return waiter

    def _take_answer(self, sent: list[Message], waiter: "asyncio.Future[float] | None") -> None:
        self._asked -= len(sent)
        has_answered = waiter is not None and _is_answer(waiter)
        for message in sent:
            if has_answered:
                self._truth.deliver(message.trades, self.number)
                for played in message.played:
                    played.is_delivered = True
            else:
                self._truth.miss(message.trades, self.number)
        self._answered.set()

    async def ending(self) -> None:
        """Wait until the last words are said."""
        sending = asyncio.ensure_future(self._at_rest.wait())
        await asyncio.wait([sending, self._sending], return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()

    async def _end(self, how: str) -> None:
        """Let the connection end, or hang, once all that was sent before has arrived."""
        await self._wait_for_answers()
        if how in SIZES:
            self._last_words = how
            await self.socket.send(b" " * SIZES[how], text=True)
            if await self._wait_for_answers(SWALLOW_SECONDS):
                self._last_words, self.is_told = "", True  # it takes messages of any size: life goes on
                self.on_return()
                return
        self._end_as(how)
        if how == "drop":
            self.socket.transport.abort()
        elif how != "hang" and how not in SIZES:
            await self.socket.close(1001)

    async def _wait_for_answers(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Give whether all that was sent is answered for, in time."""
        waiter = await self._ask()
        await asyncio.wait([waiter], timeout=seconds)
        return waiter.done() and _is_answer(waiter)


def _is_answer(waiter: "asyncio.Future[float]") -> bool:
    return not waiter.cancelled() and waiter.exception() is None
