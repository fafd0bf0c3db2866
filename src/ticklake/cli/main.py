"""ticklake's command line. Verbs follow the path.

    collect, backfill, simulate   the live feed, its history, and who plays both
    replay → land → build         one stage at a time
    run                           all of them, until Ctrl-C
    bars, gaps, query, ledger, status   what there is
    verify, explain               is it true, and why
    doctor, config show, demo     is it well, how is it set, what is it like

Exit codes  0 done · 1 an error, said in one sentence with a hint · 2 wrong usage · 3 the ledger or a promise
            does not hold · 4 another process is at work: try again · 130 ended by Ctrl-C
"""

import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Final

import click

from ticklake.errors import DiskFull, TicklakeError

COMMANDS: Final = {
    "collect": "ticklake.cli.collect",
    "backfill": "ticklake.cli.backfill",
    "simulate": "ticklake.cli.simulate",
    "replay": "ticklake.cli.path",
    "land": "ticklake.cli.path",
    "build": "ticklake.cli.path",
    "run": "ticklake.cli.run",
    "bars": "ticklake.cli.read",
    "gaps": "ticklake.cli.read",
    "query": "ticklake.cli.read",
    "ledger": "ticklake.cli.read",
    "status": "ticklake.cli.read",
    "verify": "ticklake.cli.proof",
    "explain": "ticklake.cli.proof",
    "doctor": "ticklake.cli.care",
    "config": "ticklake.cli.care",
    "demo": "ticklake.cli.demo",
}
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PathGroup(click.Group):
    """Imports a command's module when it is asked for, and lists commands in the order of the path."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — the signature is click's
        """Give the commands in the order of the path."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 — the signature is click's
        """Import one command."""
        module = COMMANDS.get(cmd_name)
        command = getattr(importlib.import_module(module), cmd_name) if module else None
        return command if isinstance(command, click.Command) else None


@click.group(cls=PathGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="The folder of the lake. [TICKLAKE_HOME, else ~/.local/share/ticklake]"
)
@click.version_option(package_name="ticklake")
@click.pass_context
def cli(context: click.Context, home: Path | None) -> None:
    """Record trades without losing one, and turn them into bars that anyone can prove right."""
    context.obj = home


def main() -> None:
    """Run the command line, and turn our errors into one sentence, a hint and an exit code."""
    wants_json = "--json" in sys.argv
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except TicklakeError as error:
        _fail(error, as_json=wants_json)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has gone: that is how `| head` ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        where = error.filename or "the disk"
        _fail(DiskFull(f"{where} has no space left", hint="free some space and run the command again"), as_json=wants_json)


def _fail(error: TicklakeError, *, as_json: bool) -> None:
    from ticklake.cli.output import print_error

    print_error(error, as_json=as_json)
    sys.exit(error.exit_code)
