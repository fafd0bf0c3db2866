"""Rules of the house that no linter knows: `make check` runs them.

size       no file of code grows past 400 lines
docstring  each module of ours says in one sentence what it is for
locks      locks carry hashes, never addresses
paths      nothing tells where it was written
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_LINES = 400
CODE = {".py", ".sql", ".js", ".css", ".html", ".sh"}
STRANGE_NAMES = re.compile(r"(^|/)(utils?|helpers?|common|managers?)(/|\.|$)")
ADDRESS = re.compile(r"https?://")
PATH_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:home|Users)/[a-z]\w+/")


def tracked_files() -> list[Path]:
    """The files that git knows, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def complaints(path: Path) -> Iterator[str]:
    """What is wrong with one file."""
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(errors="replace")
    if path.suffix in CODE and text.count("\n") > MAX_LINES:
        yield f"{name}: {text.count(chr(10))} lines, {MAX_LINES} at most: split it"
    if STRANGE_NAMES.search(name):
        yield f"{name}: name it for what it holds"
    if name.startswith("src/") and path.suffix == ".py" and not ast.get_docstring(ast.parse(text)):
        yield f"{name}: no module docstring"
    if name.startswith("requirements/") and ADDRESS.search(text):
        yield f"{name}: a lock carries hashes, not addresses"
    if path.name == "uv.lock":
        yield f"{name}: it writes addresses: locks are made by `make lock`"
    if PATH_OF_A_MACHINE.search(text) and name != "tests/house.py":
        yield f"{name}: holds a path of somebody's machine"


def main() -> int:
    """Print every complaint; give how many."""
    found = [complaint for path in tracked_files() for complaint in complaints(path)]
    for complaint in found:
        print(complaint)  # noqa: T201 — a check prints
    return len(found)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
