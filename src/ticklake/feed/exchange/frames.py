"""Prints as messages of the vendor's, and what becomes of messages on a bad line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ticklake.feed.exchange.prints import Print

FRAME_PRINTS: Final = 15
FRAME_SPAN_MS: Final = 250

BROKEN_FRAMES: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (
    ("malformed", lambda raw: raw[: len(raw) * 2 // 3]),
    ("malformed", lambda raw: b"\x8b\xfe" + raw[:40]),
    ("malformed", lambda _: b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    ("malformed", lambda raw: b"[" + raw + b"]"),
    ("duplicate_keys", lambda raw: raw[: raw.index(b"}")].replace(b'"p":', b'"p":1,"p":') + b'}],"type":"trade"}'),
)
"""What becomes of a frame on a bad line; each of them counts as one print, that nobody can read."""


def cut_frames(prints: Iterable[Print]) -> Iterator[list[Print]]:
    """Give the prints a message at a time: what is received within `FRAME_SPAN_MS`, at most `FRAME_PRINTS`."""
    frame: list[Print] = []
    for each in prints:
        if frame and (len(frame) == FRAME_PRINTS or each.received_ms - frame[0].received_ms > FRAME_SPAN_MS):
            yield frame
            frame = []
        frame.append(each)
    if frame:
        yield frame


def write_frame(texts: Sequence[str]) -> bytes:
    """Give the message that tells these prints."""
    return f'{{"data":[{",".join(texts)}],"type":"trade"}}'.encode()
