"""Hostile messages, and what each of their prints is: a trade, or the reason of its quarantine."""

import json
from typing import Final

import msgspec

from tests.rig import utc_ms

NOON_MS: Final = utc_ms("2025-11-18 17:00")
PLAIN: Final = {"c": '["1"]', "p": "190.1", "s": '"AAPL"', "t": str(NOON_MS), "v": "100"}


class Trade(msgspec.Struct, frozen=True):
    """A print that is a trade, as silver has to hold it."""

    price: str = "190.1"
    size: str = "100"
    conditions: str = "1"


class Case(msgspec.Struct, frozen=True):
    """A message, and what becomes of its prints in their order: a trade, or the reason of its quarantine."""

    name: str
    message: bytes
    prints: tuple[Trade | str, ...]


def item_of(fields: dict[str, str], drop: str) -> str:
    """Give an object as JSON text."""
    return "{" + ",".join(f'"{key}":{text}' for key, text in fields.items() if key != drop) + "}"


def item(*, drop: str = "", **fields: str) -> str:
    """Give one print as JSON text: a plain one, with some fields written otherwise, added or left out."""
    return item_of({**PLAIN, **fields}, drop)


def message(*items: str) -> bytes:
    """Give a message with these items."""
    return f'{{"data":[{",".join(items)}],"type":"trade"}}'.encode()


def one(name: str, expected: Trade | str, *, drop: str = "", **fields: str) -> Case:
    """A message with one print that is written otherwise than a plain one."""
    return Case(name, message(item(drop=drop, **fields)), (expected,))


