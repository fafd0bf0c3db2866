"""The libraries that hold the socket: TLS, what the key is told to, and which one is taken."""

import asyncio
import logging
import shutil
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import Close, Opcode
from websockets.http11 import Request, Response

from tests.live_rig import KEY, TRANSPORTS, Story, Vendor, live, trade
from tests.rig import open_lake
from tests.simulated_time import SimulatedClock, run_simulated
from tests.wire import pack, pack_in_parts, serve_bytes
from ticklake.cli.collect import make_collector
from ticklake.cli.lake import Lake
from ticklake.errors import KeyRefused, SettingsInvalid
from ticklake.feed.finnhub.over_picows import open_picows
from ticklake.feed.finnhub.over_websockets import open_websocket
from ticklake.feed.finnhub.ports import CLOSED_BY_SERVER, CONNECTION_LOST, FRAME_TOO_LARGE, Ending, Terms, Transport
from ticklake.settings import FeedSettings

CERTIFY = (
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "1",
    "-subj",
    "/CN=rig",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
)


LIMIT = 1_000
GOODBYE = pack(Close(1001, "").serialize(), Opcode.CLOSE)
TOO_LARGE = pack(b" " * (LIMIT + 1))
TOO_LARGE_IN_PARTS = pack_in_parts(b" " * (LIMIT + 1), [600])
NO_OPCODE = b"\x83\x01x"
RESERVED_BITS = b"\xf1\x01x"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that this machine issued to itself, and its private key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl, which is not here")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run([*CERTIFY, "-keyout", folder / "key", "-out", folder / "certificate"], check=True, capture_output=True)
    both = folder / "both"
    both.write_bytes((folder / "key").read_bytes() + (folder / "certificate").read_bytes())
    return both


async def trade_once(vendor: Vendor, socket: ServerConnection) -> None:
    await asyncio.sleep(1)
    assert vendor.symbols
    await socket.send(trade("AAPL"))
    await asyncio.Event().wait()


@TRANSPORTS
def test_a_feed_over_tls_is_recorded_if_its_certificate_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, trade_once, certificate=certificate), seconds=5, transport=transport)

    story: Story = run_simulated(run)
    assert [record["frame"]["type"] for record in story.records if "frame" in record] == ["trade"]
    assert [each["cause"] for each in story.controls("session_closed")] == ["stopped"]


@TRANSPORTS
def test_a_server_whose_certificate_nobody_vouches_for_is_told_no_key(certificate: Path, transport: Transport) -> None:
    async def run(clock: SimulatedClock) -> Story:
        return await live(clock, Vendor(clock, trade_once, certificate=certificate), seconds=20, transport=transport)

    story: Story = run_simulated(run)
    assert story.client.attempts > 3
    assert (story.client.connections, story.vendor.attempts) == (0, [])


@TRANSPORTS
def test_the_key_is_told_to_the_server_alone_in_all_of_a_clients_life(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], transport: Transport
) -> None:
    """Refused, cut, closed, refused for good: with every logger at DEBUG, the library's and asyncio's too."""
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "picows", "picows.client", "asyncio", "ticklake"):
        caplog.set_level(logging.DEBUG, logger=name)
    refusals = [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.FOUND, None, None, None, HTTPStatus.UNAUTHORIZED]
    asked: list[str] = []
    records: list[str] = []

    async def run(clock: SimulatedClock) -> None:
        asyncio.get_running_loop().set_debug(True)

        async def admit(_vendor: Vendor, socket: ServerConnection, request: Request) -> Response | None:
            asked.append(request.path)
            status = refusals[len(asked) - 1]
            return socket.respond(status, request.path) if status else None

        async def mistreat(vendor: Vendor, socket: ServerConnection) -> None:
            await asyncio.sleep(1)
            if len(vendor.opened) == 1:
                socket.transport.abort()
            elif len(vendor.opened) == 2:
                await socket.send(b" " * (2 << 20))
            else:
                await socket.close(1011, "went wrong")

        vendor = Vendor(clock, mistreat, admit=admit)
        with pytest.raises(KeyRefused) as refused:
            await live(clock, vendor, seconds=1_000, transport=transport)
        records.append(f"{refused.value!r} {refused.value.hint} {refused.getrepr(showlocals=False)}")

    run_simulated(run)
    assert len(asked) == len(refusals)
    assert all(KEY in path for path in asked)
    told = capfd.readouterr()
    assert KEY not in caplog.text + told.out + told.err + "".join(records)


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        ([TOO_LARGE], FRAME_TOO_LARGE),
        ([TOO_LARGE, GOODBYE], FRAME_TOO_LARGE),
        ([TOO_LARGE_IN_PARTS, NO_OPCODE], FRAME_TOO_LARGE),
        ([NO_OPCODE, GOODBYE], CONNECTION_LOST),
        ([RESERVED_BITS, TOO_LARGE], CONNECTION_LOST),
        ([RESERVED_BITS, GOODBYE], CONNECTION_LOST),
        ([GOODBYE, NO_OPCODE], CLOSED_BY_SERVER),
        ([GOODBYE, TOO_LARGE], CLOSED_BY_SERVER),
    ],
)
@TRANSPORTS
def test_what_is_read_together_is_kept_up_to_the_first_frame_that_ends_the_connection_and_that_is_the_cause(
    broken: list[bytes], cause: str, transport: Transport
) -> None:
    kept: list[bytes] = []

    async def tell(socket: ServerConnection) -> None:
        socket.transport.write(b"".join([pack(b"first"), pack_in_parts(b"second", [3]), *broken, pack(b"behind")]))
        await asyncio.Event().wait()

    async def run() -> Ending:
        async with serve_bytes(tell, wishes=0) as port:
            socket = await transport(f"ws://127.0.0.1:{port}", Terms(LIMIT, handshake_seconds=10, close_seconds=0.2))

            def keep(message: bytes) -> None:
                kept.append(message)
                socket.pause()
                socket.resume()  # what was paused for a disk is read on: not so what was given up

            socket.listen(keep)
            return await socket.ended()

    ending = asyncio.run(run())
    assert kept == [b"first", b"second"]
    assert ending.cause == cause


@pytest.mark.parametrize(
    ("name", "transport"),
    [("auto", open_picows), ("picows", open_picows), ("websockets", open_websocket)],
    ids=["auto", "picows", "websockets"],
)
def test_the_setting_says_which_library_holds_the_socket(lake: Lake, name: str, transport: Transport) -> None:
    assert find_transport(lake, name) is transport


def test_without_picows_the_other_library_is_taken_unless_it_is_asked_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picows", None)
    monkeypatch.delitem(sys.modules, "ticklake.feed.finnhub.over_picows")
    assert find_transport(lake, "auto") is open_websocket
    with pytest.raises(SettingsInvalid, match="not installed") as refused:
        find_transport(lake, "picows")
    assert "ticklake[fast]" in refused.value.hint


def find_transport(lake: Lake, name: str) -> Transport:
    """Build a collector by the setting; give what it connects with."""
    settings = lake.settings.model_copy(update={"feed": FeedSettings(transport=name)})
    there = open_lake(lake.home.root)
    there.settings = settings
    log = there.open_log_writer()
    try:
        return make_collector(there, log, url="ws://127.0.0.1:9", key=KEY, symbols=["AAPL"]).client._transport
    finally:
        log.close()
