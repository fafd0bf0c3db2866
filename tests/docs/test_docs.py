"""What the docs say is there: commands, options, files."""

import re
import shlex
from pathlib import Path

import click
import pytest

from ticklake.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text()
TYPED = re.findall(r"^(?:\$ +|  )(ticklake .*?)(?:  +#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_told_of_in_the_readme(name: str) -> None:
    assert f"`ticklake {name}" in README


@pytest.mark.parametrize("line", sorted(set(TYPED)))
def test_every_line_that_the_readme_types_is_understood(line: str) -> None:
    words = shlex.split(line)[1:]
    context = cli.make_context("ticklake", words)
    name, *rest = [*context._protected_args, *context.args]
    command = cli.get_command(context, name)
    assert command is not None
    command.make_context(name, rest, parent=context)


def test_the_readme_types_something() -> None:
    assert len(TYPED) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_proof_that_the_architecture_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "ARCHITECTURE.md").read_text())
    assert len(named) >= 8
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_explains_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.name
