"""The macros that hide what warehouses do differently, by answers that any warehouse has to give."""

import json
from datetime import date
from typing import Any, Final

import pytest

from tests.rig import Session, Tick, build, land, log_records, open_lake
from ticklake.cli.lake import Lake
from ticklake.warehouse.transform import Transform

pytestmark = pytest.mark.usefixtures("dbt_results")

NOON_MS: Final = 1_763_476_200_000

MACROS: Final[dict[str, tuple[str, str]]] = {
    "ms_to_timestamp": ("ms_to_timestamp('1763476200123')", "2025-11-18 14:30:00.123000"),
    "ms_to_timestamp before 1970": ("ms_to_timestamp('-1')", "1969-12-31 23:59:59.999000"),
    "ns_to_timestamp": ("ns_to_timestamp('1763476200123456789')", "2025-11-18 14:30:00.123456"),
    "timestamp_to_ms": ("timestamp_to_ms(\"timestamp '2025-11-18 14:30:00.123'\")", "1763476200123"),
    "local_to_utc in winter": ("local_to_utc(\"timestamp '2025-11-18 09:30:00'\", \"'America/New_York'\")", "2025-11-18 14:30:00"),
    "local_to_utc in summer": ("local_to_utc(\"timestamp '2025-07-01 09:30:00'\", \"'America/New_York'\")", "2025-07-01 13:30:00"),
    "local_date before its midnight": ("local_date(\"timestamp '2025-11-18 04:59:59'\", \"'America/New_York'\")", "2025-11-17"),
    "local_date after its midnight": ("local_date(\"timestamp '2025-11-18 05:00:00'\", \"'America/New_York'\")", "2025-11-18"),
    "integer_divide": ("integer_divide('1763476499999', '300000')", "5878254"),
    "notional, which a product of two decimal(18, 8) could not hold": (
        "notional('cast(9999999999.99999999 as decimal(18, 8))', 'cast(9999999999 as decimal(18, 8))')",
        "99999999989999999900.0000000100000000",
    ),
    "vwap": ("vwap('cast(10 as decimal(38, 16))', '3', '3.3', '3.4')", "3.33333333"),
    "vwap of a price that a double would blur": (
        "vwap('cast(4567890123.37037034 as decimal(38, 16))', 'cast(3 as decimal(38, 8))', '1', '9999999999')",
        "1522630041.12345678",
    ),
    "vwap of no volume": ("vwap('cast(0 as decimal(38, 16))', '0', '1', '2')", "None"),
    "vwap, which a double would lift above high": (
        "vwap('29999999997.37037034', '3', '9999999999.12345678', '9999999999.12345678')",
        "9999999999.12345678",
    ),
    "bucket_start": ("bucket_start('5878254')", "2025-11-18 14:30:00"),
    "is_continuous of a pair": ("is_continuous(\"'BINANCE:BTCUSDT'\")", "True"),
    "is_continuous of a share": ("is_continuous(\"'BRK.B'\")", "False"),
    "trading_date of a post market": ("trading_date(\"'AAPL'\", '5878379')", "2025-11-18"),
    "trading_date of a pair": ("trading_date(\"'OANDA:EUR_USD'\", '5878380')", "2025-11-19"),
}
"""What to ask of a macro, and its answer as text."""

COPIES: Final = "(values ('a', 1, 2), ('a', 0, 10), ('b', 0, 1), ('a', 0, 9)) as copies (log_id, log_partition, log_offset)"


@pytest.fixture(scope="module")
def built_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake after its first build: macros are asked where models lie."""
    lake = open_lake(tmp_path_factory.mktemp("units") / "home")
    log_records(lake, [Session().frame([Tick("AAPL", NOON_MS, "10", "1")])])
    land(lake)
    build(lake)
    return lake


def run_dbt(lake: Lake, *arguments: str) -> dict[str, Any]:
    folder = lake.home.warehouse / "dbt"
    Transform(lake.warehouse, folder, lake.project).run(list(arguments))
    found: dict[str, Any] = json.loads((folder / "target" / "run_results.json").read_text())
    return found


def compile_sql(lake: Lake, *expressions: str) -> list[str]:
    """Let dbt compile several expressions in one run."""
    inline = "\n===\n".join(f"{{{{ {expression} }}}}" for expression in expressions)
    (compiled,) = run_dbt(lake, "compile", "--inline", inline)["results"]
    return [each.strip() for each in str(compiled["compiled_code"]).split("===")]


def test_each_macro_gives_what_it_promises(built_lake: Lake) -> None:
    compiled = compile_sql(built_lake, *(call for call, _ in MACROS.values()))
    found = built_lake.query(f"select {', '.join(compiled)}").rows[0]
    expected = {name: answer for name, (_, answer) in MACROS.items()}
    assert {name: "None" if value is None else str(value) for name, value in zip(MACROS, found, strict=True)} == expected


def test_the_first_copy_is_the_one_of_the_least_place_in_a_log(built_lake: Lake) -> None:
    alone, prefixed = compile_sql(built_lake, "copy_key()", "copy_key('copies')")
    rows = built_lake.query(f"select log_id, log_partition, log_offset from {COPIES} order by {alone}").rows  # noqa: S608 — our own words
    assert rows == [("a", 0, 9), ("a", 0, 10), ("a", 1, 2), ("b", 0, 1)]
    assert built_lake.query(f"select min({prefixed}) = row('a', 0, 9) from {COPIES}").rows == [(True,)]  # noqa: S608 — our own words


def test_a_date_spine_holds_both_ends(built_lake: Lake) -> None:
    (spine,) = compile_sql(built_lake, "date_spine('2024-02-28', '2024-03-01')")
    rows = built_lake.query(f"select calendar_date from ({spine}) as spine order by 1").rows  # noqa: S608 — our own words
    assert rows == [(date(2024, 2, 28),), (date(2024, 2, 29),), (date(2024, 3, 1),)]
