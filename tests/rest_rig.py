"""An exchange's REST on loopback, in a thread of its own, beside whoever asks; and a vendor that answers by a script."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec
from click.testing import CliRunner, Result
from websockets.asyncio.client import connect

from tests.unit.fakes import FakeClock
from ticklake.cli.main import cli
from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.finnhub.budget import Budget
from ticklake.feed.finnhub.rest import FinnhubRest, Patience

KEY: Final = "canary-7c2e"
DAY: Final = "2025-11-18"
"""The day that the exchange tells."""

Reply = tuple[int, bytes]


@contextmanager
def serve_exchange(exchange: Exchange, *, to_the_end: bool = False) -> Iterator[str]:
    """Give the address of an exchange's REST; with its day told to its end, if that is asked for."""
    loop = asyncio.new_event_loop()
    started: asyncio.Future[int] = loop.create_future()
    ending = asyncio.Event()

    async def stand() -> None:
        async with exchange.open("127.0.0.1", 0) as port:
            if to_the_end:
                await _hear_day(exchange, port)
            started.set_result(port)
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(stand()))
    ready = threading.Event()
    started.add_done_callback(lambda _: ready.set())
    thread.start()
    try:
        assert ready.wait(60)
        yield f"http://127.0.0.1:{started.result()}/api/v1"
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(60)
        loop.close()


async def _hear_day(exchange: Exchange, port: int) -> None:
    """Listen until all is told."""
    async with connect(f"ws://127.0.0.1:{port}?token={KEY}", compression=None) as socket:
        await socket.send(msgspec.json.encode({"type": "subscribe", "symbol": "AAPL"}).decode())

        async def drain() -> None:
            async for _ in socket:
                pass

        draining = asyncio.create_task(drain())
        async with asyncio.timeout(60):
            await exchange.finished.wait()
        draining.cancel()


def make_premium(clock: Clock | None = None, *, prints: int = 2_000, **plan: Any) -> Exchange:
    """Give an exchange whose key may ask for all, and often, unless something else is said."""
    granted = Plan(KEY, **{"is_premium": True, "requests_per_minute": 1_000, **plan})
    return Exchange(3, prints=prints, plan=granted, clock=clock or FakeClock())


def make_rest(
    url: str, *, clock: FakeClock | None = None, key: str = KEY, per_minute: int = 60, per_second: int = 30, **patience: Any
) -> FinnhubRest:
    """Give a client whose waits pass at once."""
    own = clock or FakeClock()
    budget = Budget(own, requests_per_minute=per_minute, requests_per_second=per_second)
    return FinnhubRest(url=url, key=key, budget=budget, clock=own, patience=Patience(**patience))


class Vendor:
    """A real HTTP server that gives its replies in turn, the last one for ever; a reply of 0 cuts the connection."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each."""

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serve_replies(*replies: Reply, on_request: Callable[[], None] = lambda: None, retry_after: str = "") -> Iterator[tuple[str, Vendor]]:
    """Give the address of a vendor that answers so, and the vendor."""
    vendor = Vendor(replies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vendor.requests.append((self.path, dict(self.headers)))
            on_request()
            status, body = vendor.next_reply()
            if not status:
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 — the signature is the library's

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v1", vendor
        finally:
            server.shutdown()
            thread.join(60)


def ask_backfill(home: Path, *words: str) -> Result:
    """Run `ticklake backfill …` in this process."""
    return CliRunner().invoke(cli, ["--home", str(home), "backfill", *words])


def plan_backfill(home: Path, *words: str) -> list[dict[str, Any]]:
    """Give the questions of a dry run."""
    done = ask_backfill(home, *words, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["questions"]
    return found
