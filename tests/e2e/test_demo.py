"""The demo as a newcomer types it, on a smaller market."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.rig import open_lake
from ticklake.audit.ledger import Hop
from ticklake.audit.truth import Comparison
from ticklake.cli import day
from ticklake.cli.demo import MARKER, _default_home, _raise_failure, clear_home
from ticklake.cli.main import cli
from ticklake.errors import DemoFailed, HomeError, HomeUnwritable, LoopbackRefused, StageLocked
from ticklake.locks import hold_stage

PRINTS = "6000"


def type_line(line: str) -> Result:
    words = shlex.split(line)
    assert words[0] == "ticklake"
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli, words[1:])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "a home"


@pytest.fixture(scope="module")
def first(home: Path) -> Result:
    return type_line(f"ticklake --home '{home}' demo --prints {PRINTS}")


def test_the_demo_ends_well_and_shows_what_it_promises(first: Result) -> None:
    assert first.exit_code == 0, first.output
    for promise in (
        "genuine trades",
        "The ledger",
        "log → landing",
        "silver → bars_1d",
        "The truth",
        "gaps",
        "minute bars",
        "AAPL",
        "┤",
        "09:30",
    ):
        assert promise in first.stdout
    assert "✗" not in first.stdout
    assert first.stdout.count("✓") == 14


def test_each_stage_says_what_it_did_on_stderr(first: Result) -> None:
    stages = [line.split()[0] for line in first.stderr.splitlines()]

    assert stages == ["market", "collect", "land", "build", "collect", "land", "build", "check", "verify"]
    assert all(re.search(r"\d+\.\d s$", line) for line in first.stderr.splitlines())


def test_tricks_reached_every_comparison(first: Result) -> None:
    table = first.stdout.partition("The truth, and what was found\n")[2].partition("\n\n")[0]
    found = {line[:18].strip(): int(line.split("=")[1].split()[0].replace(",", "")) for line in table.splitlines()}

    assert found.keys() == {"trades", "repeats", "quarantined", "gaps", "minute bars", "bars, each lens"}
    assert min(found.values()) > 0


def test_what_to_type_next_can_be_typed(first: Result) -> None:
    lines = [line.strip() for line in first.stdout.partition("What to type next\n")[2].splitlines()]
    answers = [type_line(line) for line in lines]

    assert [answer.exit_code for answer in answers] == [0] * 4
    assert "AAPL" in answers[0].stdout
    assert "unreadable_frame" in answers[1].stdout
    assert "quarantined" in answers[2].stdout
    assert "trades" in answers[3].stdout


def test_without_loopback_the_demo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "HOST", "192.0.2.1")  # an address that no machine has
    refused = type_line(f"ticklake --home {tmp_path}/home demo --prints {PRINTS}")

    assert isinstance(refused.exception, LoopbackRefused)
    assert "cannot talk to each other" in refused.exception.what


@pytest.mark.parametrize("name", ["precious.txt", "home.json"])
def test_a_folder_that_no_demo_made_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    refused = type_line(f"ticklake --home {tmp_path} demo --prints {PRINTS}")

    assert isinstance(refused.exception, HomeError)
    assert "ticklake --home DIR demo" in refused.exception.hint
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_lake_is_refused_and_left_alone(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    before = sorted(lake.home.root.rglob("*"))
    refused = type_line(f"ticklake --home {lake.home.root} demo --prints {PRINTS}")

    assert isinstance(refused.exception, HomeError)
    assert sorted(lake.home.root.rglob("*")) == before


def test_a_home_under_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = type_line(f"ticklake --home {tmp_path}/file/home demo --prints {PRINTS}")

    assert isinstance(refused.exception, HomeUnwritable)
    assert str(tmp_path / "file") in refused.exception.what


@pytest.mark.parametrize("stage", ["log", "land", "build"])
def test_a_home_at_work_is_not_cleared(tmp_path: Path, stage: str) -> None:
    (tmp_path / MARKER).write_text("{}")
    (tmp_path / "locks").mkdir()
    (tmp_path / "landing").mkdir()
    with hold_stage(tmp_path / "locks", stage):
        refused = type_line(f"ticklake --home {tmp_path} demo --prints {PRINTS}")

    assert isinstance(refused.exception, StageLocked)
    assert stage in refused.exception.what
    assert (tmp_path / "landing").exists()


def test_two_demos_do_not_share_a_home(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("{}")
    with hold_stage(tmp_path, "demo"):
        refused = type_line(f"ticklake --home {tmp_path} demo --prints {PRINTS}")

    assert isinstance(refused.exception, StageLocked)


def test_clearing_follows_no_link_out_of_the_home(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "mine").write_text("mine")
    (home / "log").mkdir(parents=True)
    (home / "log" / "link").symlink_to(outside, target_is_directory=True)
    (home / "log" / "old.sqlite").write_text("old")
    (home / MARKER).write_text("{}")

    clear_home(home)

    assert [path.name for path in home.iterdir()] == [MARKER]
    assert (outside / "deep" / "mine").read_text() == "mine"


def test_without_a_home_named_the_demo_has_one_beside_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert _default_home() == tmp_path / "ticklake-demo"

    monkeypatch.setenv("TICKLAKE_HOME", str(tmp_path / "lake"))
    assert _default_home() == tmp_path / "lake-demo"


def test_a_comparison_that_does_not_hold_fails_the_demo() -> None:
    held = Comparison("duplicates", true=1, found=1, missing=0, surplus=0, examples=[])
    lost = Comparison("trades", true=5, found=4, missing=1, surplus=0, examples=["missing AAPL 1 190.1 100 12"])

    with pytest.raises(DemoFailed, match=r"trades: 1 missing and 0 surplus of 5, such as missing AAPL 1 190\.1 100 12") as failed:
        _raise_failure(7, [], [held, lost])

    assert failed.value.exit_code == 3
    assert "seed 7" in failed.value.hint


def test_a_hop_that_does_not_balance_fails_the_demo() -> None:
    with pytest.raises(DemoFailed, match="silver → bars_1m has a residual of 2 trades"):
        _raise_failure(7, [Hop("silver → bars_1m", "trades", 5, {"in bars": 3})], [])
