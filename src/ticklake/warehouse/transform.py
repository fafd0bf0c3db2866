"""Run the dbt project in this process, quietly, and say what failed.

    find      the project: inside the wheel, or beside `src` in a checkout
    parse     once a project: later lakes and later processes reuse the manifest
    build     models and their data tests in the order of the graph

Raises     BuildFailed, DiskFull (retryable)
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ticklake.contracts.faults import FaultPoint
from ticklake.errors import BuildFailed, DiskFull
from ticklake.warehouse.manifest import keep_manifest, name_manifest, recall_manifest
from ticklake.warehouse.ports import OnProgress, Warehouse

NODE_FINISHED: Final = FaultPoint("build.node_finished")

NO_SPACE_SIGNS: Final = ("No space left", "not enough disk space", "File too large", "Disk quota")
"""What DuckDB and the system say of a full disk; dbt puts it below the first line of its message."""

_MANIFESTS: Final[dict[Path, Any]] = {}
"""What this process has parsed, by the file that keeps it: a manifest holds the project, not where a warehouse lies."""


def find_project() -> Path:
    """Where the dbt project lies."""
    package = Path(__file__).parents[1]
    inside = package / "transform"
    return inside if inside.exists() else package.parents[1] / "transform"


def hash_project(project: Path) -> str:
    """Give one hash of all that decides what the models make: SQL, seeds, YAML, and not what dbt wrote beside them."""
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        is_written = path.relative_to(project).parts[0] in {"target", "logs"}
        if path.is_file() and path.suffix in {".sql", ".csv", ".yml"} and not is_written:
            digest.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


class Transform:
    """The dbt project against one warehouse."""

    def __init__(self, warehouse: Warehouse, folder: Path, project: Path) -> None:
        self._warehouse = warehouse
        self._folder = folder.absolute()  # dbt takes relative paths from the project, not from here
        self._project = project.absolute()
        self.sha256 = hash_project(self._project)

    def build(self, *, full: bool, with_seeds: bool, tested_from: int, on_progress: OnProgress) -> None:
        """Build all models and test them: touched rows from load `tested_from` on, or with `full` all.

        What holds no rows of its own, or only the seeds' (tag `definition`), is made with the seeds: a changed project is a full build.

        Raises BuildFailed with the first node that failed, DiskFull.
        """
        arguments = ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps({"tested_from": tested_from})]
        if full:
            arguments.append("--full-refresh")
        elif not with_seeds:
            arguments += ["--exclude-resource-type", "seed", "--exclude", "tag:full", "tag:definition"]
        self.run(arguments, on_progress)

    def run(self, arguments: list[str], on_progress: OnProgress = lambda *_: None) -> None:
        """Run one dbt command on the project."""
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 — two seconds that only a build should pay

        try:
            runner = dbtRunner(manifest=self.parse(), callbacks=[_follow(on_progress)])
            _raise_failure(runner.invoke([*arguments, *self._write_profile()]))
        finally:
            self._warehouse.release()

    def parse(self) -> Any:
        """Give dbt's manifest of the project; only who is the first with this project waits for it."""
        path = name_manifest(self._project, self.sha256, self._warehouse.profile()["type"])
        if path not in _MANIFESTS:
            _MANIFESTS[path] = recall_manifest(path) or self._parse_project(path)
        return _MANIFESTS[path]

    def _parse_project(self, path: Path) -> Any:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        parsed = dbtRunner().invoke(["parse", *self._write_profile()])
        _raise_failure(parsed)
        keep_manifest(path, parsed.result)
        return parsed.result

    def _write_profile(self) -> list[str]:
        """Write what dbt reads of this lake; give the options that point to it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        profile = {"ticklake": {"target": "home", "outputs": {"home": self._warehouse.profile()}}}
        (self._folder / "profiles.yml").write_text(json.dumps(profile))
        return [
            *("--project-dir", str(self._project), "--profiles-dir", str(self._folder)),
            *("--target-path", str(self._folder / "target"), "--log-path", str(self._folder / "logs")),
            *("--log-level", "none", "--log-level-file", "none", "--no-version-check"),
        ]


def _follow(on_progress: OnProgress) -> Callable[[Any], None]:
    """Tell about each node that dbt finishes."""

    def follow(event: Any) -> None:
        if event.info.name == "NodeFinished":
            NODE_FINISHED.reach()
        elif event.info.name in {"LogModelResult", "LogTestResult", "LogSeedResult"}:
            total = event.data.num_models if event.info.name == "LogTestResult" else event.data.total
            on_progress(event.data.node_info.node_name, event.data.index, total)

    return follow


def _raise_failure(outcome: Any) -> None:
    if outcome.success:
        return
    failed = [
        (node.node.name, str(node.message or node.status).strip())
        for node in getattr(outcome.result, "results", None) or []
        if node.status in {"error", "fail", "runtime error"}
    ] or [("dbt", str(outcome.exception).strip())]
    name, message = failed[0]
    full = ((node, line.strip()) for node, text in failed for line in text.splitlines() if any(sign in line for sign in NO_SPACE_SIGNS))
    if found := next(full, None):
        raise DiskFull(
            f"the warehouse cannot grow while {found[0]} is built: {found[1]}",
            hint="free some space and run ticklake build again: it goes on from the last committed model",
        )
    more = f" (and {', '.join(other for other, _ in failed[1:])})" if len(failed) > 1 else ""
    raise BuildFailed(
        f"{name} failed{more}: {message}",
        hint="each model's SQL is in warehouse/dbt/target of the home; after a mend: ticklake build --full",
    )
