"""`ticklake collect` as its users start it: one connection a key, a way out of a full disk."""

import asyncio
import os
import queue
import re
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.conftest import assert_said, run_cli
from tests.live_rig import KEY
from tests.rig import Running, start_ticklake, utc_ms
from ticklake.cli.collect import _read_hours, open_collector
from ticklake.cli.lake import Lake
from ticklake.errors import HomeUnwritable, SettingsInvalid, StageLocked
from ticklake.feed.finnhub.client import read_host
from ticklake.locks import hold_key, holder

NOWHERE = "ws://127.0.0.1:9"
"""The port of `discard`, where nobody listens."""


@contextmanager
def collecting(home: Path, *words: str, locks: Path) -> Iterator[Running]:
    """A collector in another process; its key is in its environment alone."""
    environment = {"TICKLAKE_FEED__KEY": KEY, "TICKLAKE_FEED__KEY_LOCKS": str(locks), "TICKLAKE_LOG__LEVEL": "debug"}
    with start_ticklake(home, "collect", "AAPL", "MSFT", *words, environment=environment) as running:
        yield running


def test_a_second_collector_with_the_key_is_refused_from_another_home_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = tmp_path / "keys"
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    monkeypatch.setenv("TICKLAKE_FEED__KEY_LOCKS", str(locks))
    with collecting(tmp_path / "first", "--url", NOWHERE, locks=locks) as first:
        first.wait_for("feed_unreachable")
        arguments = Path(f"/proc/{first.process.pid}/cmdline").read_bytes()
        second = run_cli(tmp_path / "second", "collect", "AAPL", "--url", NOWHERE)
        assert_said(second, f"process {first.process.pid} already collects from 127.0.0.1:9", f"kill {first.process.pid}", exit_code=4)
        names = [path.name for path in locks.iterdir()]
        first.process.send_signal(signal.SIGTERM)
        code, stdout = first.end()
    assert (code, len(names)) == (1, 1)
    assert [line for line in first.seen if line.startswith("error: no connection to the feed came about")]
    assert re.fullmatch(r"[0-9a-f]{32}\.lock", names[0])
    assert KEY not in stdout + second.stdout + second.stderr + "".join(first.seen)
    assert KEY.encode() not in arguments
    assert not [path for path in tmp_path.rglob("*") if KEY in path.name or (path.is_file() and KEY.encode() in path.read_bytes())]


def test_a_key_is_free_again_and_another_key_or_server_never_was_taken(tmp_path: Path) -> None:
    locks = tmp_path / "keys"
    with hold_key(locks, server="a", key="one"):
        with hold_key(locks, server="a", key="two"), hold_key(locks, server="b", key="one"):
            pass
        with pytest.raises(StageLocked, match="already collects from a with this key"), hold_key(locks, server="a", key="one"):
            pytest.fail("a key was held twice")
    with hold_key(locks, server="a", key="one"):
        names = [path.stem for path in locks.iterdir()]
    assert len(names) == 3
    assert [holder(locks, name) for name in names] == [None] * 3


def test_the_folder_of_keys_is_for_all_users_of_the_host(tmp_path: Path) -> None:
    locks = tmp_path / "keys"
    with hold_key(locks, server="a", key="one"):
        assert oct(locks.stat().st_mode)[-4:] == "1777"
        (file,) = locks.iterdir()
        assert oct(file.stat().st_mode)[-3:] == "666"
    file.unlink()
    file.symlink_to(tmp_path / "somewhere")
    with pytest.raises(HomeUnwritable, match="cannot be used") as refused, hold_key(locks, server="a", key="one"):
        pytest.fail("a link was followed")
    assert "TICKLAKE_FEED__KEY_LOCKS" in refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_of_the_host_is_refused_and_has_its_turn_later() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as shared:
        Path(shared).chmod(0o755)
        locks = Path(shared) / "keys"
        with hold_key(locks, server="a", key="one"):
            assert try_as_nobody(locks) == "refused"
        assert try_as_nobody(locks) == "held"


def try_as_nobody(locks: Path) -> str:
    """Take the key as another user, in another process; say how it went."""
    child = os.fork()
    if child == 0:
        os.setuid(65_534)
        try:
            with hold_key(locks, server="a", key="one"):
                os._exit(0)
        except StageLocked:
            os._exit(4)
        finally:
            os._exit(1)
    return {0: "held", 4: "refused"}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "failed")