MALFORMED_MESSAGES: Final = [
    Case(name, text, ("malformed",))
    for name, text in {
        "empty": b"",
        "not JSON": b"hello",
        "truncated JSON": message(item())[:-5],
        "not UTF-8": b'{"type":"trade\xff"}',
        "a number": b"42",
        "a text": b'"trade"',
        "null": b"null",
        "a list": b"[" + message(item()) + b"]",
        "NaN for a price": message(item(p="NaN")),
        "two messages": message(item()) * 2,
        "deeper than a parser goes": b"[" * 5000 + b"]" * 5000,
        "deeper than a record may be, by one": message(item(x="[" * 510 + "]" * 510)),
        "spread over several lines": json.dumps(json.loads(message(item())), indent=2).encode(),
        "no type": b'{"data":[' + item().encode() + b"]}",
        "a type that is null": b'{"data":[],"type":null}',
        "a type that is a number": b'{"data":[],"type":7}',
        "no data": b'{"type":"trade"}',
        "data null": b'{"data":null,"type":"trade"}',
        "data an object": b'{"data":' + item().encode() + b',"type":"trade"}',
        "data a text": b'{"data":"none","type":"trade"}',
    }.items()
]
MALFORMED_ITEMS: Final = [
    Case(
        "items that are no objects", message(item(), "7", item(), "null", '"x"', "[1]"), (Trade(), "malformed", Trade(), *["malformed"] * 3)
    ),
    *(one(f"without {key}", "malformed", drop=key) for key in "spvt"),
    *(one(f"{key} null", "malformed", **{key: "null"}) for key in "spvt"),
    *(one(f"{key} as text", "malformed", **{key: f'"{PLAIN[key]}"'}) for key in "pvt"),
    *(one(f"{key} a boolean", "malformed", **{key: "true"}) for key in "spvt"),
    *(one(f"{key} a list", "malformed", **{key: f"[{PLAIN[key]}]"}) for key in "spvt"),
    one("symbol a number", "malformed", s="5"),
    one("symbol empty", "malformed", s='""'),
    one("time with a fraction", "malformed", t=f"{NOON_MS}.5"),
    one("time in nanoseconds", "malformed", t=f"{NOON_MS}000000"),
    one("conditions a text", "malformed", c='"1"'),
    one("conditions numbers", "malformed", c="[1,2]"),
    one("conditions nested", "malformed", c='[["1"]]'),
    one("conditions an object", "malformed", c='{"1":true}'),
    one("conditions with a null", "malformed", c='["1",null]'),
    one("conditions with the separator in a code", "malformed", c='["1,2"]'),
]
DUPLICATE_KEYS: Final = [
    Case("type twice", message(item())[:-1] + b',"type":"trade"}', ("duplicate_keys",)),
    Case("data twice", b'{"data":[],' + message(item())[1:], ("duplicate_keys",)),
    Case("price twice, beside a good one", message(item()[:-1] + ',"p":190.2}', item()), ("duplicate_keys", Trade())),
    Case("an unknown key twice", message(item(x="1")[:-1] + ',"x":2}'), ("duplicate_keys",)),
    Case("price twice, once in escapes", message(item()[:-1] + ',"\\u0070":190.2}'), ("duplicate_keys",)),
]
DIGITS: Final = [
    *(
        one(f"{field} {digits}", "not_representable", **{field: digits})
        for field in "pv"
        for digits in (
            *("1.000000001", "8.55e-07", "1e-30", "1e-300"),
            *("1.0000000000000000000000001", "1.9999999999999999999999999", "1." + "0" * 40 + "1"),
            *("10000000000", "12345678901234567890", "1e300", "1e999", "1e999999"),
        )
    ),
    *(
        one(f"{digits} fits", Trade(price=exact, size=exact), p=digits, v=digits)
        for digits, exact in {
            "8.5e-07": "0.00000085",
            "8.5E-7": "0.00000085",
            "1e2": "100",
            "1E+2": "100",
            "0.10000000000": "0.1",
            "0.1": "0.1",
            "0.00000001": "0.00000001",
            "9999999999.99999999": "9999999999.99999999",
            "1234567890.12345678": "1234567890.12345678",
        }.items()
    ),
]
DOUBTS: Final = [
    Case("long digits beside a price in quotes", message(item(p="190.100000000000"), item(p='"5"')), ("not_representable", "malformed")),
    Case(
        "long digits beside a print without a size", message(item(v="100.00000000000"), item(drop="v")), ("not_representable", "malformed")
    ),
    Case("short digits beside a price in quotes", message(item(), item(p='"5"')), (Trade(), "malformed")),
]
VALUES: Final = [
    one("price zero", "price_not_positive", p="0"),
    one("price zero in disguise", "price_not_positive", p="-0.0"),
    one("price negative", "price_not_positive", p="-190.1"),
    one("size negative", "size_negative", v="-1"),
    one("size zero", Trade(size="0"), v="0"),
    one("size zero in many digits", Trade(size="0"), v="0.000000000000"),
    one("time in seconds", "time_in_seconds", t=str(NOON_MS // 1000)),
    one("time in microseconds", "time_in_microseconds", t=f"{NOON_MS}000"),
    one("1990 in seconds", "time_in_seconds", t="631152000"),
    one("the second before 1990", "time_before_1990", t="631151999"),
    one("a minute ahead in seconds", "time_in_seconds", t=str(NOON_MS // 1000 + 60)),
    one("more than a minute ahead in seconds", "time_before_1990", t=str(NOON_MS // 1000 + 61)),
    one("1990 in microseconds", "time_in_microseconds", t="631152000000000"),
    one("a minute ahead in microseconds", "time_in_microseconds", t=f"{NOON_MS + 60_000}999"),
    one("more than a minute ahead in microseconds", "time_in_future", t=f"{NOON_MS + 60_001}000"),
    one("nineteen digits of time", "malformed", t="1" + "0" * 18),
    one("time zero", "time_before_1990", t="0"),
    one("time negative", "time_before_1990", t="-1"),
    one("the last millisecond before 1990", "time_before_1990", t="631151999999"),
    one("the first of 1990", Trade(), t="631152000000"),
    one("a minute ahead", Trade(), t=str(NOON_MS + 60_000)),
    one("more than a minute ahead", "time_in_future", t=str(NOON_MS + 60_001)),
    one("sixteen nines for a time", "time_in_future", t="9" * 16),
    one("eighteen digits of time", "time_in_future", t="9" + "0" * 17),
    one("eighteen digits of time below zero", "time_before_1990", t="-9" + "0" * 17),
]
CONDITIONS: Final = [
    one("conditions null", Trade(conditions=""), c="null"),
    one("conditions empty", Trade(conditions=""), c="[]"),
    one("conditions missing", Trade(conditions=""), drop="c"),
    one("conditions unordered", Trade(conditions="1,8,12,41"), c='["41","8","12","1"]'),
    one("conditions repeated", Trade(conditions="1,12"), c='["12","1","12","1"]'),
    one("conditions with a letter and spaces", Trade(conditions="T,12"), c='[ "12", "T" ]'),
    one("conditions that nobody knows", Trade(conditions="7,XX"), c='["XX","7"]'),
]
EXPONENTS: Final = (("p", "not_representable"), ("v", "not_representable"), ("t", "malformed"))
FORMS: Final = [
    Case("the type first", b'{"type":"trade","data":[' + item().encode() + b"]}", (Trade(),)),
    Case("keys in another order", message(f'{{"v":100,"t":{NOON_MS},"c":["1"],"s":"AAPL","p":190.1}}'), (Trade(),)),
    Case("spaces everywhere", json.dumps(json.loads(message(item())), separators=(" , ", " : ")).encode(), (Trade(),)),
    Case("keys in escapes", message(item().replace('"p"', '"\\u0070"')), (Trade(),)),
    Case("keys in capitals beside our own", message(item(P="7", S='"B"'))[:-1] + b',"Type":"ping","Data":[]}', (Trade(),)),
    Case("a key that nobody knows, nested deeply", message(item(x="[" * 509 + "]" * 509)), (Trade(),)),
    Case("a key that nobody knows, full of brackets", message(item(x='"' + "[" * 900 + '\\"{"')), (Trade(),)),
    Case("digits that stand in a text too", message(item(p="190.10000000000", x='"p\\":9.123456789"')), (Trade(),)),
    Case("a thousand prints written carefully", message(*[item(x="0")] * 1000), (Trade(),) * 1000),
    Case("keys that nobody knows", message(item(x='{"p":1,"v":[2]}'))[:-1] + b',"p":"x"}', (Trade(),)),
    one("a symbol outside ASCII", Trade(), s='"ÄÖ"'),
    one("a symbol in escapes", Trade(), s='"A\\u0041\\"PL"'),
    one("a time with a fraction that nobody could measure", Trade(), t=f"{NOON_MS}.{'0' * 20}1"),
    one("a time with a fraction that somebody could", "malformed", t=f"{NOON_MS}.00000001"),
    one("a time with less than half of such a fraction", Trade(), t=f"{NOON_MS}.0000000049"),
    one("a time with half of such a fraction", "malformed", t=f"{NOON_MS}.000000005"),
    one("a time below anything", "time_before_1990", t="1e-400"),
    *(one(f"an exponent in too many digits for {field}", reason, **{field: f"1e{'9' * 21}"}) for field, reason in EXPONENTS),
    one("a time as a whole decimal", Trade(), t=f"{NOON_MS}.0"),
    Case("many prints, one of them bad", message(item(), item(p="-1"), item()), (Trade(), "price_not_positive", Trade())),
    Case("no prints", message(), ()),
    Case("a ping", b'{"type":"ping"}', ()),
    Case("an error", b'{"msg":"Invalid symbol","type":"error"}', ()),
    Case("news with data", b'{"data":[{"headline":"x"}],"type":"news"}', ()),
]
CASES: Final = [*MALFORMED_MESSAGES, *MALFORMED_ITEMS, *DUPLICATE_KEYS, *DIGITS, *DOUBTS, *VALUES, *CONDITIONS, *FORMS]

TICK: Final = {"c": '[["1"]]', "count": "1", "p": "[190.1]", "s": '"AAPL"', "skip": "0", "t": f"[{NOON_MS}]", "total": "1", "v": "[100]"}


def answer(*, drop: str = "", **fields: str) -> bytes:
    """Give an answer to /stock/tick: one plain print, with some fields written otherwise, added or left out."""
    return item_of({**TICK, **fields}, drop).encode()


def answer_of(*items: dict[str, str]) -> bytes:
    """Give an answer with these prints."""
    columns = {key: "[" + ",".join({**PLAIN, **each}[key] for each in items) + "]" for key in "cptv"}
    return answer(x="[" + ",".join('"Q"' for _ in items) + "]", **columns)


def one_tick(name: str, expected: Trade | str, **fields: str) -> Case:
    """An answer with one print that is written otherwise than a plain one."""
    return Case(f"tick: {name}", answer_of(fields), (expected,))


TICK_ANSWERS: Final = [
    Case(f"tick: {name}", text, (expected,))
    for expected, texts in {
        "malformed": {
            "not JSON": b"hello",
            "a list": b"[" + answer() + b"]",
            "null": b"null",
            "an error": b'{"error":"You don\'t have access to this resource."}',
            "no arrays at all": b'{"s":"AAPL"}',
            "symbol empty": answer(s='""'),
            "symbol a number": answer(s="5"),
            **{f"no {key}": answer(drop=key) for key in "pvts"},
            **{f"{key} null": answer(**{key: "null"}) for key in "pvts"},
            **{f"{key} an object": answer(**{key: "{}"}) for key in "pvtc"},
            **{f"{key} longer": answer(**{key: TICK[key][:-1] + "," + TICK[key][1:]}) for key in "pvtc"},
            **{f"{key} empty": answer(**{key: "[]"}) for key in "pvtc"},
            **{f"{key} with a text": answer(**{key: '["1,2"]'}) for key in "pvt"},
            **{f"{key} with a list": answer(**{key: "[[1]]"}) for key in "pvt"},
            **{f"{key} with an object": answer(**{key: '[{"q":1}]'}) for key in "pvt"},
            **{f"{key} with a text beside a number": answer_of({}, {key: '"1,2"'}) for key in "pvt"},
        },
        "duplicate_keys": {
            "prices twice": answer()[:-1] + b',"p":[190.2]}',
            "prices twice, once in escapes": answer()[:-1] + b',"\\u0070":[190.2]}',
        },
        "not_representable": {
            "a key in escapes": answer().replace(b'"p"', b'"\\u0070"'),
            "a key in escapes, and another one for it": answer(x='{"p":[7]}').replace(b'"p":[190.1]', b'"\\u0070":[190.1]'),
            "a key that is there below too": answer(x='[{"v" :1}]'),
        },
    }.items()
    for name, text in texts.items()
]
TICK_ELEMENTS: Final = [
    Case(
        "tick: numbers that are none, one by one",
        answer_of({}, {"p": "null"}, {"v": "true"}, {"t": "false"}, {"v": "null", "p": "null"}, {}),
        (Trade(), *["malformed"] * 4, Trade()),
    ),
    *(
        one_tick(name, "malformed", **fields)
        for name, fields in {
            "time with a fraction": {"t": f"{NOON_MS}.5"},
            "time with a small fraction": {"t": f"{NOON_MS}.000000001"},
            "nineteen digits of time": {"t": "1" + "0" * 18},
            "time of 1e300": {"t": "1e300"},
            "time of 1e999999": {"t": "1e999999"},
            "conditions a text": {"c": '"1"'},
            "conditions numbers": {"c": "[1,2]"},
            "conditions an object": {"c": '{"1":true}'},
            "conditions with a null": {"c": '["1",null]'},
            "conditions with the separator in a code": {"c": '["1,2"]'},
        }.items()
    ),
    *(one_tick(f"time written as {digits}", Trade(), t=digits) for digits in (f"{NOON_MS}.0", f"{NOON_MS // 1000}e3", f"{NOON_MS}00E-2")),
    *(
        one_tick(f"time written as {digits}", reason, t=digits)
        for digits, reason in {
            **dict.fromkeys(("0", "0e999999", "-0.0"), "time_before_1990"),
            **dict.fromkeys(("9" * 18, "9" * 18 + ".0"), "time_in_future"),
            str(NOON_MS // 1000): "time_in_seconds",
            f"{NOON_MS}000": "time_in_microseconds",
        }.items()
    ),
    *(
        one_tick(f"{field} {digits}", "not_representable", **{field: digits})
        for field in "pv"
        for digits in (
            *("1.000000001", "8.55e-07", "1e-30", "1.0000000000000000000000001", "1.9999999999999999999999999", "1." + "0" * 40 + "1"),
            *("10000000000", "12345678901234567890", "1e300", "1e999999"),
        )
    ),
    *(
        one_tick(f"{digits} fits", Trade(price=exact, size=exact), p=digits, v=digits)
        for digits, exact in {
            "8.5e-07": "0.00000085",
            "1e2": "100",
            "1E+2": "100",
            "0.10000000000": "0.1",
            "1.50e1": "15",
            "100e-10": "0.00000001",
            **{each: each for each in ("0.00000001", "9999999999.99999999", "1234567890.12345678")},
        }.items()
    ),
    one_tick("price zero", "price_not_positive", p="0e999999"),
    one_tick("price negative", "price_not_positive", p="-190.1"),
    one_tick("size negative", "size_negative", v="-0.5"),
    one_tick("size zero", Trade(size="0"), v="0"),
]
TICK_FORMS: Final = [
    Case("tick: no prints", answer(p="[]", v="[]", t="[]", c="[]"), ()),
    Case("tick: no prints, as nulls", answer(p="null", v="null", t="null", c="null"), ()),
    Case("tick: no conditions", answer(drop="c"), (Trade(conditions=""),)),
    Case("tick: conditions null", answer(c="null"), (Trade(conditions=""),)),
    Case(
        "tick: each its conditions",
        answer_of({"c": "null"}, {"c": "[]"}, {"c": '["41","8"]'}, {"c": '[ "12", "T","12" ]'}),
        (Trade(conditions=""), Trade(conditions=""), Trade(conditions="8,41"), Trade(conditions="T,12")),
    ),
    Case("tick: spaces everywhere", json.dumps(json.loads(answer_of({}, {})), separators=(" , ", "\t: ")).encode(), (Trade(), Trade())),
    Case("tick: keys in another order", item_of(dict(reversed(TICK.items())), "").encode(), (Trade(),)),
    Case("tick: a code that looks like a key", answer(c='[["p"]]'), (Trade(conditions="p"),)),
    Case("tick: a symbol outside ASCII", answer(s='"ÄÖ"'), (Trade(),)),
    Case("tick: a thousand prints", answer_of(*[{}] * 1000), (Trade(),) * 1000),
]
TICK_CASES: Final = [*TICK_ANSWERS, *TICK_ELEMENTS, *TICK_FORMS]
