"""Whatever comes over the socket lands as it came, is read or quarantined, and stops nothing and nobody's trade."""

import asyncio
import base64
import itertools
import random
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import Opcode

from tests.live_rig import KEY, QUICK, TRANSPORTS, controls
from tests.mangled import SYMBOL, VICTIM, Mangler, cut_short, join, write_print
from tests.rig import DEPTH, build, find_unbalanced, land, open_lake, verify_lake
from tests.wire import pack, pack_anyhow, pack_in_parts, serve_bytes, settle
from ticklake.audit.identity import judge_prints
from ticklake.audit.read import read_prints
from ticklake.audit.seeds import read_seeds
from ticklake.audit.subscriptions import Subscriptions
from ticklake.cli.lake import Lake
from ticklake.contracts.codec import decode_object
from ticklake.contracts.frame import ENVELOPE, MAX_FRAME_BYTES, is_embeddable
from ticklake.contracts.objects import LANDING_PREFIX
from ticklake.feed.finnhub.client import FinnhubClient
from ticklake.feed.finnhub.over_picows import open_picows
from ticklake.feed.finnhub.over_websockets import open_websocket
from ticklake.feed.finnhub.ports import Transport
from ticklake.feed.recorder import Recorder
from ticklake.locks import hold_stage

pytestmark = pytest.mark.no_cover  # builds: tracing dbt would double their time

HOSTILE: Final = 10_000
HOSTILE_AGAIN: Final = 1_000
"""As many over the other library: what becomes of them behind the socket is the same."""
BATCH: Final = 500
SETTLINGS: Final = 3
"""Answers by which the client has recorded its symbols as observed: it waits for two of its own."""

LONG: Final = msgspec.structs.replace(QUICK, silence_seconds=60.0, close_seconds=1.0)


async def send_all(lake: Lake, sendings: list[list[bytes]], transport: Transport) -> FinnhubClient:
    """Put bytes on connections of the real client, each on one of its own; give the client when all were read."""
    waiting, done = list(sendings), asyncio.Event()

    async def tell(socket: ServerConnection) -> None:
        if not waiting:
            done.set()
            return
        sending = waiting.pop(0)
        for _ in range(SETTLINGS):
            await settle(socket)
        for begin in range(0, len(sending), BATCH):  # never half a frame: the library answers pings between two writes
            socket.transport.write(b"".join(sending[begin : begin + BATCH]))
            await socket.drain()
        await settle(socket)
        if waiting:
            socket.transport.abort()
        else:
            done.set()

    recorder = Recorder(lake.open_log_writer(), feed="finnhub", collector="rig", clock=lake.clock)
    async with serve_bytes(tell, wishes=2) as port:
        client = FinnhubClient(
            recorder,
            url=f"ws://127.0.0.1:{port}",
            key=KEY,
            symbols=[SYMBOL, VICTIM],
            clock=lake.clock,
            limits=LONG,
            chance=random.Random(1),
            transport=transport,
        )
        collecting = asyncio.create_task(client.collect())
        async with asyncio.timeout(120):
            await asyncio.wait([collecting, asyncio.create_task(done.wait())], return_when=asyncio.FIRST_COMPLETED)
            client.stop()
            await collecting
    return client


def collect_bytes(lake: Lake, *sendings: list[bytes], transport: Transport) -> FinnhubClient:
    """The same, from outside of any loop."""
    with hold_stage(lake.home.locks, "log"):
        return asyncio.run(send_all(lake, list(sendings), transport))


def give_back(record: bytes) -> bytes | None:
    """Read a message out of its record, as DESIGN says it stands there; nothing of a control record."""
    found = ENVELOPE.fullmatch(record)
    assert found is not None, record[:200]
    body = found["body"]
    if found["kind"] == b"control":
        return None
    if not body.startswith(b'null,"raw'):
        assert is_embeddable(body)
        return body
    other = msgspec.json.decode(b'{"frame":' + body + b"}")
    raw = other["raw"].encode() if "raw" in other else base64.b64decode(other["raw_base64"])
    assert not is_embeddable(raw)
    return bytes(raw)


def give_all_back(records: list[bytes]) -> list[bytes]:
    """Give the messages of records, in order."""
    return [message for message in map(give_back, records) if message is not None]


def read_log(lake: Lake) -> list[bytes]:
    """Give what the log holds, as it is."""
    return [record.value for record in lake.log.read(0, 0, max_records=1_000_000)]


def judge_as_auditor(lake: Lake) -> list[tuple[int, int, str]]:
    """Give each print's place and what is wrong with it, by code that the warehouse does not know."""
    feeds, subscriptions = read_seeds(lake.seeds).feeds, Subscriptions()
    prints = read_prints(lake.store, lake.store.list(LANDING_PREFIX), feeds, subscriptions=subscriptions)
    return sorted((each.offset, each.print_index, each.reason) for each in judge_prints(prints, feeds, subscriptions))


def landed_records(lake: Lake) -> list[bytes]:
    """Give what landing holds, in order; a record is a line, whatever its message was."""
    return [line for key in lake.store.list(LANDING_PREFIX) for line in decode_object(key, lake.store.read(key))[:-1].split(b"\n")]


