"""The bytes of an object: any change is noticed."""

from typing import Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ticklake.contracts.codec import MAX_OBJECT_BYTES, decode_object, encode_object
from ticklake.errors import ObjectCorrupt

KEY: Final = "landing/frames.v1/log/p000/00000000000000000000.ndjson.zst"
RECORDS: Final = [b'{"seq":%d,"frame":{"data":[],"type":"ping"}}' % number for number in range(5)]
LINES: Final = b"".join(record + b"\n" for record in RECORDS)
DATA: Final = encode_object(RECORDS)


def test_an_object_gives_its_records_back_a_line_each() -> None:
    assert decode_object(KEY, DATA) == LINES


@given(st.lists(st.binary(max_size=50).map(lambda record: record.replace(b"\n", b"")), min_size=1, max_size=50))
def test_any_records_without_line_breaks_come_back(records: list[bytes]) -> None:
    assert decode_object(KEY, encode_object(records)).split(b"\n") == [*records, b""]


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_noticed(flip: int) -> None:
    trusted = []
    for place in range(len(DATA)):
        changed = bytearray(DATA)
        changed[place] ^= flip
        try:
            found = decode_object(KEY, bytes(changed))
        except ObjectCorrupt:
            continue
        if found != LINES:
            trusted.append(place)
    assert trusted == []


def test_every_cut_is_noticed() -> None:
    for length in range(len(DATA)):
        with pytest.raises(ObjectCorrupt):
            decode_object(KEY, DATA[:length])


@pytest.mark.parametrize("tail", [b"\x00", b"\n", DATA, DATA[:10]])
def test_bytes_after_the_end_are_noticed(tail: bytes) -> None:
    with pytest.raises(ObjectCorrupt, match="follow its end"):
        decode_object(KEY, DATA + tail)


@pytest.mark.parametrize("data", [b"", b"not compressed\n", LINES, b"\x28\xb5\x2f\xfd"])
def test_what_was_never_an_object_is_refused(data: bytes) -> None:
    with pytest.raises(ObjectCorrupt):
        decode_object(KEY, data)


def test_an_object_that_ends_within_a_line_is_refused() -> None:
    with pytest.raises(ObjectCorrupt, match="ends within a line"):
        decode_object(KEY, zstandard.ZstdCompressor(write_checksum=True).compress(LINES[:-1]))


def test_a_header_that_claims_too_much_is_refused_before_it_is_believed() -> None:
    frame_header = b"\x28\xb5\x2f\xfd" + b"\xe4" + (MAX_OBJECT_BYTES + 1).to_bytes(8, "little")
    with pytest.raises(ObjectCorrupt, match="too large"):
        decode_object(KEY, frame_header + DATA[10:])


def test_the_error_names_the_object_and_what_to_do() -> None:
    with pytest.raises(ObjectCorrupt, match=KEY) as caught:
        decode_object(KEY, DATA[:-1])
    assert "ticklake land" in caught.value.hint
