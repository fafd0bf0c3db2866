"""Settings, the home, and locks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ticklake.errors import HomeUnwritable, HomeVersionMismatch, SettingsInvalid, StageLocked, WarehouseBusy
from ticklake.home import Home
from ticklake.locks import hold_stage, holder, take_turn
from ticklake.settings import explain_settings, read_settings

HOLD = """
import sys
from pathlib import Path
from ticklake.locks import hold_stage
with hold_stage(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def origin(home: Path, setting: str) -> tuple[object, str]:
    rows = explain_settings(read_settings(home), home_is_flag=True)
    return next((row["value"], row["origin"]) for row in rows if row["setting"] == setting)


def test_the_environment_goes_before_the_homes_file_and_the_file_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert origin(tmp_path, "landing.object_seconds") == (60.0, "default")
    (tmp_path / "ticklake.toml").write_text("[landing]\nobject_seconds = 30\nobject_records = 7\n")
    assert origin(tmp_path, "landing.object_seconds") == (30.0, str(tmp_path / "ticklake.toml"))
    monkeypatch.setenv("TICKLAKE_LANDING__OBJECT_SECONDS", "5")
    assert origin(tmp_path, "landing.object_seconds") == (5.0, "TICKLAKE_LANDING__OBJECT_SECONDS")
    assert origin(tmp_path, "landing.object_records") == (7, str(tmp_path / "ticklake.toml"))
    assert origin(tmp_path, "home") == (str(tmp_path), "--home")


def test_a_bad_value_names_the_setting_and_where_it_was_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_WAREHOUSE__THREADS", "none")
    with pytest.raises(SettingsInvalid, match=r"warehouse\.threads cannot be 'none'") as caught:
        read_settings(tmp_path)
    assert "TICKLAKE_WAREHOUSE__THREADS" in caught.value.hint


@pytest.mark.parametrize("text", ["[landing]\nobject_hours = 1\n", "[landing\n"], ids=["an unknown name", "no TOML"])
def test_a_file_that_says_nothing_we_know_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ticklake.toml").write_text(text)
    with pytest.raises(SettingsInvalid):
        read_settings(tmp_path)


def test_an_unknown_name_in_the_environment_is_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_LANDING__OBJECT_HOURS", "1")
    with pytest.raises(SettingsInvalid, match=r"there is no setting landing\.object_hours") as caught:
        read_settings(tmp_path)
    assert "TICKLAKE_LANDING__OBJECT_HOURS" in caught.value.hint


def test_a_misspelt_stage_in_the_environment_is_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_LANDIN__OBJECT_RECORDS", "5")
    with pytest.raises(SettingsInvalid, match="TICKLAKE_LANDIN__OBJECT_RECORDS") as caught:
        read_settings(tmp_path)
    assert "landing" in caught.value.hint


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TICKLAKE_LANDING__OBJECT_RECORDS", "0"),
        ("TICKLAKE_LANDING__OBJECT_SECONDS", "-1"),
        ("TICKLAKE_LOG__LEVEL", "loud"),
        ("TICKLAKE_WAREHOUSE__MEMORY_LIMIT", "much"),
    ],
)
def test_a_value_out_of_range_is_refused_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"cannot be '{value}'") as caught:
        read_settings(tmp_path)
    assert variable in caught.value.hint


def test_every_setting_is_told_with_its_meaning(tmp_path: Path) -> None:
    rows = explain_settings(read_settings(tmp_path), home_is_flag=False)
    assert all(row["meaning"] and row["origin"] == "default" for row in rows)
    assert {str(row["setting"]).partition(".")[0] for row in rows} == {"home", "feed", "log", "landing", "warehouse", "run"}


def test_without_a_name_the_home_lies_in_the_users_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert read_settings(None).home == tmp_path / "ticklake"
    monkeypatch.setenv("TICKLAKE_HOME", str(tmp_path / "other"))
    assert read_settings(None).home == tmp_path / "other"


def test_a_home_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnwritable, match="cannot be written"):
        Home(tmp_path / "file" / "home").open(made_by="test")


def test_a_home_of_another_layout_is_refused_with_who_made_it(tmp_path: Path) -> None:
    home = Home(tmp_path).open(made_by="test")
    home.version_file.write_text(json.dumps({"layout": 99, "made_by": "9.9"}))
    with pytest.raises(HomeVersionMismatch, match=r"layout 99 \(made by ticklake 9.9\)"):
        Home(tmp_path).open(made_by="test")


def test_a_broken_version_file_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path).open(made_by="test")
    home.version_file.write_text("{")
    with pytest.raises(HomeVersionMismatch, match="not readable"):
        Home(tmp_path).open(made_by="test")


def test_a_stage_that_is_held_is_refused_with_the_others_pid_until_that_is_dead(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), "land"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert holder(tmp_path, "land") == other.pid
    with pytest.raises(StageLocked, match=f"process {other.pid}"), hold_stage(tmp_path, "land"):
        pytest.fail("two held one lock")
    other.kill()
    other.communicate()
    assert holder(tmp_path, "land") is None
    with hold_stage(tmp_path, "land"):
        assert holder(tmp_path, "land") == os.getpid()


def test_readers_share_the_room_and_a_writer_has_it_alone(tmp_path: Path) -> None:
    def busy(pid: int | None) -> WarehouseBusy:
        return WarehouseBusy(f"held by {pid}", hint="wait")

    with (
        take_turn(tmp_path, shared=True, wait_seconds=0, on_timeout=busy),
        take_turn(tmp_path, shared=True, wait_seconds=0, on_timeout=busy),
        pytest.raises(WarehouseBusy),
        take_turn(tmp_path, shared=False, wait_seconds=0, on_timeout=busy),
    ):
        pytest.fail("a writer came in beside readers")
    with (
        take_turn(tmp_path, shared=False, wait_seconds=0, on_timeout=busy),
        pytest.raises(WarehouseBusy, match=str(os.getpid())),
        take_turn(tmp_path, shared=True, wait_seconds=0, on_timeout=busy),
    ):
        pytest.fail("a reader came in beside a writer")


@pytest.mark.parametrize(
    "text", ['[feed]\napi_key = "canary-5f1d"', '[fed]\nkey = "canary-5f1d"', 'feed = "canary-5f1d"', '[feed]\nkey = ["canary-5f1d"]']
)
def test_what_is_set_under_a_wrong_name_may_be_a_key_and_is_not_repeated(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ticklake.toml").write_text(text)
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(tmp_path)
    assert "canary" not in refused.value.what + refused.value.hint
    assert "setting fe" in refused.value.what
    (tmp_path / "ticklake.toml").unlink()
    monkeypatch.setenv("TICKLAKE_FEED__TOKEN", "canary-5f1d")
    with pytest.raises(SettingsInvalid, match=r"feed\.token") as refused:
        read_settings(tmp_path)
    assert "canary" not in refused.value.what + refused.value.hint


@pytest.mark.parametrize("text", ["AAPL,BINANCE:BTCUSDT", " AAPL , BINANCE:BTCUSDT,", '["AAPL", "BINANCE:BTCUSDT"]'])
def test_symbols_stand_in_a_variable_with_commas_or_as_json(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLAKE_FEED__SYMBOLS", text)
    assert read_settings(tmp_path).feed.symbols == ["AAPL", "BINANCE:BTCUSDT"]
    monkeypatch.setenv("TICKLAKE_FEED__SYMBOLS", "[AAPL")
    with pytest.raises(SettingsInvalid, match=r"feed\.symbols"):
        read_settings(tmp_path)