@pytest.mark.parametrize(("transport", "hostile"), [(open_websocket, HOSTILE), (open_picows, HOSTILE_AGAIN)], ids=["websockets", "picows"])
def test_hostile_messages_land_as_they_came_and_spoil_nothing(tmp_path: Path, transport: Transport, hostile: int) -> None:
    lake = open_lake(tmp_path / "home", object_records=2_000)
    now_ms = lake.clock.now_ns() // 1_000_000
    chance, mangler = random.Random(5), Mangler(7, traded_ms=now_ms)
    messages = [*cut_short(now_ms), *(mangler.mangle() for _ in range(hostile * DEPTH))]
    serials = itertools.count()
    for place in sorted(chance.choices(range(len(messages)), k=len(messages) // 10), reverse=True):
        messages.insert(place, join(*(write_print(SYMBOL, now_ms, serial=next(serials)) for _ in range(3))))
    client = collect_bytes(lake, [pack_anyhow(message, chance) for message in messages], transport=transport)
    land(lake)
    build(lake)

    assert client.connections == 1
    assert give_all_back(read_log(lake)) == messages
    assert give_all_back(landed_records(lake)) == messages
    sound = lake.query("select price, size from silver.trades where symbol = $symbol order by price", {"symbol": SYMBOL}).rows
    assert sound == [(Decimal(1_000_000 + serial) / 10_000, 1 + serial % 900) for serial in range(next(serials))]
    in_bronze = lake.query("select coalesce(frame, raw) from bronze.frames where kind <> 'control' order by log_offset").rows
    assert len(in_bronze) == len(messages)
    found = lake.query("select log_offset, print_index, coalesce(reason, '') from silver.prints order by all").rows
    assert found == judge_as_auditor(lake)
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds


@pytest.mark.parametrize(
    ("wide", "is_kept"),
    [
        (b"{" + b" " * (MAX_FRAME_BYTES - 2) + b"}", True),
        (b"\x00" * MAX_FRAME_BYTES, True),
        (b"\xff" * MAX_FRAME_BYTES, True),
        ((b"[]" * 600 + b'"\\' * MAX_FRAME_BYTES)[:MAX_FRAME_BYTES], True),
        (b"{" + b" " * (MAX_FRAME_BYTES - 1) + b"}", False),
        (b"\xff" * (MAX_FRAME_BYTES + 1), False),
    ],
    ids=[
        "as JSON",
        "as text, six bytes for each",
        "as base64",
        "a text that never ends, again and again",
        "one byte over",
        "one byte over, not UTF-8",
    ],
)
@TRANSPORTS
def test_a_message_may_have_one_mebibyte_whole_or_in_parts(lake: Lake, wide: bytes, transport: Transport, *, is_kept: bool) -> None:
    sound = join(write_print(SYMBOL, lake.clock.now_ns() // 1_000_000, serial=1))
    in_parts = pack_in_parts(wide, [MAX_FRAME_BYTES // 2], Opcode.BINARY)
    client = collect_bytes(lake, [pack(sound), pack(wide), pack(sound)], [pack(sound), in_parts, pack(sound)], transport=transport)
    messages = give_all_back(read_log(lake))
    causes = [control["cause"] for control in controls(lake, "session_closed")]
    if is_kept:
        assert messages == [sound, wide, sound] * 2
        assert causes == ["connection_lost", "stopped"]
    else:
        assert messages == [sound] * 2  # what came behind it on its connection, nobody reads
        assert causes == ["frame_too_large", "frame_too_large", "stopped"]
    assert client.connections == len(causes)


@TRANSPORTS
def test_a_message_that_is_too_large_is_a_gap_and_what_fits_is_built(lake: Lake, transport: Transport) -> None:
    now_ms = lake.clock.now_ns() // 1_000_000
    before, after = (pack(join(write_print(SYMBOL, now_ms, serial=serial))) for serial in (1, 2))
    widest = [pack(wide * MAX_FRAME_BYTES) for wide in (b"\x00", b"\xff", b"[", b'"', b" ")]
    collect_bytes(lake, [before, *widest, pack(b"[" * (MAX_FRAME_BYTES + 1))], [after], transport=transport)
    land(lake)
    build(lake)

    gaps = lake.query("select symbol, from_ns, to_ns from silver.feed_gaps where cause = 'frame_too_large' order by symbol").rows
    assert [symbol for symbol, *_ in gaps] == [SYMBOL, VICTIM]
    (heard,), (again,) = lake.query("select received_ns from silver.trades where symbol = $symbol order by all", {"symbol": SYMBOL}).rows
    assert all(heard < from_ns < to_ns < again for _, from_ns, to_ns in gaps)
    assert lake.query("select reason, count(*) from silver.prints where reason is not null group by all").rows == [
        ("malformed", len(widest))
    ]
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds


@pytest.mark.parametrize(
    "broken",
    [
        *(b"\xf1\x01x", b"\x83\x01x", b"\x8b\x00", b"\x80\x01x", b"\x01\x01x\x81\x01x", b"\x09\x00", b"\x89\x7e\x00\x7e" + b"x" * 126),
        *(b"\x81\x81\x00\x00\x00\x00x", b"\x88\x01x", b"\x88\x02\x03\xed", b"\x88\x03\x03\xe8\xff"),
        *(
            b"\x81\xff" + b"\xff" * 8,
            b"\x81\x7f\x80" + b"\x00" * 7,
            b"\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
            b"HTTP/1.1 400 Bad Request\r\n" * 9,
        ),
    ],
)
@TRANSPORTS
def test_a_socket_that_breaks_its_own_protocol_costs_its_connection_alone(lake: Lake, broken: bytes, transport: Transport) -> None:
    sound, other = (join(write_print(SYMBOL, lake.clock.now_ns() // 1_000_000, serial=serial)) for serial in (1, 2))
    together = [pack(sound), pack_in_parts(other, [9, 9]), broken, pack(sound)]
    client = collect_bytes(lake, together, [pack(other)], transport=transport)
    assert give_all_back(read_log(lake)) == [sound, other, other]
    first, last = (control["cause"] for control in controls(lake, "session_closed"))
    assert first in {"connection_lost", "closed_by_server", "frame_too_large"}
    assert last == "stopped"
    assert client.connections == 2
