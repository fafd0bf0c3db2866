"""What the docs say is there: commands, options, files."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ticklake.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text()
FENCED = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
TYPED = re.findall(r"^(?:\$ +|  )?(ticklake .*?)(?:  +#.*)?$", FENCED, re.MULTILINE)


def walk(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Give every command below a group that does something, with its name as it is typed."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from walk(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


@pytest.mark.parametrize("name", [name for name, _ in walk(cli)])
def test_every_command_is_told_of_in_the_readme(name: str) -> None:
    assert f"`ticklake {name}`" in README


@pytest.mark.parametrize("line", sorted(set(TYPED)))
def test_every_line_that_the_readme_types_is_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a file that a line names is opened here
    words = shlex.split(line)[1:]
    context = cli.make_context("ticklake", words)
    name, *rest = [*context._protected_args, *context.args]
    command = cli.get_command(context, name)
    assert command is not None
    command.make_context(name, rest, parent=context).close()


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


@pytest.mark.parametrize(("name", "command"), list(walk(cli)))
def test_every_option_of_a_command_explains_itself(name: str, command: click.Command) -> None:
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"
