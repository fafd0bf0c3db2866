"""The envelope: whatever a feed sends becomes one line of JSON that gives it back."""

import base64
import json
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticklake.contracts.frame import MAX_DEPTH, RecordId, Stamp, format_control, format_frame, is_embeddable, read_record_id

STAMP: Final = Stamp("finnhub", "a/0189dead-beef-7000-8000-000000000001", 41, 1_764_000_000_123_456_789)
TRADE: Final = b'{"data":[{"c":["1","12"],"p":190.10,"s":"AAPL","t":1764000000123,"v":100}],"type":"trade"}'

EMBEDDABLE: Final = {
    "a trade": TRADE,
    "spaces, tabs": b' {\t"type" : "ping" } ',
    "an array": b"[1, 2]",
    "a number": b"-1.5e-07",
    "null": b"null",
    "a text": '"Zürich \u2028 €"'.encode(),
    "duplicate keys": b'{"p":1,"p":2}',
    "nested": b"[" * 100 + b"]" * 100,
    "nested as deeply as may be": b'[{"a":' * (MAX_DEPTH // 2) + b"1" + b"}]" * (MAX_DEPTH // 2),
    "brackets in a text": b'["' + b"[{" * MAX_DEPTH + b'\\"[","' + b"[" * MAX_DEPTH + b'"]',
    "many arrays side by side": b"[" + b"[]," * (2 * MAX_DEPTH) + b"[]]",
}
NOT_EMBEDDABLE: Final = {
    "nothing": b"",
    "spaces": b"  ",
    "words": b"Internal Server Error",
    "a line feed": b'{"type":\n"ping"}',
    "a carriage return": b'{"type":\r"ping"}',
    "a line feed at its end": TRADE + b"\n",
    "cut off": TRADE[:-5],
    "something after it": TRADE + b"x",
    "two documents": TRADE + TRADE,
    "a byte order mark": b"\xef\xbb\xbf" + TRADE,
    "bytes that are no UTF-8": b'{"s":"\xff\xfe"}',
    "half a surrogate": b'{"s":"\xed\xa0\x80"}',
    "NaN": b'{"p":NaN}',
    "Infinity": b'{"p":-Infinity}',
    "a leading zero": b'{"p":01}',
    "a trailing comma": b"[1,]",
    "single quotes": b"{'p':1}",
    "a comment": b"{} // no",
    "a control character in a text": b'{"s":"\x01"}',
    "nested deeper than may be, by one": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "nested deeper than anybody can follow": b"[" * 100_000 + b"]" * 100_000,
}


def read_back(record: bytes) -> bytes:
    """Give the message that a record was made of, as a reader who knows only JSON would."""
    document: dict[str, Any] = json.loads(record)
    if "raw" in document:
        return str(document["raw"]).encode()
    if "raw_base64" in document:
        return base64.b64decode(document["raw_base64"])
    return record[len(STAMP.head()) + len(b'"frame":') : -1]


@pytest.mark.parametrize("raw", EMBEDDABLE.values(), ids=EMBEDDABLE)
def test_json_on_one_line_is_embedded_as_it_came(raw: bytes) -> None:
    assert is_embeddable(raw)
    assert format_frame(STAMP, raw) == STAMP.head() + b'"frame":' + raw + b"}"


@pytest.mark.parametrize("raw", NOT_EMBEDDABLE.values(), ids=NOT_EMBEDDABLE)
def test_what_is_not_json_on_one_line_stands_beside_a_null_frame(raw: bytes) -> None:
    assert not is_embeddable(raw)
    record = format_frame(STAMP, raw)
    assert b'"frame":null,"raw' in record
    assert read_back(record) == raw


def test_how_deep_a_message_may_be_does_not_depend_on_who_asks() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    def ask(calls: int) -> bool:
        return ask(calls - 1) if calls else is_embeddable(deepest)

    assert ask(0)
    assert ask(300)


def test_text_stays_readable_and_only_bad_bytes_become_base64() -> None:
    assert format_frame(STAMP, "Störung".encode()).endswith('"frame":null,"raw":"Störung"}'.encode())
    assert format_frame(STAMP, b"\xff").endswith(b'"frame":null,"raw_base64":"/w=="}')


@settings(max_examples=150)
@given(raw=st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | st.sampled_from([*EMBEDDABLE.values(), TRADE + b"\n"]))
@example(raw=b'{"s":"\x7f\xc2\x85\xe2\x80\xa9"}')
@example(raw=b'"\\ud800"')
def test_any_bytes_make_one_line_of_json_that_gives_them_back(raw: bytes) -> None:
    record = format_frame(STAMP, raw)
    assert b"\n" not in record
    assert b"\r" not in record
    document = json.loads(record.decode("utf-8"))
    assert (document["session"], document["seq"], document["received_ns"]) == (STAMP.session, STAMP.seq, STAMP.received_ns)
    assert read_back(record) == raw


def test_the_envelope_is_byte_for_byte_what_the_contract_says() -> None:
    assert format_frame(STAMP, b"{}") == (
        b'{"feed":"finnhub","session":"a/0189dead-beef-7000-8000-000000000001","seq":41,"received_ns":1764000000123456789,"frame":{}}'
    )
    assert format_control(STAMP, {"type": "heartbeat"}).endswith(b',"control":{"type":"heartbeat"}}')


@pytest.mark.parametrize("raw", [*EMBEDDABLE.values(), *NOT_EMBEDDABLE.values()], ids=[*EMBEDDABLE, *NOT_EMBEDDABLE])
def test_a_record_tells_its_id_whatever_it_carries(raw: bytes) -> None:
    expected = RecordId(STAMP.session, STAMP.seq, STAMP.received_ns)
    assert read_record_id(format_frame(STAMP, raw)) == expected


def test_a_control_record_tells_its_id_too() -> None:
    record = format_control(STAMP, {"type": "session_closed", "cause": 'a "quoted" {cause}'})
    assert read_record_id(record) == RecordId(STAMP.session, STAMP.seq, STAMP.received_ns)
    assert json.loads(record)["control"]["cause"] == 'a "quoted" {cause}'


@pytest.mark.parametrize(
    "record",
    [b"", b"{}", TRADE, STAMP.head(), b" " + format_frame(STAMP, b"{}"), b'{"seq":1,"feed":"a"}'],
)
def test_what_is_no_record_of_ours_is_refused(record: bytes) -> None:
    with pytest.raises(ValueError, match="not a record of ours"):
        read_record_id(record)


@pytest.mark.parametrize("feed", ["", "with space", 'quo"te', "a/b", "x" * 65, "line\nbreak"])
def test_a_feed_name_that_would_not_read_back_is_refused(feed: str) -> None:
    with pytest.raises(ValueError, match="feed name"):
        Stamp(feed, STAMP.session, 0, 1)


@pytest.mark.parametrize("session", ["", "nouuid", "a/UPPER", f"a/{'0' * 35}", f"a/b/{'0' * 36}", f'"/{"0" * 36}', f"a/{'0' * 36}\n"])
def test_a_session_name_that_would_not_read_back_is_refused(session: str) -> None:
    with pytest.raises(ValueError, match="session"):
        Stamp("finnhub", session, 0, 1)
