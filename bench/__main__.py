"""python -m bench [STAGE …] [--seconds N] [--library NAME] [--write]: measure and print; `--write` keeps the numbers in RESULTS.md."""

import argparse
import sys
from collections.abc import Callable
from typing import Final

from bench import feed
from bench.collector import USUAL
from bench.results import PAGE, Stage, write_page

STAGES: Final[dict[str, Callable[[float, str], Stage]]] = {"feed": feed.measure}


def main() -> int:
    """Measure the stages that are named, or all; give 1 if a bar is not held."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast each stage is, beside a peer.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of: {', '.join(STAGES)}; none is all")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a run takes")
    parser.add_argument("--library", default=USUAL, help="what the client speaks WebSocket with")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {PAGE.name}")
    wanted = parser.parse_args()
    if strange := set(wanted.stages) - STAGES.keys():
        parser.error(f"there is no stage {', '.join(sorted(strange))}")
    measured = [STAGES[name](wanted.seconds, wanted.library) for name in wanted.stages or STAGES]
    page = write_page(measured)
    print(page)
    if wanted.write:
        PAGE.write_text(page)
    return int(any(line.is_held is False for stage in measured for line in stage.lines))


if __name__ == "__main__":
    sys.exit(main())
