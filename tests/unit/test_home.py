"""The home folder: made once, opened often, refused when it cannot be trusted."""

import os
from pathlib import Path

import pytest

from ticklake.errors import HomeUnwritable, HomeVersionMismatch
from ticklake.home import LAYOUT, Home


def test_a_home_is_made_with_its_folders_and_says_who_made_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.open(made_by="0.1")
    assert home.exists
    assert {path.name for path in home.root.iterdir()} == {"home.json", "log", "locks", "warehouse"}
    assert home.version_file.read_text() == f'{{"layout": {LAYOUT}, "made_by": "0.1"}}\n'


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path).open(made_by="0.1")
    (home.log / "kept").write_text("kept")
    before = home.version_file.read_text()
    Home(tmp_path).open(made_by="0.2")
    assert home.version_file.read_text() == before
    assert (home.log / "kept").read_text() == "kept"


def test_a_home_that_is_a_file_is_said_with_its_path_and_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "home"
    path.write_text("")
    with pytest.raises(HomeUnwritable, match=str(path)) as caught:
        Home(path).open(made_by="test")
    assert "--home" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("locked", [".", "log", "warehouse"])
def test_a_folder_without_write_permission_is_named(tmp_path: Path, locked: str) -> None:
    home = Home(tmp_path / "home").open(made_by="test")
    folder = home.root / locked
    folder.chmod(0o500)
    try:
        with pytest.raises(HomeUnwritable, match="no write permission"):
            home.open(made_by="test")
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": null}', '{"layout": "new"}', "\x00"])
def test_a_version_file_that_names_no_layout_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path).open(made_by="test")
    home.version_file.write_text(text)
    with pytest.raises(HomeVersionMismatch, match=r"home\.json is not readable"):
        Home(tmp_path).open(made_by="test")
    assert home.version_file.read_text() == text


def test_an_older_layout_is_refused_as_a_newer_one_is(tmp_path: Path) -> None:
    home = Home(tmp_path).open(made_by="test")
    home.version_file.write_text('{"layout": 0}')
    with pytest.raises(HomeVersionMismatch, match=r"layout 0 \(made by ticklake unknown\)"):
        Home(tmp_path).open(made_by="test")
