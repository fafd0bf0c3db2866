"""The command line: what people type, and what comes back."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from tests.integration.conftest import ROWS, assert_said, run_cli
from tests.rig import open_lake, untraced_environment
from ticklake.cli.main import COMMANDS, cli

SCRIPT = Path(sys.executable).with_name("ticklake")
TRADES = "select * exclude (load_id, log_id, log_offset) from silver.trades order by symbol, traded_ms, price, size"


def test_bars_print_as_table_csv_and_json(built_home: Path) -> None:
    table = run_cli(built_home, "bars", "AAPL", "--interval", "1m", "--lens", "all_prints")
    csv = run_cli(built_home, "bars", "AAPL", "--interval", "1m", "--lens", "all_prints", "--format", "csv")
    lines = run_cli(built_home, "bars", "AAPL", "--interval", "1m", "--lens", "all_prints", "--json")
    bars = [json.loads(line) for line in lines.stdout.splitlines()]
    assert list(bars[0]) == [
        *(
            "feed",
            "symbol",
            "lens",
            "start_at",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "vwap",
            "trade_count",
            "revision",
            "has_gap",
            "is_provisional",
        ),
    ]
    assert bars[0]["start_at"] == "2025-11-18T14:30:00Z"
    assert sum(bar["trade_count"] for bar in bars) == ROWS // 2
    assert len(csv.stdout.splitlines()) == len(bars) + 1
    assert len(table.stdout.splitlines()) == len(bars) + 2
    assert bars[0]["open"] == "250.00000000"


def test_bars_can_be_cut_by_time_and_number(built_home: Path) -> None:
    last = run_cli(built_home, "bars", "--interval", "1m", "--last", "1", "--json").stdout.splitlines()
    assert [json.loads(line)["symbol"] for line in last] == ["AAPL", "MSFT"]
    early = run_cli(built_home, "bars", "AAPL", "--interval", "1m", "--to", "2025-11-18T14:31:00", "--json")
    assert len(early.stdout.splitlines()) == 1


def test_a_query_prints_as_table_csv_and_json(built_home: Path) -> None:
    sql = "select symbol, count(*) as trades from silver.trades group by symbol order by symbol"
    half = ROWS // 2
    assert run_cli(built_home, "query", sql).stdout.splitlines() == [
        "symbol  trades",
        "──────  ──────",
        f"AAPL       {half}",
        f"MSFT       {half}",
    ]
    assert run_cli(built_home, "query", sql, "--format", "csv").stdout == f"symbol,trades\nAAPL,{half}\nMSFT,{half}\n"
    lines = run_cli(built_home, "query", sql, "--format", "json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"symbol": "AAPL", "trades": half}, {"symbol": "MSFT", "trades": half}]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("create table gold.mine (a int)", "read-only mode"),
        ("insert into gold.bars_1d select * from gold.bars_1d", "read-only mode"),
        ("delete from silver.prints", "read-only mode"),
        ("copy (select 1) to '{folder}/copied.csv'", "disabled"),
        ("attach '{folder}/attached.db'", "disabled"),
        ("select * from read_csv('/etc/passwd')", "disabled"),
        ("set enable_external_access = true", "Cannot enable external access"),
        ("selec", "syntax error"),
    ],
)
def test_a_query_only_reads_the_warehouse(built_home: Path, tmp_path: Path, sql: str, reason: str) -> None:
    assert_said(run_cli(built_home, "query", sql.format(folder=tmp_path)), reason)
    assert list(tmp_path.iterdir()) == []


def test_each_stage_tells_a_machine_what_it_did_and_a_tape_that_came_before_adds_no_trade(
    built_home: Path, recording: Path, tmp_path: Path
) -> None:
    home = shutil.copytree(built_home, tmp_path / "home")
    before = run_cli(home, "query", TRADES, "--format", "csv").stdout
    replayed = json.loads(run_cli(home, "replay", str(recording), "--json").stdout)
    assert replayed["prints"] == ROWS
    assert json.loads(run_cli(home, "land", "--json").stdout)["records"] == replayed["records"]
    assert json.loads(CliRunner().invoke(cli, ["--home", str(home), "build", "--json"]).stdout)["records"] == replayed["records"]
    assert len(before.splitlines()) == ROWS + 1
    assert run_cli(home, "query", TRADES, "--format", "csv").stdout == before
    assert run_cli(home, "ledger").returncode == 0


def test_the_ledger_balances_and_ends_with_3_when_a_row_is_gone(built_home: Path, tmp_path: Path) -> None:
    good = run_cli(built_home, "ledger", "--json")
    assert good.returncode == 0
    assert {json.loads(line)["residual"] for line in good.stdout.splitlines()} == {0}
    home = shutil.copytree(built_home, tmp_path / "home")
    with duckdb.connect(home / "warehouse" / "ticklake.duckdb") as warehouse:
        warehouse.execute("delete from silver.prints where print_index = 0 and log_offset = 3")
    assert_said(run_cli(home, "ledger"), "bronze → silver", "unaccounted for", exit_code=3)


def test_a_row_that_bronze_lost_is_a_residual(built_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(built_home, tmp_path / "home")
    with duckdb.connect(home / "warehouse" / "ticklake.duckdb") as warehouse:
        warehouse.execute("delete from bronze.frames where log_offset = 3")
    done = run_cli(home, "ledger")
    assert_said(done, "landing → bronze: 1 records are unaccounted for", exit_code=3)
    assert "✗ residual 1" in done.stdout


def test_a_landed_object_that_is_gone_is_a_residual(built_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(built_home, tmp_path / "home")
    (landed,) = home.rglob("*.zst")
    landed.unlink()
    assert run_cli(home, "ledger").returncode == 3


def test_status_tells_how_far_each_stage_is(built_home: Path, tmp_path: Path) -> None:
    status = json.loads(run_cli(built_home, "status", "--json").stdout)
    assert (status["trades"], status["symbols"], status["at_work"]) == (ROWS, 2, "nobody")
    assert "built              not yet" in run_cli(tmp_path / "new", "status").stdout


def test_the_doctor_finds_a_sound_home_sound(built_home: Path) -> None:
    done = run_cli(built_home, "doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert [finding["check"] for finding in json.loads(done.stdout)] == ["home", "disk", "store", "landing", "clock"]


def test_config_shows_every_setting_with_its_origin(built_home: Path) -> None:
    shown = run_cli(built_home, "config", "show").stdout
    assert "landing.object_seconds" in shown
    assert "--home" in shown


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["config", "show"], ["config", "copy-project"]], ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    done = CliRunner().invoke(cli, [*command, "--help"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")


def test_help_comes_at_once() -> None:
    environment = untraced_environment()

    def cpu_seconds() -> float:  # not by the clock on the wall: that would measure what else the machine does
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([SCRIPT, "--help"], env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(5)) <= 0.4


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "inf", "nan"])
def test_a_speed_is_a_positive_number_or_max(tmp_path: Path, recording: Path, speed: str) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "replay", str(recording), "--speed", speed])
    assert done.exit_code == 2
    assert "neither max nor a number above 0" in done.stderr


def test_a_copy_of_the_project_is_built_with_and_its_rules_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = CliRunner().invoke(cli, ["--home", str(tmp_path / "home"), "config", "copy-project", str(tmp_path / "mine")])
    assert copied.exit_code == 0, copied.output
    lake, copy = open_lake(tmp_path / "home"), open_lake(tmp_path / "home", project=tmp_path / "mine")
    assert (copy.project_sha256, copy.project) == (lake.project_sha256, tmp_path / "mine")
    (copy.seeds / "feeds.csv").write_text((lake.seeds / "feeds.csv").read_text().replace("the live socket", "ours"))
    assert open_lake(tmp_path / "home", project=tmp_path / "mine").project_sha256 != lake.project_sha256

    again = CliRunner().invoke(cli, ["--home", str(tmp_path / "home"), "config", "copy-project", str(tmp_path / "mine")])
    assert (again.exit_code, "name a new folder" in again.output) == (2, True)
    monkeypatch.setenv("TICKLAKE_WAREHOUSE__PROJECT", str(tmp_path / "nowhere"))
    assert_said(run_cli(tmp_path / "home", "status"), "warehouse.project", "nowhere")
