"""The wheel alone, unpacked elsewhere, carries all that the demo needs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.rig import ROOT, untraced_environment


def test_the_wheel_alone_runs_the_demo(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    elsewhere = tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(elsewhere)

    def run(code: str) -> str:
        environment = {**untraced_environment(), "PYTHONPATH": str(elsewhere)}
        done = subprocess.run(
            [sys.executable, "-c", code, "--home", str(tmp_path / "home"), "demo", "--json", "--prints", "4000"],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    assert Path(run("import ticklake; print(ticklake.__file__)").strip()).is_relative_to(elsewhere)
    project = run("from ticklake.warehouse.transform import find_project; print(find_project())").strip()
    assert Path(project).is_relative_to(elsewhere)
    report = json.loads(run("from ticklake.cli.main import main; main()"))
    assert report["holds"]
    assert all(hop["residual"] == 0 for hop in report["ledger"]), report["ledger"]
