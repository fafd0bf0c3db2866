"""A difficult week for the order of arrival: records of several logs, as objects that can be revealed in any order.

    natural    each log cut into objects that follow one another, as one lander makes them
    overlaps   objects that repeat a range of offsets which others hold, as a second lander would have made them

In it: twins, frames that were sent again (in the same log and in the next one), late prints by seconds and by days,
prints around midnight UTC and around the border of the trading day in winter, prints of every session, symbols that
trade round the clock, and all that ends in quarantine.
"""

import json
import random
from collections.abc import Iterator
from typing import Final

from tests.rig import Session, Tick, utc_ms
from ticklake.contracts.codec import encode_object
from ticklake.contracts.objects import ObjectKey

LOGS: Final = 8
OBJECT_RECORDS: Final = 9
FEEDS: Final = ("finnhub", "demo", "recording")
NIGHTS: Final = ("2024-01-10", "2024-01-11", "2024-07-03")

# New York is five hours behind UTC in January: the post market ends at 01:00, the trading day at 05:00.
MOMENTS: Final = ("04:59:59.998", "05:00:00", "08:59:59.999", "09:00:00", "14:29:59.999", "14:30:00", "17:02", "20:59:59.999", "21:00:00")
AFTER_DARK: Final = ("23:59:59.998", "23:59:59.999")
CODES: Final = ((), None, ("1",), ("12",), ("24",), ("24", "12"), ("16",), ("20",), ("41", "8"), ("99",))
MARKS: Final = (("19",), ("36", "41"), ("30",), ("9", "24"), ("21",))
"""Codes that reach beyond their five minutes: the auctions, and prices that count only if they are the day's first."""

GARBAGE: Final = (
    b"not json",
    b'{"type":"ping"}',
    b'{"type":"error","msg":"Subscribing to too many symbols"}',
    b'{"type":"trade","data":7}',
    b'{"data":[{"p":1,"s":"%b","t":1704906000000,"v":1}],"type":"trade","type":"trade"}',
    b'{"data":[{"p":1,"p":2,"s":"%b","t":1704906000000,"v":1},{"p":3,"s":"%b","t":1704906000000,"v":1}],"type":"trade"}',
    b'{"data":[{"p":0.000000001,"s":"%b","t":1704906000000,"v":1}],"type":"trade"}',
    b'{"data":[{"s":"%b","t":1704906000000,"v":1}],"type":"trade"}',
    b'{"data":[{"p":"5","s":"%b","t":1704906000000,"v":1}],"type":"trade"}',
)


def make_logs(seed: int) -> dict[str, list[bytes]]:
    """Give the records of each log, by its id; some frames are in two of them."""
    choose = random.Random(seed)
    logs: dict[str, list[bytes]] = {}
    last_sent: list[bytes] = []
    for number in range(LOGS):
        records = list(_records(choose, number)) + last_sent
        sent_again = choose.sample(records, 12)
        for record in sent_again:
            records.insert(choose.randrange(len(records)), record)
        last_sent = sent_again[:4]
        logs[f"log{LOGS - number}"] = records  # so that the copies in the next log come first in the order of places
    return logs


