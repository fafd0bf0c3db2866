"""The peer of our collector, as its users write it: `websocket-client`, `json`, and a loop over the trades that inserts each.

The same durability: SQLite in WAL mode, synchronous FULL, a commit every 10 ms.

Run        python -m bench.loop URL FOLDER     ends when the server closes; prints a Collected as JSON
"""

import json
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import websocket

from bench.collector import Collected, peak_bytes, percentiles, spent_seconds
from bench.load import PRINTS, SYMBOLS

COMMIT_SECONDS: Final = 0.01
INSERT: Final = "insert into trades (symbol, price, traded_ms, size, conditions, received_ns) values (?, ?, ?, ?, ?, ?)"


class Loop:
    """A socket, a database, and what happens between them."""

    def __init__(self, url: str, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "trades.sqlite")
        self._database.executescript(
            "pragma journal_mode = wal; pragma synchronous = full;"
            "create table trades (symbol text, price real, traded_ms integer, size real, conditions text, received_ns integer);"
        )
        self._socket = websocket.WebSocketApp(url, on_open=self._subscribe, on_message=self._insert)
        self._waiting: list[tuple[int, int]] = []
        self._committed = time.monotonic()
        self._before = spent_seconds()
        self._durable_ms: list[float] = []
        self._stored_ms: list[float] = []
        self._frames = 0

    def run(self) -> Collected:
        """Insert trades until told to stop."""
        signal.signal(signal.SIGTERM, lambda *_: self._commit())  # what waits is committed at once; then the server closes
        self._socket.run_forever()
        self._commit()
        cpu_seconds = spent_seconds() - self._before
        rows, frames = self._database.execute(f"select count(*), count(*) / {PRINTS} from trades").fetchone()  # noqa: S608 — our own number
        collected = Collected(self._frames, cpu_seconds, peak_bytes(), lost=self._frames - frames, doubled=rows - frames * PRINTS)
        if self._durable_ms:
            collected.durable_ms, collected.stored_ms = percentiles(self._durable_ms), percentiles(self._stored_ms)
        return collected

    def _subscribe(self, socket: websocket.WebSocketApp) -> None:
        for symbol in SYMBOLS:
            socket.send(json.dumps({"type": "subscribe", "symbol": symbol}))
        self._before = spent_seconds()

    def _insert(self, _socket: websocket.WebSocketApp, text: str) -> None:
        received_ns = time.time_ns()
        message: dict[str, Any] = json.loads(text)
        if message["type"] == "trade":
            for trade in message["data"]:
                codes = ",".join(trade["c"] or ())
                self._database.execute(INSERT, (trade["s"], trade["p"], trade["t"], trade["v"], codes, received_ns))
            first = message["data"][0]
            self._waiting.append((received_ns, first["t"] * 1_000_000 + int(first["p"] - 1) * 1000))
            self._frames += 1
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def _commit(self) -> None:
        self._database.commit()
        durable_ns = time.time_ns()
        self._committed = time.monotonic()
        self._durable_ms += [(durable_ns - received_ns) / 1e6 for received_ns, _ in self._waiting]
        self._stored_ms += [(durable_ns - sent_ns) / 1e6 for _, sent_ns in self._waiting]
        self._waiting.clear()


if __name__ == "__main__":
    print(msgspec.json.encode(Loop(sys.argv[1], Path(sys.argv[2])).run()).decode())
