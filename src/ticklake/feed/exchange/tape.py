"""What an exchange has to tell: a day's frames in the order of receipt, made up or recorded."""

from collections.abc import Sequence

import msgspec

from ticklake.feed.exchange.frames import cut_frames
from ticklake.feed.exchange.listings import FIRST_MS, LISTINGS, Print, trade_day
from ticklake.feed.exchange.oddities import make_odd
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.truth import Halt


class Tape(msgspec.Struct, frozen=True):
    """Frames, each of prints, in the order of receipt."""

    symbols: list[str]
    frames: list[list[Print]]
    first_ms: int
    """The first moment, before which nothing is told."""
    halts: Sequence[Halt] = ()


def make_tape(seed: int, *, prints: int, quirks: Quirks) -> Tape:
    """Make up a day."""
    made = (each for listing in LISTINGS for each in trade_day(listing, seed, prints * listing.share // 100))
    return Tape([listing.symbol for listing in LISTINGS], list(cut_frames(sorted(make_odd(made, quirks, seed)))), FIRST_MS)
