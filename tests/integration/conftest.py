"""The command line as its users start it, and a lake that was made with it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.rig import make_once, untraced_environment
from ticklake.cli.main import cli

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = 600


def run_cli(home: Path, *arguments: str, is_traced: bool = True) -> subprocess.CompletedProcess[str]:
    """Start `ticklake --home HOME …` and wait for its end; untraced where it is the tenth of its kind."""
    command = [sys.executable, "-m", "ticklake.cli", "--home", str(home), *arguments]
    environment = dict(os.environ) if is_traced else untraced_environment()
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def write_recording(path: Path, *, rows: int = ROWS, symbols: tuple[str, ...] = ("AAPL", "MSFT")) -> Path:
    """Write a recording of a few minutes of a trading day."""
    lines = [
        f"{symbols[number % len(symbols)]},{1763476200000 + number * 700},{250 + number % 7}.{number % 100:02d},{100 + number},8;41"
        for number in range(rows)
    ]
    path.write_text("\n".join(["s,t,p,v,c", *lines]) + "\n")
    return path


def assert_said(done: subprocess.CompletedProcess[str], *words: str, exit_code: int = 1) -> None:
    """An error is one sentence and a hint, with its exit code, and never a traceback."""
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    assert done.stderr.count("hint: ") == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recording."""
    return write_recording(tmp_path_factory.mktemp("recording") / "small.csv")


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Path:
    """A home with the small recording in gold: read it, do not change it."""

    def make(home: Path) -> None:
        for arguments in (["replay", str(recording)], ["land"], ["build"]):
            done = CliRunner().invoke(cli, ["--home", str(home), *arguments])
            assert done.exit_code == 0, done.stderr

    return make_once(tmp_path_factory, "built", make)


@pytest.fixture
def dbt_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let dbt write its results, which it does not unless it is told to."""
    monkeypatch.setenv("DBT_WRITE_JSON", "true")
