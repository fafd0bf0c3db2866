"""Is it well, and how is it set: doctor, config show, config copy-project."""

import shlex
from pathlib import Path

import click
import msgspec

from ticklake.cli.output import print_json, print_result
from ticklake.cli.path import JSON


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look at home, disk, store, landing and clock; exit with 1 if anything is wrong, and say the mend."""
    from ticklake.audit.doctor import Finding, check_clock, check_last_objects, check_space, check_store
    from ticklake.cli.lake import Lake
    from ticklake.landing.land import resume_offset

    lake = Lake.at(context.obj).open()
    findings = [
        Finding("home", is_good=True, found=f"{lake.home.root} is writable, its layout is ours"),
        check_space(lake.home.root),
        check_store(lake.store),
        check_last_objects(lake.log, lake.store, resume_offset),
        check_clock(lake.clock, lake.log),
    ]
    if as_json:
        print_json([msgspec.to_builtins(finding) for finding in findings])
    else:
        for finding in findings:
            mark = click.style("✓", fg="green") if finding.is_good else click.style("✗", fg="red")
            click.echo(f"{mark} {finding.check:<8} {finding.found}")
            if not finding.is_good:
                click.echo(f"           {click.style('mend:', fg='cyan')} {finding.mend}")
    if not all(finding.is_good for finding in findings):
        context.exit(1)


@click.group()
def config() -> None:
    """How the lake is set."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_obj
def show(home: Path | None, as_json: bool) -> None:
    """Print every setting, its value, and where it came from."""
    from ticklake.contracts.ports import QueryResult
    from ticklake.settings import explain_settings, read_settings

    rows = explain_settings(read_settings(home), home_is_flag=home is not None)
    result = QueryResult(list(rows[0]), [tuple(row.values()) for row in rows])
    print_result(result, "json" if as_json else "table")


@config.command("copy-project")
@click.argument("folder", type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def copy_project(home: Path | None, folder: Path, as_json: bool) -> None:
    """Copy the dbt project into a new folder, to change its rules there: seeds of feeds, lenses, codes, exchanges."""
    import shutil

    from ticklake.cli.lake import Lake

    project = Lake.at(home).project
    try:
        shutil.copytree(project, folder, ignore=shutil.ignore_patterns("target", "logs"))
    except OSError as error:
        raise click.BadParameter(f"{folder} cannot be made: {error.strerror}; name a new folder", param_hint="FOLDER") from error
    if as_json:
        print_json({"project": project, "copy": folder.absolute()})
    else:
        click.echo(
            f"copied to {folder.absolute()}; build with it: export TICKLAKE_WAREHOUSE__PROJECT={shlex.quote(str(folder.absolute()))}"
        )
