"""A moment as people type it: 2026-03-09, 2026-03-09T14:30, 2026-03-09T14:30:00.125Z, or with an offset."""

from datetime import UTC, datetime
from typing import Any, Final

import click

FIRST_YEAR: Final = 1971
LAST_YEAR: Final = 2260
"""What fits nanoseconds since 1970 in 64 bits, with a day to spare."""


class Moment(click.ParamType[datetime]):
    """A moment to the microsecond, in UTC without a zone; what names no zone is UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment: write 2026-03-09 or 2026-03-09T14:30:00, in UTC", param, ctx)
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            self.fail(f"{value!r} is out of range: years are {FIRST_YEAR} to {LAST_YEAR}", param, ctx)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


MOMENT: Final = Moment()
