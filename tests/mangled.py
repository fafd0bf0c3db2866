"""Hostile messages out of a seed, of every kind that a broken line, a broken server or an enemy could send.

    mangle     one message: a genuine one cut, bent, spliced, answered twice; or one that was never meant to be read
    cut_short  one genuine message, truncated at each of its bytes

Guarantee  the same seed gives the same messages; none of them is, in bytes, a genuine message of `SYMBOL`
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

SYMBOL: Final = "SOUND"
"""What genuine messages trade: no mangled one starts from a message that names it."""

VICTIM: Final = "bent"
"""What a mangled message traded before: small letters, so that no flipped bit or two make the other symbol of it."""

MARKS: Final = (
    *(b"\n", b"\r", b"\r\n", "\u2028".encode(), "\u2029".encode(), "\u0085".encode(), b"\xef\xbb\xbf", b"\x00", b"\x01", b"\x0b", b"\x1f"),
    *(b"\x7f", b"\xff", b"\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\\ud800", b"\\udc00\\ud800", b"\\u0000"),
    *(b"\\", b'"', b'\\"', b"\\x", b",", b":", b"{", b"}", b"[", b"]", b" ", b"\t", b"/**/", b"'", b"NaN", b"null", b"\xf0\x9f\x98\x80"),
)
VALUES: Final = (
    *("NaN", "Infinity", "-Infinity", "1e308", "-1e308", "1e400", "-1e400", "1e-400", "1e999999999999999999999", "1E+2", "-0", "-0.0e-0"),
    *("9" * 400, "-" + "9" * 5000, "0." + "0" * 400 + "1", "18446744073709551616", "9223372036854775808", "1.00000000000000000001"),
    *("1e-999999999999999999999", "0e999999999999999999999", "0.1e1", "01", "1.", ".5", "+1", "0x10", "1_000", "١٢", "1e", "--1", "tru"),
    *("null", "true", "false", "{}", "[]", '""', '"\\u0000"', '"\\ud800"', '"a\\"b\\\\c\\/d"', '"\u2028"', '"\x7f"', '" "', '"trade"'),
    *(
        '"1"',
        '["1","1"]',
        '["24",24]',
        '["\\u0031"]',
        '["' + "9" * 9 + '"]',
        '[["1"]]',
        '{"p":1,"p":2}',
        '[{"s":"x"}]',
        '"' + "A" * 5000 + '"',
    ),
    *('"\'; drop table silver.prints; --"', '"%d%b%s"', '"}],\\"type\\":\\"trade\\""', "1763485200000.5", "1e12", "1763485200000000"),
)
PRETENDERS: Final = (
    b'null,"raw":"x"',
    b'null,"raw_base64":"AA=="',
    b'{"raw":"x"}',
    b'"raw":null',
    b'{}}\n{"feed":"finnhub","session":"a/01936b5c-0000-7000-8000-000000000000","seq":0,"received_ns":1,"control":{}}',
    b'{},"control":{"type":"session_closed","cause":"stopped"}',
    b'{"feed":"finnhub","session":"a/01936b5c-0000-7000-8000-000000000000","seq":0,"received_ns":1,"frame":{"type":"ping"}}',
    b'{"feed":"finnhub","session":"a/01936b5c-0000-7000-8000-000000000000","seq":0,"received_ns":1,"control":{"type":"session_closed"}}',
    b'{"control":{"type":"session_closed","cause":"stopped"}}',
    b'{"type":"error","msg":"Invalid symbol SOUNDS"}',
    b'{"type":"error","msg":{"Invalid symbol":1}}',
    b'{"type":"error"}',
    b'{"type":"error","msg":"' + b"\\ud83d\\ude00" * 50 + b'"}',
)
KEYS: Final = ("c", "p", "s", "t", "v")

Fields = dict[str, str]


def write_print(symbol: str, traded_ms: int, *, serial: int) -> Fields:
    """Give one print's fields as JSON texts; the serial makes its price its own."""
    return {"c": '["1","12"]', "p": f"{100 + serial / 10000:.4f}", "s": json.dumps(symbol), "t": str(traded_ms), "v": str(1 + serial % 900)}


def join(*prints: Fields, keys: tuple[str, ...] = KEYS) -> bytes:
    """Give the message that tells these prints."""
    items = ("{" + ",".join(f'"{key}":{each[key]}' for key in keys) + "}" for each in prints)
    return f'{{"data":[{",".join(items)}],"type":"trade"}}'.encode()


def cut_short(traded_ms: int) -> Iterator[bytes]:
    """Give one message truncated at each of its bytes."""
    whole = join(write_print(VICTIM, traded_ms, serial=1), write_print(VICTIM, traded_ms, serial=2))
    return (whole[:length] for length in range(len(whole)))