def cut_objects(logs: dict[str, list[bytes]], seed: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Give the natural objects and the overlapping ones, by key."""
    choose = random.Random(seed)
    natural, overlaps = {}, {}
    for log_id, records in logs.items():
        for first in range(0, len(records), OBJECT_RECORDS):
            natural[str(ObjectKey(log_id, 0, first))] = encode_object(records[first : first + OBJECT_RECORDS])
        for _ in range(5):
            first = choose.choice([place for place in range(1, len(records)) if place % OBJECT_RECORDS])
            overlaps[str(ObjectKey(log_id, 0, first))] = encode_object(records[first : first + choose.randrange(1, 4 * OBJECT_RECORDS)])
    return natural, overlaps


def _records(choose: random.Random, number: int) -> Iterator[bytes]:
    session = Session(feed=FEEDS[number % len(FEEDS)], number=number)
    symbols = (f"AAPL{number}", f"IBM{number}", f"BINANCE:BTCUSDT{number}", f"OANDA:EUR_USD{number}")
    moments = [utc_ms(f"{night} {moment}") for night in NIGHTS for moment in (*MOMENTS, *AFTER_DARK)]
    moments += [utc_ms("2024-01-12 00:00"), utc_ms("2024-01-12 00:59:59.999"), utc_ms("2024-01-12 01:00")]
    yield session.control("session_opened", received_ms=moments[0])
    past: list[Tick] = []
    for turn, moment in enumerate(sorted(moments)):
        if session.feed == "finnhub" and turn == 4:  # prints came before the session says what it asks for
            yield session.control("subscribing", received_ms=moment, symbols=symbols[:2])
        if session.feed == "finnhub" and turn == 9:
            yield session.control("subscribed", received_ms=moment, symbols=symbols[1:3], without_slot=[])
        for _ in range(3):
            received_ms = moment + choose.randrange(3)
            ticks = [_tick(choose, symbols, received_ms) for _ in range(choose.randrange(1, 5))]
            if past:  # twins, late by a little or by days
                ticks += choose.choices(past, k=choose.randrange(3))
            past += ticks
            yield session.frame(ticks, received_ms=received_ms)
        yield session.control("heartbeat", received_ms=moment + 5)
        garbage = choose.choice(GARBAGE)
        yield session.raw(garbage.replace(b"%b", choose.choice(symbols).encode()), received_ms=moment + 6)
    yield session.control("session_closed", received_ms=moments[-1] + 10, cause="end")
    for page in range(2):  # the tape of the same days, in pages that overlap by half
        asked = Session(feed="finnhub_tick", number=200 + 10 * number + page)
        yield asked.control("session_opened", received_ms=moments[-1] + 20)
        yield asked.raw(_answer([tick for tick in past if tick.symbol == symbols[0]], page), received_ms=moments[-1] + 20)
        yield asked.control("session_closed", received_ms=moments[-1] + 20, cause="answered")
    for price, later_ms in ((11, 1), (10, 2), (11, 3)):  # a vendor's bars, which it corrected, and again; and a split
        asked = Session(feed="finnhub_candle", number=300 + 20 * number + price)
        question = {"symbol": symbols[0], "resolution": "D", "from": 1704844800, "to": 1704931200}
        yield asked.control("session_opened", received_ms=moments[-1] + later_ms, path="/stock/candle", parameters=question)
        seconds = [1704844800, 1704931200][: 12 - price]
        arrays = ",".join(f'"{key}":{[price + place for place in range(len(seconds))]}' for key in "ohlcv")
        yield asked.raw(f'{{{arrays},"t":{seconds},"s":"ok"}}'.encode(), received_ms=moments[-1] + later_ms)
        yield asked.control("session_closed", received_ms=moments[-1] + later_ms, cause="answered")
    asked = Session(feed="finnhub_split", number=700 + number)
    split = f'{{"symbol":"{symbols[0]}","date":"2024-01-11","fromFactor":1,"toFactor":{2 + number}}}'
    yield asked.control("session_opened", received_ms=moments[-1], path="/stock/split", parameters={"symbol": symbols[0]})
    yield asked.raw(f"[{split}]".encode(), received_ms=moments[-1])
    yield Session(feed="elsewhere", number=100 + number).frame(past[:2], received_ms=moments[-1])


def _answer(ticks: list[Tick], page: int) -> bytes:
    """Give a page of what /stock/tick answers, about a symbol of its own."""
    half = len(ticks) // 3
    shown = ticks[half * page : half * (page + 2)]
    columns = {
        "p": [tick.price for tick in shown],
        "v": [tick.size for tick in shown],
        "t": [str(tick.traded_ms) for tick in shown],
        "c": [json.dumps(tick.conditions) for tick in shown],
    }
    arrays = ",".join(f'"{key}":[{",".join(texts)}]' for key, texts in columns.items())
    return f'{{"s":"{ticks[0].symbol}T","skip":{half * page},"count":{len(shown)},"total":{len(ticks)},{arrays}}}'.encode()


def _tick(choose: random.Random, symbols: tuple[str, ...], received_ms: int) -> Tick:
    price = choose.choice(("190.1", "190.12", "190.13345678", "1e2", "0", "-3"))
    size = choose.choices(("100", "1", "0.00000001", "0", "-1"), weights=(6, 3, 2, 2, 1))[0]
    late_ms = choose.choices((0, 1, 4_000, 90_000, 3_600_000, 86_400_000), weights=(9, 4, 2, 2, 1, 1))[0]
    traded_ms = received_ms - late_ms
    clock = choose.random()
    if clock < 0.02:
        traded_ms //= 1000  # seconds taken for milliseconds
    elif clock < 0.04:
        traded_ms *= 1000
    elif clock < 0.06:
        traded_ms += 61_000 + late_ms
    return Tick(choose.choice(symbols), traded_ms, price, size, choose.choice(CODES + MARKS))
