"""dbt's unit tests, which stand beside the models: all run and pass where a build has been, and no build runs them."""

import json
import re
from typing import Any, Final

import pytest

from tests.rig import ROOT, Session, Tick, build, land, log_records, open_lake, utc_ms
from ticklake.cli.lake import Lake
from ticklake.warehouse.transform import Transform

pytestmark = pytest.mark.usefixtures("dbt_results")

MODELS: Final = ROOT / "transform" / "models"
JUDGES: Final = {"current_bars_5m", "prints", "lens_minutes", "lens_conditions", "new_prints", "feed_gaps", "vendor_answers"}


def find_in_units(pattern: str) -> list[str]:
    """Give what a pattern finds in the YAML of the unit tests."""
    return [found for path in MODELS.rglob("*_unit.yml") for found in re.findall(pattern, path.read_text(), re.MULTILINE)]


def read_statuses(lake: Lake) -> dict[str, str]:
    """Give the status of each node of dbt's last run on this lake, by its id."""
    results: list[dict[str, Any]] = json.loads((lake.home.warehouse / "dbt" / "target" / "run_results.json").read_text())["results"]
    return {result["unique_id"]: result["status"] for result in results}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake after one build: dbt takes the columns of a unit test's inputs from their tables."""
    lake = open_lake(tmp_path_factory.mktemp("units") / "home")
    log_records(lake, [Session().frame([Tick("AAPL", utc_ms("2025-11-18 17:00"), "190.1", "100")])])
    land(lake)
    build(lake)
    return lake


def test_a_build_leaves_unit_tests_alone(built: Lake) -> None:
    """They judge the code, not the data: no build of a user's waits for them."""
    build(built, full=True)
    kinds = {unique_id.split(".")[0] for unique_id in read_statuses(built)}
    assert kinds == {"model", "operation", "seed", "test"}


def test_every_declared_unit_test_runs_and_passes(built: Lake) -> None:
    """None is passed over: as many results as the YAML declares, under the same names."""
    Transform(built.warehouse, built.home.warehouse / "dbt", built.project).run(["test", "--select", "test_type:unit"])
    units = {unique_id: status for unique_id, status in read_statuses(built).items() if unique_id.startswith("unit_test.")}
    assert {unique_id.rsplit(".", 1)[-1]: status for unique_id, status in units.items()} == dict.fromkeys(
        find_in_units(r"^  - name: (\w+)$"), "pass"
    )


def test_gold_and_the_models_that_judge_have_unit_tests() -> None:
    """A bar or a verdict without hand-counted rows is a promise without proof."""
    gold = {path.stem for path in (MODELS / "gold").glob("*.sql") if not path.stem.endswith("_as_of")} - {
        "current_bars_1m",
        "current_bars_1d",
    }
    assert set(find_in_units(r"^    model: (\w+)$")) >= gold | JUDGES
