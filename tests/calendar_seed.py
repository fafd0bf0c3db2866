"""Write the seed of exceptional exchange days from exchange_calendars: `make seeds`.

A day that is not in the seed is a regular one from Monday to Friday. So the embedded default needs no calendar
library, and a calendar release cannot change yesterday's bars: the seed is versioned with the models.
"""

import csv
from pathlib import Path

import exchange_calendars
import pandas as pd

SEED = Path(__file__).parents[1] / "transform" / "seeds" / "exchange_days.csv"
FIRST, LAST = "1990-01-01", "2030-12-31"
EXCHANGE, ZONE = "XNYS", "America/New_York"
REGULAR_OPEN, REGULAR_CLOSE = "09:30", "16:00"


def exceptional_days() -> list[tuple[str, str, str, str]]:
    """(exchange, date, open, close) of the weekdays that are not 09:30 to 16:00; both empty where it is closed."""
    calendar = exchange_calendars.get_calendar(EXCHANGE, start=FIRST, end=LAST)
    rows = []
    for day in pd.date_range(FIRST, LAST, freq="B"):
        if day not in calendar.sessions:
            rows.append((EXCHANGE, day.date().isoformat(), "", ""))
            continue
        opens, closes = (moment.tz_convert(ZONE).strftime("%H:%M") for moment in (calendar.session_open(day), calendar.session_close(day)))
        if (opens, closes) != (REGULAR_OPEN, REGULAR_CLOSE):
            rows.append((EXCHANGE, day.date().isoformat(), opens, closes))
    return rows


def main() -> None:
    """Write the seed."""
    with SEED.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("exchange", "trading_date", "open_time", "close_time"))
        writer.writerows(exceptional_days())


if __name__ == "__main__":
    main()
