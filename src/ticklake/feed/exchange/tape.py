"""What an exchange has to tell: a day's frames in the order of receipt, made up or recorded."""

from collections.abc import Iterable, Sequence

import msgspec

from ticklake.feed.exchange.frames import cut_frames
from ticklake.feed.exchange.hours import A_TUESDAY, Hours
from ticklake.feed.exchange.listings import LISTINGS, Listing
from ticklake.feed.exchange.oddities import make_odd
from ticklake.feed.exchange.prints import Print
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.truth import Halt
from ticklake.feed.exchange.walk import trade_market


class Tape(msgspec.Struct, frozen=True):
    """Frames, each of prints, in the order of receipt."""

    symbols: list[str]
    frames: list[list[Print]]
    first_ms: int
    """The first moment, before which nothing is told."""
    halts: Sequence[Halt] = ()


def make_tape(seed: int, *, prints: int, quirks: Quirks, listings: Sequence[Listing] = LISTINGS, hours: Hours = A_TUESDAY) -> Tape:
    """Make up a day. On a holiday only what is continuous trades, and has all the prints."""
    made, halts = trade_market(seed, prints=prints, listings=listings, hours=hours)
    return Tape([listing.symbol for listing in listings], _cut(made, quirks, seed), hours.first_ms, halts)


def _cut(prints: Iterable[Print], quirks: Quirks, seed: int) -> list[list[Print]]:
    return list(cut_frames(sorted(make_odd(prints, quirks, seed))))
