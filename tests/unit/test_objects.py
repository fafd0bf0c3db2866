"""The names of objects and of recorded losses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.contracts.objects import LossKey, ObjectKey, partition_prefix

offsets = st.integers(min_value=0, max_value=10**19)


def test_a_key_is_spelled_as_the_design_says() -> None:
    assert str(ObjectKey("a1b2", 3, 41)) == "landing/frames.v1/a1b2/p003/00000000000000000041.ndjson.zst"
    assert str(LossKey("a1b2", 3, 41, 99)) == "landing/losses.v1/a1b2/p003/00000000000000000041-00000000000000000099.json"
    assert partition_prefix("a1b2", 3) == "landing/frames.v1/a1b2/p003/"


@given(partition=st.integers(min_value=0, max_value=5000), first=offsets, last=offsets)
def test_a_key_reads_back(partition: int, first: int, last: int) -> None:
    key, loss = ObjectKey("log-1_x", partition, first), LossKey("log-1_x", partition, first, last)
    assert ObjectKey.parse(str(key)) == key
    assert LossKey.parse(str(loss)) == loss


@given(st.lists(offsets, min_size=2, unique=True))
def test_names_sort_as_the_offsets_do(firsts: list[int]) -> None:
    names = [str(ObjectKey("log", 0, first)) for first in sorted(firsts)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "landing/frames.v1/log/p000/",
        "landing/frames.v1/log/p000/1.ndjson.zst",
        "landing/frames.v1/log/p0/00000000000000000041.ndjson.zst",
        "landing/frames.v1/log/p000/00000000000000000041.ndjson",
        "landing/frames.v1/lo/g/p000/00000000000000000041.ndjson.zst",
        "landing/frames.v2/log/p000/00000000000000000041.ndjson.zst",
        "x/landing/frames.v1/log/p000/00000000000000000041.ndjson.zst",
        "landing/frames.v1/log/p000/00000000000000000041.ndjson.zst\n",
    ],
)
def test_a_stranger_among_the_objects_is_not_taken_for_one(key: str) -> None:
    with pytest.raises(ValueError, match="not the name of a landed object"):
        ObjectKey.parse(key)


@pytest.mark.parametrize("key", ["", str(ObjectKey("log", 0, 1)), "landing/losses.v1/log/p000/1-2.json"])
def test_a_stranger_among_the_losses_is_not_taken_for_one(key: str) -> None:
    with pytest.raises(ValueError, match="not the name of a recorded loss"):
        LossKey.parse(key)
