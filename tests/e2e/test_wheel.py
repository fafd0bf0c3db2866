"""The wheel alone, unpacked elsewhere, carries all that the demo needs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from tests.rig import ROOT, untraced_environment

DEMO: Final = """
import sys, ticklake
from ticklake.warehouse.transform import find_project
print(ticklake.__file__, find_project(), sep="\\n", file=sys.stderr)
from ticklake.cli.main import main
main()
"""


def test_the_wheel_alone_runs_the_demo(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    elsewhere = tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(elsewhere)

    done = subprocess.run(
        [sys.executable, "-c", DEMO, "--home", str(tmp_path / "home"), "demo", "--json", "--prints", "4000"],
        cwd=tmp_path,
        env={**untraced_environment(), "PYTHONPATH": str(elsewhere)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert all(Path(place).is_relative_to(elsewhere) for place in done.stderr.splitlines()[:2])
    report = json.loads(done.stdout)
    assert report["holds"]
    assert all(hop["residual"] == 0 for hop in report["ledger"]), report["ledger"]
    assert len(report["stages"]) == 9
    assert report["connections"] >= 2
    assert report["told"] > report["delivered"] > 0
