"""What one connection is sent for a frame: the message, as its quirks leave it, and what they send beside.

Takes      a frame's prints that the connection subscribed to, and what its dice drew
Gives      messages in the order of sending, each with the trades that it tells intact
Guarantee  the dice of a connection come out of the seed, the key's number and its how-manieth connection it is:
           what another collector does changes nothing. Each quirk has dice of its own, thrown once a frame of the day
"""

import random
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ticklake.contracts.frame import MAX_FRAME_BYTES
from ticklake.feed.exchange.frames import BROKEN_FRAMES, write_frame
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.truth import Played

TOO_MANY_SYMBOLS: Final = {"type": "error", "msg": "Subscribing to too many symbols"}
NEWS: Final = b'{"type":"news","data":[]}'
SIZES: Final = {"oversize": 2 * MAX_FRAME_BYTES, "huge": 64 * MAX_FRAME_BYTES}
LAST_WORDS: Final = ("huge", "oversize", "close", "drop", "hang")
"""Quirks behind which a connection is told nothing for a while, or ever; one of them a frame."""
ON_FRAMES: Final = ("repeat", "shuffle", "swap", "seconds", "truncate", "garbage", "unknown", "error", "mute", *LAST_WORDS)

BITS: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15

_encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct):
    """What is sent, and what is known of it."""

    raw: bytes
    trades: Sequence[int] = ()
    """Those that it tells intact."""
    played: Sequence[Played] = ()
    """Quirks that have been played once it arrived."""
    is_text: bool = True


class Part(msgspec.Struct):
    """A print on its way to one connection."""

    trade: int
    symbol: str
    text: str
    is_intact: bool = True


class Dice:
    """Chances by name. The nth throw of a name is what it is, however many were asked for before it."""

    def __init__(self, seed: str, quirks: Quirks, names: Iterable[str]) -> None:
        self._dice = [
            (name, int(rate * (BITS + 1)), int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:8]))
            for name in names
            if (rate := getattr(quirks, name)) > 0
        ]
        self.chance = random.Random(f"{seed}/choice")  # noqa: S311 — a market, not a secret

    def draw(self, number: int) -> list[str]:
        """Give what is to be played at the nth frame, print or attempt."""
        return [name for name, sides, seed in self._dice if _throw(seed, number) < sides]


def _throw(seed: int, number: int) -> int:
    """Give the nth number of a sequence of 64 bits, without the ones before it: Steele and others, SplitMix, 2014."""
    mixed = seed + (number + 1) * GOLDEN & BITS
    mixed = (mixed ^ mixed >> 30) * 0xBF58_476D_1CE4_E5B9 & BITS
    mixed = (mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB & BITS
    return mixed ^ mixed >> 31


class Trouble:
    """One connection's quirks. `note` writes down what is played: its name, the trades that it hits, and a word."""

    def __init__(self, dice: Dice, note: Callable[..., Played], spoil: Callable[[Iterable[int], str], None]) -> None:
        self._dice = dice
        self._note = note
        self._spoil = spoil
        self._held: list[Message] = []
        self.muted: set[str] = set()

    def tell(self, prints: list[Part], number: int) -> tuple[list[Message], str]:
        """Give what is sent for the day's nth frame, and the last words behind it, if any."""
        drawn = self._dice.draw(number)
        if not drawn and not self._held:
            return [Message(write_frame([each.text for each in prints]), [each.trade for each in prints])], ""
        ids = [each.trade for each in prints]
        message = self._write(prints, ids, drawn)
        if "repeat" in drawn:
            message.played = [*message.played, self._note("repeat", ids)]
        messages = [message] * (3 if "repeat" in drawn else 1)
        if "swap" in drawn and not self._held:
            message.played = [*message.played, self._note("swap", ids)]
            self._held, messages = messages, []
        else:
            messages += self.release()
        messages += self._beside(prints, drawn)
        last = next((quirk for quirk in LAST_WORDS if quirk in drawn), "")
        if last:
            messages += self.release()
        if "mute" in drawn:
            symbol = self._dice.chance.choice(prints).symbol
            self.muted.add(symbol)
            self._note("mute", [], symbol)
        return messages, last

    def release(self) -> list[Message]:
        """Give what waits for the next frame."""
        held, self._held = self._held, []
        return held

    def _write(self, prints: list[Part], ids: list[int], drawn: list[str]) -> Message:
        """Write the frame's own message."""
        chance, played = self._dice.chance, []
        if "shuffle" in drawn:
            chance.shuffle(prints)
            played.append(self._note("shuffle", ids))
        if "seconds" in drawn:
            victim = chance.choice(prints)
            victim.text, victim.is_intact = _in_seconds(victim.text), False
            self._spoil([victim.trade], "time_in_seconds")
            played.append(self._note("seconds", [victim.trade], "time_in_seconds"))
        raw = write_frame([each.text for each in prints])
        if "truncate" not in drawn:
            return Message(raw, [each.trade for each in prints if each.is_intact], played)
        self._spoil(ids, "malformed")
        return Message(raw[: chance.randrange(1, len(raw))], (), [*played, self._note("truncate", ids, "malformed")])

    def _beside(self, prints: list[Part], drawn: list[str]) -> list[Message]:
        """Write what comes behind the frame."""
        chance, messages = self._dice.chance, []
        if "garbage" in drawn:
            reason, break_frame = chance.choice(BROKEN_FRAMES)
            raw = break_frame(write_frame([each.text for each in prints]))
            messages.append(Message(raw, (), [self._note("garbage", [], reason)], is_text=_is_utf8(raw)))
        if "unknown" in drawn:
            messages.append(Message(NEWS, (), [self._note("unknown", [])]))
        if "error" in drawn:
            symbol = chance.choice(prints).symbol
            error = chance.choice((TOO_MANY_SYMBOLS, {"type": "error", "msg": f"Invalid symbol {symbol}"}))
            messages.append(Message(_encode(error), (), [self._note("error", [], error["msg"])]))
        return messages


def _in_seconds(text: str) -> str:
    """Give a print with its time in seconds."""
    head, _, tail = text.rpartition('"t":')
    milliseconds, _, rest = tail.partition(",")
    return f'{head}"t":{int(milliseconds) // 1000},{rest}'


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
