"""Bad input and bad surroundings: one sentence, the next thing to type, nothing lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.integration.conftest import ROWS, assert_said, run_cli, write_recording
from tests.rig import build, land, open_lake, replay_files
from tests.unit.test_settings import HOLD
from ticklake.cli.main import cli


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, recording: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_said(run_cli(tmp_path / "file" / "home", "replay", str(recording)), "cannot be written", "--home DIR")


@pytest.mark.parametrize(
    "command", [["replay", "RECORDING"], ["build"], ["bars"], ["query", "select 1"], ["ledger"], ["status"], ["doctor"]]
)
def test_a_home_of_another_version_is_refused_by_who_writes_and_by_who_reads(tmp_path: Path, recording: Path, command: list[str]) -> None:
    (tmp_path / "home.json").write_text('{"layout": 99, "made_by": "9.9"}')
    assert_said(run_cli(tmp_path, *(str(recording) if word == "RECORDING" else word for word in command)), "layout 99", "9.9")


def test_a_truncated_recording_is_refused_and_nothing_of_it_is_logged(tmp_path: Path, recording: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text(recording.read_text()[:-9])
    assert_said(run_cli(tmp_path / "home", "replay", str(broken)), f"row {ROWS + 1}", "nothing of it was sent")
    assert json.loads(run_cli(tmp_path / "home", "status", "--json").stdout)["log_offsets"] is None


def test_an_unknown_symbol_is_told_with_what_looks_like_it(built_home: Path) -> None:
    assert_said(run_cli(built_home, "bars", "APPL"), "'APPL'", "AAPL")


def test_an_unknown_lens_is_told_with_those_that_are_there(built_home: Path) -> None:
    assert_said(run_cli(built_home, "bars", "AAPL", "--lens", "spi"), "'spi'", "all_prints, regular_way, sip")


def test_a_query_before_the_first_build_says_what_to_type(tmp_path: Path) -> None:
    assert_said(run_cli(tmp_path, "query", "select 1"), "no warehouse", "ticklake build")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "ticklake.toml").write_text("[landing]\nobject_seconds = 'soon'\n")
    assert_said(run_cli(tmp_path, "land"), "landing.object_seconds", "'soon'")


@pytest.mark.parametrize("stage", ["land", "build"])
def test_a_second_one_on_a_home_is_refused_with_the_others_pid(built_home: Path, stage: str) -> None:
    command = [sys.executable, "-c", HOLD, str(built_home / "locks"), stage]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert_said(run_cli(built_home, stage), f"process {other.pid}", exit_code=4)


def test_a_corrupt_object_is_named_and_quarantined_and_loads_once_it_is_mended(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home")
    for number, symbol in enumerate(("AAPL", "MSFT")):
        replay_files(lake, write_recording(tmp_path / f"{number}.csv", rows=40, symbols=(symbol,)))
        land(lake)
    spoilt, _ = sorted(lake.home.root.rglob("*.zst"))
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])

    first = CliRunner().invoke(cli, ["--home", str(lake.home.root), "build"])
    assert first.exit_code == 0, first.stderr
    assert f"{spoilt.name} is quarantined: " in first.stderr
    assert lake.query("select distinct symbol from silver.trades").rows == [("MSFT",)]
    ledger = run_cli(lake.home.root, "ledger")
    assert ledger.returncode == 0, ledger.stdout
    assert " 0 quarantined" not in ledger.stdout.splitlines()[1]

    spoilt.write_bytes(whole)
    build(lake)
    assert lake.query("select count(*) from silver.trades").rows == [(80,)]
    assert " 0 quarantined" in run_cli(lake.home.root, "ledger").stdout.splitlines()[1]
