"""Hostile frames: each is parsed exactly or quarantined with its reason, and none stops the rest."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import pytest

from tests.rig import Session, build, find_unbalanced, land, log_records, open_lake
from ticklake.cli.lake import Lake

NOW_MS: Final = 1_763_476_200_000
Verdicts = list[tuple[str, str | None]]
TRADE: Final[Verdicts] = [("trade", None)]


def trade(price: str = "10", size: str = "1", *, time: str = str(NOW_MS), symbol: str = '"A"', conditions: str | None = None) -> str:
    codes = "" if conditions is None else f',"c":{conditions}'
    return f'{{"s":{symbol},"p":{price},"t":{time},"v":{size}{codes}}}'


def frame(*items: str) -> bytes:
    return f'{{"type":"trade","data":[{",".join(items)}]}}'.encode()


def quarantined(reason: str) -> Verdicts:
    return [("quarantined", reason)]


CASES: Final[dict[str, tuple[bytes, Verdicts]]] = {
    "plain": (frame(trade()), TRADE),
    "keys of another order": (b'{"data":[{"v":1,"t":1763476200000,"s":"A","p":10}],"type":"trade"}', TRADE),
    "an extra key": (b'{"type":"trade","data":[{"s":"A","p":10,"t":1763476200000,"v":1,"x":"Q"}]}', TRADE),
    "pretty-printed with spaces": (b'{ "type" : "trade", "data" : [ { "s": "A", "p": 10, "t": 1763476200000, "v": 1 } ] }', TRADE),
    "a ping": (b'{"type":"ping"}', []),
    "an error": (b'{"type":"error","msg":"Invalid symbol"}', []),
    "an unknown type": (b'{"type":"news","data":[{"s":"A"}]}', []),
    "no trades at all": (b'{"type":"trade","data":[]}', []),
    "not JSON": (b"hello", quarantined("malformed")),
    "truncated": (frame(trade())[:-4], quarantined("malformed")),
    "a line break inside": (frame(trade()).replace(b",", b",\n", 1), quarantined("malformed")),
    "not UTF-8": (b'{"type":"trade\xff"}', quarantined("malformed")),
    "too deep": (b"[" * 5000 + b"]" * 5000, quarantined("malformed")),
    "a number": (b"5", quarantined("malformed")),
    "an object without a type": (b'{"data":[]}', quarantined("malformed")),
    "data that is no list": (b'{"type":"trade","data":{}}', quarantined("malformed")),
    "an item that is no object beside one that is": (frame("7", trade()), [("quarantined", "malformed"), ("trade", None)]),
    "no symbol": (b'{"type":"trade","data":[{"p":10,"t":1763476200000,"v":1}]}', quarantined("malformed")),
    "an empty symbol": (frame(trade(symbol='""')), quarantined("malformed")),
    "a symbol that is a number": (frame(trade(symbol="5")), quarantined("malformed")),
    "no price": (b'{"type":"trade","data":[{"s":"A","t":1763476200000,"v":1}]}', quarantined("malformed")),
    "a price in quotes": (frame(trade('"10"')), quarantined("malformed")),
    "a price that is true": (frame(trade("true")), quarantined("malformed")),
    "a price that is null": (frame(trade("null")), quarantined("malformed")),
    "a size in quotes": (frame(trade(size='"1"')), quarantined("malformed")),
    "a time between milliseconds": (frame(trade(time="1763476200000.5")), quarantined("malformed")),
    "conditions that are nested": (frame(trade(conditions='[["1"]]')), quarantined("malformed")),
    "conditions that are numbers": (frame(trade(conditions="[1]")), quarantined("malformed")),
    "a key twice in a print": (b'{"type":"trade","data":[{"s":"A","p":10,"p":11,"t":1763476200000,"v":1}]}', quarantined("duplicate_keys")),
    "a key twice in a frame": (b'{"type":"trade","data":[],"data":[]}', quarantined("duplicate_keys")),
    "nine decimals": (frame(trade("1.000000001")), quarantined("not_representable")),
    "nine decimals by exponent": (frame(trade("8.55e-07")), quarantined("not_representable")),
    "a digit far behind": (frame(trade("1.0000000000000000000000001")), quarantined("not_representable")),
    "nines far behind": (frame(trade("1.9999999999999999999999999")), quarantined("not_representable")),
    "a size too small": (frame(trade(size="1e-30")), quarantined("not_representable")),
    "twenty digits": (frame(trade("12345678901234567890")), quarantined("not_representable")),
    "a huge exponent": (frame(trade("1e999")), quarantined("not_representable")),
    "a price of zero": (frame(trade("0")), quarantined("price_not_positive")),
    "a price below zero": (frame(trade("-10")), quarantined("price_not_positive")),
    "a size below zero": (frame(trade(size="-1")), quarantined("size_negative")),
    "a size of zero": (frame(trade(size="0")), TRADE),
    "seconds": (frame(trade(time="1763476200")), quarantined("time_in_seconds")),
    "microseconds": (frame(trade(time="1763476200000000")), quarantined("time_in_microseconds")),
    "before 1990": (frame(trade(time="600000000000")), quarantined("time_before_1990")),
    "a minute and more ahead": (frame(trade(time=str(NOW_MS + 61_000))), quarantined("time_in_future")),
    "half a minute ahead": (frame(trade(time=str(NOW_MS + 30_000))), TRADE),
}

EXACT: Final = {
    "8.5e-07": "0.00000085",
    "1e2": "100",
    "0.10000000000": "0.1",
    "9999999999.99999999": "9999999999.99999999",
    "1234567890.12345678": "1234567890.12345678",
    "129.5800": "129.58",
    "0.00000001": "0.00000001",
}
CONDITIONS: Final = {
    "null": "",
    "[]": "",
    '["1"]': "1",
    '["41","8"]': "8,41",
    '["24","8","24","12"]': "8,12,24",
    '[ "41" , "8" ]': "8,41",
    '["XX","7"]': "7,XX",
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with every case in a frame of its own, by offset."""
    lake = open_lake(tmp_path_factory.mktemp("quarantine") / "home")
    session = Session()
    messages = [message for message, _ in CASES.values()]
    messages += [frame(trade(text)) for text in EXACT]
    messages += [frame(trade(conditions=text)) for text in CONDITIONS]
    log_records(lake, [session.raw(message, received_ms=NOW_MS) for message in messages])
    land(lake)
    build(lake)
    yield lake
    lake.log.close()


def rows_of(lake: Lake, offset: int, columns: str) -> list[tuple[Any, ...]]:
    sql = f"select {columns} from silver.prints where log_offset = $offset order by print_index"  # noqa: S608 — our own names
    return lake.query(sql, {"offset": offset}).rows


@pytest.mark.parametrize("name", CASES)
def test_a_frame_is_judged(judged: Lake, name: str) -> None:
    assert rows_of(judged, list(CASES).index(name), "verdict, reason") == CASES[name][1]


@pytest.mark.parametrize("text", EXACT)
def test_digits_are_read_exactly(judged: Lake, text: str) -> None:
    offset = len(CASES) + list(EXACT).index(text)
    assert rows_of(judged, offset, "verdict, price") == [("trade", Decimal(EXACT[text]))]


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions_are_a_sorted_set(judged: Lake, text: str) -> None:
    offset = len(CASES) + len(EXACT) + list(CONDITIONS).index(text)
    assert rows_of(judged, offset, "verdict, conditions") == [("trade", CONDITIONS[text])]


def test_the_ledger_balances_with_all_of_it(judged: Lake) -> None:
    assert find_unbalanced(judged) == []
