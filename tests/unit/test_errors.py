"""The tree of errors is the one that its module draws."""

import inspect
import re

import pytest

from ticklake import errors
from ticklake.errors import TicklakeError


def all_errors() -> list[type[TicklakeError]]:
    return [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, TicklakeError)]


def drawn_tree() -> dict[str, tuple[str, bool]]:
    """Read the drawing: each error's parent, and whether `retry` stands beside it."""
    found: dict[str, tuple[str, bool]] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r" {4}(?P<rails>[│├└─ ]*)(?P<name>[A-Z]\w+)(?P<rest>.*)", line)
        if match:
            depth = len(match["rails"]) // 4
            parents[depth:] = [match["name"]]
            found[match["name"]] = (parents[depth - 1] if depth else "Exception", match["rest"].split()[:1] == ["retry"])
    return found


def test_the_drawing_is_the_real_tree() -> None:
    real = {each.__name__: (each.__mro__[1].__name__, each.retryable) for each in all_errors()}
    assert drawn_tree() == real


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_every_error_says_what_and_hints_at_what_is_next(error: type[TicklakeError]) -> None:
    raised = error("the disk is full", hint="free some space")
    assert (str(raised), raised.what, raised.hint) == ("the disk is full", "the disk is full", "free some space")
    assert raised.exit_code in {1, 3, 4}
    assert (error.__doc__ or "").endswith(".")


def test_only_what_another_process_holds_exits_with_4() -> None:
    assert {each.__name__ for each in all_errors() if each.exit_code == 4} == {"StageLocked", "WarehouseBusy"}
