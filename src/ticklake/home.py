"""The home folder: everything that the embedded path keeps, under one roof with a version.

    home.json     layout version, and who made it
    log/          the SQLite log, a file a segment
    landing/      landed objects (the folder store's root is the home)
    warehouse/    the DuckDB file, its locks, dbt's target and logs
    locks/        one file a stage, holding the pid at work

Raises     HomeUnwritable, HomeVersionMismatch
"""

import json
import os
from pathlib import Path
from typing import Final

from ticklake.errors import HomeUnwritable, HomeVersionMismatch
from ticklake.logs import HOME_CREATED, log_event

LAYOUT: Final = 1
"""Raised whenever an older ticklake could not read what this one writes."""


class Home:
    """The folders of one lake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.locks = root / "locks"
        self.warehouse = root / "warehouse"
        self.version_file = root / "home.json"

    @property
    def exists(self) -> bool:
        """Whether a lake was ever made here."""
        return self.version_file.exists()

    def open(self, *, made_by: str) -> "Home":
        """Make the folders if they are missing, and check that this version can read them.

        Raises HomeUnwritable, HomeVersionMismatch.
        """
        try:
            for folder in (self.root, self.log, self.locks, self.warehouse):
                folder.mkdir(parents=True, exist_ok=True)
            if not self.exists:
                aside = self.version_file.with_suffix(f".{os.getpid()}")
                aside.write_text(json.dumps({"layout": LAYOUT, "made_by": made_by}) + "\n")
                aside.replace(self.version_file)
                log_event(HOME_CREATED, root=self.root)
            for folder in (self.root, self.log, self.locks, self.warehouse):
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(13, "no write permission", str(folder))
        except OSError as error:
            raise HomeUnwritable(
                f"the home {self.root} cannot be written: {error.strerror} ({error.filename})",
                hint="name another with --home DIR or TICKLAKE_HOME, or make this one writable",
            ) from error
        return self.check()

    def check(self) -> "Home":
        """Check that this version can read what is there, if anything is; writes nothing. Raises HomeVersionMismatch."""
        if self.exists:
            self._check_layout()
        return self

    def _check_layout(self) -> None:
        try:
            made = json.loads(self.version_file.read_text())
            layout, made_by = int(made["layout"]), str(made.get("made_by", "unknown"))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise HomeVersionMismatch(
                f"{self.version_file} is not readable as a version file",
                hint="restore it, or start a new home with --home DIR",
            ) from error
        if layout != LAYOUT:
            raise HomeVersionMismatch(
                f"the home {self.root} has layout {layout} (made by ticklake {made_by}), this version reads layout {LAYOUT}",
                hint="use the version that made it, or start a new home with --home DIR and land into it again",
            )
