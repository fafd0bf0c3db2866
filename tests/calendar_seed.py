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
EXCHANGES = SEED.with_name("exchanges.csv")


def exceptional_days(exchange: str, zone: str, regular_hours: tuple[str, str]) -> list[tuple[str, str, str, str]]:
    """(exchange, date, open, close) of the weekdays that have not the regular hours; both empty where it is closed."""
    calendar = exchange_calendars.get_calendar(exchange, start=FIRST, end=LAST)
    rows = []
    for day in pd.date_range(FIRST, LAST, freq="B"):
        if day not in calendar.sessions:
            rows.append((exchange, day.date().isoformat(), "", ""))
            continue
        opens, closes = (moment.tz_convert(zone).strftime("%H:%M") for moment in (calendar.session_open(day), calendar.session_close(day)))
        if (opens, closes) != regular_hours:
            rows.append((exchange, day.date().isoformat(), opens, closes))
    return rows


def main() -> None:
    """Write the seed."""
    with SEED.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("exchange", "trading_date", "open_time", "close_time"))
        for row in csv.DictReader(EXCHANGES.read_text().splitlines()):
            writer.writerows(exceptional_days(row["exchange"], row["time_zone"], (row["open_time"], row["close_time"])))


if __name__ == "__main__":
    main()