class Mangler:
    """What can become of a message; each kind is as likely as the others."""

    def __init__(self, seed: int, *, traded_ms: int) -> None:
        self._chance = random.Random(seed)
        self._traded_ms = traded_ms
        self._kinds: tuple[Callable[[], bytes], ...] = (
            *(self._flip, self._mark, self._replace, self._repeat_key, self._nest, self._noise, self._blank),
            *(self._shuffle, self._splice, self._tree, self._text, self._pretend, self._cut),
        )

    def mangle(self) -> bytes:
        """Give the next message."""
        return self._chance.choice(self._kinds)()

    def _sound(self) -> bytes:
        return join(*(self._print() for _ in range(self._chance.randint(1, 3))))

    def _print(self) -> Fields:
        return write_print(VICTIM, self._traded_ms, serial=self._chance.randrange(100_000))

    def _flip(self) -> bytes:
        message = bytearray(self._sound())
        for _ in range(self._chance.randint(1, 3)):
            message[self._chance.randrange(len(message))] ^= 1 << self._chance.randrange(8)
        return bytes(message)

    def _mark(self) -> bytes:
        message = self._sound()
        for _ in range(self._chance.randint(1, 3)):
            place = self._chance.randint(0, len(message))
            message = message[:place] + self._chance.choice(MARKS) + message[place:]
        return message

    def _replace(self) -> bytes:
        """Write a field, the type or the data otherwise."""
        value = self._chance.choice(VALUES)
        place = self._chance.choice((*KEYS, "type", "data", "item"))
        bent = self._print()
        if place in bent:
            return join(self._print(), {**bent, place: value}, self._print())
        data, kind = (value if place == name else usual for name, usual in (("data", "[]"), ("type", '"trade"')))
        return f'{{"data":{f"[{value}]" if place == "item" else data},"type":{kind}}}'.encode()

    def _repeat_key(self) -> bytes:
        key, value = self._chance.choice((*KEYS, "x")), self._chance.choice(VALUES)
        spelt = self._chance.choice((key, "".join(f"\\u{ord(letter):04x}" for letter in key)))
        if self._chance.random() < 0.3:
            return self._sound()[:-1] + f',"{self._chance.choice(("type", "data", "x"))}":{value}}}'.encode()
        bent = self._print()
        return join({**bent, "v": f'{bent["v"]},"{spelt}":{value}'})

    def _nest(self) -> bytes:
        depth = self._chance.choice((1, 10, 127, 128, 512, 900, 960, 990, 1000, 1023, 1024, 1500, 5000))
        begin, end = self._chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
        nested = begin * depth + b"1" + end * self._chance.choice((depth, depth, depth, depth - 1))
        bent = self._print()
        return self._chance.choice((nested, join({**bent, "v": bent["v"] + ',"x":' + nested.decode()}), b'{"type":' + nested + b"}"))

    def _noise(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((1, 2, 7, 64, 125, 126, 127, 300)))

    def _blank(self) -> bytes:
        return "".join(self._chance.choices(" \t\n\r\v\f\u00a0\u2028\ufeff\0", k=self._chance.randrange(6))).encode()

    def _shuffle(self) -> bytes:
        """Tell sound prints in another order of keys, with spaces, and with keys that nobody knows."""
        keys = self._chance.sample(KEYS, k=len(KEYS) - self._chance.choice((0, 0, 0, 1)))
        message = join(self._print(), self._print(), keys=tuple(keys))
        apart = self._chance.choice((b", ", b" ,", b"\t,", b","))
        strange = self._chance.choice((b'{"', b'{"zz":[{"p":1}],"', b'{ "" : null , "'))
        return message.replace(b",", apart).replace(b'{"', strange)

    def _splice(self) -> bytes:
        one, other = self._sound(), self._sound()
        return one[: self._chance.randint(0, len(one))] + other[self._chance.randint(0, len(other)) :]

    def _tree(self) -> bytes:
        text = json.dumps(self._grow(4), ensure_ascii=self._chance.random() < 0.5, allow_nan=True)
        return text.encode(errors="surrogatepass")

    def _grow(self, depth: int) -> Any:
        kind = self._chance.randrange(8 if depth else 5)
        if kind == 5:
            return [self._grow(depth - 1) for _ in range(self._chance.randrange(4))]
        if kind > 5:
            names = ("type", "data", "s", "p", "t", "v", "c", "", "\0", "$.type", "a.b", '"')
            return {self._chance.choice(names): self._grow(depth - 1) for _ in range(self._chance.randrange(5))}
        leaves = (float("nan"), 1e308, 10**30, -0.0, 5e-324, None, True, "trade", self._letters(), self._traded_ms, 0.1, float("inf"))
        return self._chance.choice(leaves)

    def _letters(self) -> str:
        points = (0, 9, 10, 13, 31, 34, 39, 92, 127, 133, 0x2028, 0x2029, 0xD800, 0xDFFF, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF, 65)
        return "".join(map(chr, self._chance.choices(points, k=self._chance.randrange(6))))

    def _text(self) -> bytes:
        return self._letters().encode(errors="surrogatepass")

    def _pretend(self) -> bytes:
        """Imitate what stands in an envelope, or the vendor's errors."""
        return self._chance.choice(PRETENDERS)

    def _cut(self) -> bytes:
        message = self._sound()
        return message[: self._chance.randrange(len(message))]