def test_a_collector_works_in_another_thread_and_is_stopped_from_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    monkeypatch.setenv("TICKLAKE_FEED__KEY_LOCKS", str(tmp_path / "keys"))
    started: queue.Queue[asyncio.AbstractEventLoop] = queue.Queue()
    with open_collector(Lake.at(tmp_path / "home").open(), symbols=["AAPL"], url=NOWHERE) as collector:

        async def work() -> None:
            started.put(asyncio.get_running_loop())
            await collector.client.collect()

        thread = threading.Thread(target=asyncio.run, args=(work(),))
        thread.start()
        started.get(timeout=30).call_soon_threadsafe(collector.client.stop)
        thread.join(timeout=30)
        assert not thread.is_alive()
        assert collector.tally()["connections"] == 0


@pytest.mark.parametrize(
    ("symbol", "moment", "expected"),
    [
        ("AAPL", "2025-11-18 15:00", True),
        ("AAPL", "2025-11-18 14:25", False),
        ("AAPL", "2025-11-18 21:00", False),
        ("AAPL", "2025-11-27 16:00", False),
        ("AAPL", "2025-11-22 16:00", False),
        ("VOD.L", "2025-11-18 09:00", True),
        ("VOD.L", "2025-11-18 17:00", False),
        ("BINANCE:BTCUSDT", "2025-11-22 03:00", True),
    ],
)
def test_silence_is_strange_in_the_regular_session_alone(lake: Lake, symbol: str, moment: str, *, expected: bool) -> None:
    assert _read_hours(lake.seeds)(symbol, utc_ms(moment) * 1_000_000) is expected


def test_a_second_ctrl_c_does_not_wait_for_a_full_disk_and_tells_what_is_lost(tmp_path: Path) -> None:
    simulate = ("simulate", "--port", "0", "--prints", "60000")
    with start_ticklake(tmp_path / "exchange", *simulate, environment={"TICKLAKE_FEED__KEY": KEY}) as exchange:
        assert exchange.process.stdout is not None
        url = re.search(rb"ws://127.0.0.1:\d+", exchange.process.stdout.readline())
        assert url is not None
        with collecting(tmp_path / "home", "--url", url[0].decode(), locks=tmp_path / "keys") as collector:
            resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
            collector.wait_for("log_stalled")
            collector.process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                collector.process.wait(timeout=1.5)  # it waits for the disk: nothing is lost yet
            collector.process.send_signal(signal.SIGINT)
            code, stdout = collector.end(seconds=10)
    assert (code, stdout) == (1, "")
    said = "\n".join(collector.seen)
    lost = re.search(r"error: .*no space left.*: ([\d,]+) records were not durable", said)
    assert lost, said
    assert int(lost[1].replace(",", "")) > 0
    assert "hint: " in said
    assert "warning: the log cannot be written, and the feed waits: " in said
    assert "Traceback" not in said


def test_a_feed_that_is_not_reached_is_told_once_and_an_error_at_the_end_and_this_machine_asks_for_no_key(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "collect", "AAPL", "--url", "ws://127.0.0.1:1", "--seconds", "2")
    assert_said(done, "error: no connection to the feed came about, in ", "hint:  check the network and the address")
    assert done.stderr.count("warning: the feed at 127.0.0.1:1 cannot be reached, and is tried again and again: ") == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3


WITH_A_KEY = [
    f"wss://ws.finnhub.io?token={KEY}",
    f"wss://{KEY}@ws.finnhub.io",
    f"ws://127.0.0.1:99999/{KEY}",
    f"ws:///{KEY}",
    f"http://{KEY}",
]


@pytest.mark.parametrize("url", [*WITH_A_KEY, "ws://" + "x" * 70, "ws://a..b"])
def test_what_is_no_address_of_a_socket_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read_host(url)
    assert KEY not in refused.value.what + refused.value.hint
    assert "wss://ws.finnhub.io" in refused.value.hint


def test_an_address_with_a_key_in_it_is_refused_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_FEED__KEY", "another")
    flagged = run_cli(tmp_path, "collect", "AAPL", "--url", WITH_A_KEY[0])
    assert_said(flagged, "wss://ws.finnhub.io")
    monkeypatch.setenv("TICKLAKE_FEED__URL", WITH_A_KEY[0])
    set_so = run_cli(tmp_path, "collect", "AAPL")
    assert_said(set_so, "feed.url")
    assert KEY not in flagged.stdout + flagged.stderr + set_so.stdout + set_so.stderr
