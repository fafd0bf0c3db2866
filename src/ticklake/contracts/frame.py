"""One message of a feed, as it is logged, landed and loaded: the same bytes all the way.

    {"feed":"finnhub","session":"a/<uuid>","seq":41,"received_ns":1764…,"frame":{…}}

Made by byte formatting around the raw message, which is never decoded and encoded again. What
cannot be embedded is kept as text or base64 beside `"frame":null`; what is ours to say about a
session stands under `control` in place of `frame`.

Takes      the raw bytes of one message, or the fields of a control record
Gives      one line of NDJSON, without its line break
Time       `received_ns`: nanoseconds since 1970 UTC, strictly increasing within a session
Order      `seq` counts the records of a session from 0, control records included
"""

import base64
import re
from typing import Any, Final

import msgspec

MAX_FRAME_BYTES: Final = 1 << 20
"""A longer message is no frame: a source refuses it, so that a record always fits a line of the loader."""

MAX_DEPTH: Final = 512
"""Arrays and objects in one another: a deeper message is kept as text. A parser's own limit depends on who calls it, and from where."""

NAME_PATTERN: Final = r"[A-Za-z0-9._-]{1,64}"
SESSION_PATTERN: Final = r"[A-Za-z0-9._-]{1,64}/[0-9a-f-]{36}"
ENVELOPE: Final = re.compile(
    rb'\{"feed":"(?P<feed>' + NAME_PATTERN.encode() + rb')","session":"(?P<session>' + SESSION_PATTERN.encode() + rb')"'
    rb',"seq":(?P<seq>[0-9]{1,18}),"received_ns":(?P<received_ns>[0-9]{1,19})'
    rb',"(?P<kind>frame|control)":(?P<body>.*)\}',
    re.DOTALL,
)

_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')

_encode_json = msgspec.json.Encoder().encode
_validate = msgspec.json.Decoder(msgspec.Raw).decode


class RecordId(msgspec.Struct, frozen=True, order=True):
    """What makes a record itself, wherever a copy of it lies."""

    session: str
    seq: int
    received_ns: int


class Stamp(msgspec.Struct, frozen=True):
    """Where and when a message was received."""

    feed: str
    session: str
    seq: int
    received_ns: int

    def __post_init__(self) -> None:
        """Refuse names that would not read back from the envelope."""
        if not re.fullmatch(NAME_PATTERN, self.feed):
            msg = f"feed name {self.feed!r} must match {NAME_PATTERN}"
            raise ValueError(msg)
        if not re.fullmatch(SESSION_PATTERN, self.session):
            msg = f"session {self.session!r} must match {SESSION_PATTERN}"
            raise ValueError(msg)

    def head(self) -> bytes:
        """Give the envelope up to the place of `frame` or `control`."""
        return envelope_head(self.feed, self.session) % (self.seq, self.received_ns)


def envelope_head(feed: str, session: str) -> bytes:
    """Give the part of the envelope that a session's records share, with places for seq and received_ns."""
    return b'{"feed":"%b","session":"%b","seq":%%d,"received_ns":%%d,' % (feed.encode(), session.encode())


def is_embeddable(raw: bytes) -> bool:
    """Whether a message can stand in the envelope as it came: UTF-8 JSON without line breaks, not too deep, that validates."""
    if b"\n" in raw or b"\r" in raw:
        return False
    try:
        if not raw.isascii():
            raw.decode()
        _validate(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH or not _is_too_deep(raw)


def _is_too_deep(raw: bytes) -> bool:
    """Whether more arrays and objects of valid JSON stand in one another than may; brackets in texts do not count."""
    depth = 0
    for found in _BRACKETS.finditer(raw):
        bracket = found[0]
        if bracket in {b"[", b"{"}:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in {b"]", b"}"}:
            depth -= 1
    return False


def frame_body(raw: bytes) -> bytes:
    """Give what follows the envelope's head for a message of the feed: as it came, or as text, or as base64."""
    if is_embeddable(raw):
        return b'"frame":%b}' % raw
    try:
        return b'"frame":null,"raw":%b}' % _encode_json(raw.decode())
    except UnicodeDecodeError:
        return b'"frame":null,"raw_base64":"%b"}' % base64.b64encode(raw)


def format_frame(stamp: Stamp, raw: bytes) -> bytes:
    """Give the record of one message of the feed."""
    return stamp.head() + frame_body(raw)


def format_control(stamp: Stamp, control: dict[str, Any]) -> bytes:
    """Give the record of something that we say about a session, such as `{"type": "session_opened"}`."""
    return stamp.head() + b'"control":%b}' % _encode_json(control)


def read_record_id(record: bytes) -> RecordId:
    """Read (session, seq, received_ns) from a record.

    Raises ValueError if the record is not in the envelope's form.
    """
    match = ENVELOPE.fullmatch(record)
    if match is None:
        msg = f"not a record of ours: {record[:80]!r}"
        raise ValueError(msg)
    return RecordId(match["session"].decode(), int(match["seq"]), int(match["received_ns"]))
