"""What goes wrong on a feed: its names, how often each is played, and what each of them is.

Quirks of the market (late, twin, zero, uncoded, unknown_code) make genuine prints odd, the same for everybody who
listens. All others are drawn for each connection by itself.
"""

import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

CHANCE: Final = Meta(ge=0, le=1)
"""A chance: of each print, frame, reconnect or attempt, as the description begins."""

MOST_MINUTES: Final = 100_000


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, as chances from 0 to 1; `close_minutes` alone counts minutes."""

    late: Annotated[float, CHANCE, Meta(description="a print: told 2 s to 40 min after its time")] = 0.0
    twin: Annotated[float, CHANCE, Meta(description="a print: another trade equals it in everything, in the same millisecond")] = 0.0
    zero: Annotated[float, CHANCE, Meta(description="a print: has volume 0")] = 0.0
    uncoded: Annotated[float, CHANCE, Meta(description="a print: its conditions are missing, null or empty")] = 0.0
    unknown_code: Annotated[float, CHANCE, Meta(description="a print: carries a condition that is in no list")] = 0.0
    repeat: Annotated[float, CHANCE, Meta(description="a frame: sent three times")] = 0.0
    shuffle: Annotated[float, CHANCE, Meta(description="a frame: its prints stand in no order")] = 0.0
    swap: Annotated[float, CHANCE, Meta(description="a frame: sent behind the next one")] = 0.0
    seconds: Annotated[float, CHANCE, Meta(description="a frame: one of its prints has seconds in place of milliseconds")] = 0.0
    truncate: Annotated[float, CHANCE, Meta(description="a frame: arrives cut, as JSON that does not end")] = 0.0
    garbage: Annotated[float, CHANCE, Meta(description="a frame: a message that nobody can read comes behind it")] = 0.0
    unknown: Annotated[float, CHANCE, Meta(description="a frame: a message of a type that nobody knows comes behind it")] = 0.0
    error: Annotated[float, CHANCE, Meta(description="a frame: one of the vendor's two errors comes behind it, out of nowhere")] = 0.0
    mute: Annotated[
        float, CHANCE, Meta(description="a frame: one of its symbols is not told any more until it is unsubscribed and subscribed again")
    ] = 0.0
    oversize: Annotated[float, CHANCE, Meta(description="a frame: a message of 2 MiB comes behind it")] = 0.0
    huge: Annotated[float, CHANCE, Meta(description="a frame: a message of 64 MiB comes behind it")] = 0.0
    close: Annotated[float, CHANCE, Meta(description="a frame: the exchange says goodbye behind it")] = 0.0
    drop: Annotated[float, CHANCE, Meta(description="a frame: the connection is cut behind it, without a word")] = 0.0
    hang: Annotated[float, CHANCE, Meta(description="a frame: the connection stays up behind it, answers pings, and says no more")] = 0.0
    overlap: Annotated[float, CHANCE, Meta(description="a reconnect: the last frames of the key's connection before are told again")] = 0.0
    deaf: Annotated[float, CHANCE, Meta(description="an attempt: the handshake is never answered")] = 0.0
    refuse: Annotated[float, CHANCE, Meta(description="an attempt: answered with 429")] = 0.0
    close_minutes: Annotated[
        float, Meta(ge=0, le=MOST_MINUTES, description="minutes of the market after which a connection is closed; 0 never")
    ] = 0.0


ALL_KINDS: Final = Quirks(
    late=0.001,
    twin=0.01,
    zero=0.001,
    uncoded=0.01,
    unknown_code=0.001,
    repeat=0.002,
    shuffle=0.02,
    swap=0.01,
    seconds=0.001,
    truncate=0.001,
    garbage=0.001,
    unknown=0.002,
    error=0.0002,
    mute=0.0002,
    oversize=0.0002,
    huge=0.00002,
    close=0.0003,
    drop=0.0003,
    hang=0.0001,
    overlap=0.2,
    deaf=0.05,
    refuse=0.05,
    close_minutes=180.0,
)
"""Everything that can go wrong, at rates that leave most of a day whole."""


def describe_quirks() -> Iterator[tuple[str, str]]:
    """Give each quirk's name, and what it is."""
    for name, hint in typing.get_type_hints(Quirks, include_extras=True).items():
        yield name, next(meta.description for meta in hint.__metadata__ if meta.description)


def read_quirks(texts: Iterable[str]) -> Quirks:
    """Read NAME=NUMBER, or `all` for every kind at a small rate; the later one wins.

    Raises ValueError: a name that nobody knows, no number, or one out of range.
    """
    rates: dict[str, Any] = {}
    for text in texts:
        if text == "all":
            rates |= msgspec.to_builtins(ALL_KINDS)
            continue
        name, _, number = text.partition("=")
        if name not in Quirks.__struct_fields__:
            raise ValueError(f"{text!r}: there is no such quirk; write NAME=CHANCE with one of: {', '.join(Quirks.__struct_fields__)}")
        most = MOST_MINUTES if name == "close_minutes" else 1
        try:
            rates[name] = float(number)
        except ValueError:
            rates[name] = -1.0
        if not 0 <= rates[name] <= most:
            raise ValueError(f"{text!r}: write {name}= and a number from 0 to {most:,}")
    return Quirks(**rates)
