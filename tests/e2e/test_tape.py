"""Two real trading days, all of them: not one genuine print is lost, and sent twice they are the same."""

import json
from pathlib import Path
from typing import Final

import duckdb
import pytest

from tests.rig import find_unbalanced, open_lake, read_gold, run_untraced, tell_difference
from ticklake.cli.lake import Lake

pytestmark = pytest.mark.no_cover  # many builds: tracing dbt would double their time

PRINTS: Final = 1_042_557
READ_TAPE: Final = """
create temp table tape as
select
    s as symbol, t as traded_ms, cast(p as decimal(18, 8)) as price, cast(v as decimal(18, 8)) as size,
    coalesce(array_to_string(list_transform(
        list_sort(list_transform(list_distinct(string_split(c, ';')), lambda code: lpad(code, 4, '0'))),
        lambda code: ltrim(code, '0')
    ), ','), '') as conditions
from read_csv($files, header = true, columns = {
    's': 'varchar', 't': 'bigint', 'p': 'varchar', 'v': 'varchar', 'c': 'varchar', 'x': 'varchar'
})
"""
COUNT_EACH: Final = "select symbol, traded_ms, price, size, conditions, count(*) as copies from {} group by all"
MINUTE_VOLUMES: Final = """
with published as (
    select regexp_extract(filename, '([A-Z]+)-', 1) as symbol, epoch_ms(t) as start_at, v as volume
    from read_csv($files, header = true, filename = true)
),
ours as (
    select symbol, start_at, volume from gold.bars_1m where lens = $lens and volume > 0
)
select count(*), count(*) filter (where published.volume = ours.volume)
from published left join ours using (symbol, start_at)
"""

OTHER_PRICES: Final = """
with published as (
    select regexp_extract(filename, '([A-Z]+)-', 1) as symbol, epoch_ms(t) as start_at, o, h, l, c
    from read_csv($files, header = true, filename = true, types = {
        'o': 'decimal(18, 8)', 'h': 'decimal(18, 8)', 'l': 'decimal(18, 8)', 'c': 'decimal(18, 8)'
    })
),
ours as (
    select * from gold.bars_1m where lens = 'regular_way' and market_session = 'regular'
)
select
    count(*), count(*) filter (where (published.o, published.h, published.l, published.c) is distinct from (open, high, low, close))
from published inner join ours using (symbol, start_at)
"""
REGULAR_MINUTES: Final = 3_119


def replay_tape(lake: Lake, trades: list[Path]) -> None:
    """Bring the whole tape from its files to gold."""
    replayed = json.loads(run_untraced(lake.home.root, "replay", *map(str, trades), "--json"))
    assert replayed["prints"] == PRINTS
    run_untraced(lake.home.root, "land")
    run_untraced(lake.home.root, "build")


def count_verdicts(lake: Lake) -> dict[str, int]:
    """Give how many prints have which verdict."""
    return dict(lake.query("select verdict, count(*) from silver.prints group by verdict").rows)


def digest_trades(lake: Lake) -> tuple[int, int]:
    """Give how many trades there are, and one number for all of them in their order."""
    columns = "symbol, order_key, traded_ms, price, size, conditions, received_ns, session, seq, print_index"
    trades, digest = lake.query(f"select count(*), bit_xor(hash({columns})) from silver.trades").rows[0]  # noqa: S608 — our own SQL
    return int(trades), int(digest)


def count_strays(lake: Lake, trades: list[Path]) -> tuple[int, int]:
    """Give how many groups of equal prints the tape has more often than the lake, and the lake than the tape."""
    with duckdb.connect(lake.warehouse.path, read_only=True) as connection:
        connection.execute(READ_TAPE, {"files": [str(path) for path in trades]})
        tape, lake_trades = COUNT_EACH.format("tape"), COUNT_EACH.format("silver.trades")
        missing, invented = (
            connection.execute(f"select count(*) from ({left} except all {right})").fetchone() or (-1,)  # noqa: S608 — our own SQL
            for left, right in ((tape, lake_trades), (lake_trades, tape))
        )
    return missing[0], invented[0]


def percent_of_equal_minutes(lake: Lake, published: list[Path], lens: str) -> float:
    """Give in how many of the publisher's minutes a lens has the publisher's volume, in percent."""
    with duckdb.connect(lake.warehouse.path, read_only=True) as connection:
        parameters = {"files": [str(path) for path in published], "lens": lens}
        minutes, equal = connection.execute(MINUTE_VOLUMES, parameters).fetchone() or (0, 0)
    return 100 * int(equal) / int(minutes)


def count_other_prices(lake: Lake, published: list[Path]) -> tuple[int, int]:
    """Give the regular session's minutes, and in how many of them the publisher's prices differ from regular_way's in any."""
    with duckdb.connect(lake.warehouse.path, read_only=True) as connection:
        minutes, other = connection.execute(OTHER_PRICES, {"files": [str(path) for path in published]}).fetchone() or (0, 0)
    return int(minutes), int(other)


def test_the_real_tape_is_kept_to_the_last_print_and_sending_it_again_adds_nothing(tape: Path, tmp_path: Path) -> None:
    trades, published = sorted(tape.glob("trades/*.csv.gz")), sorted(tape.glob("minute_bars/*.csv"))
    lake = open_lake(tmp_path)

    replay_tape(lake, trades)
    gold, digest = read_gold(lake), digest_trades(lake)

    assert digest[0] == PRINTS
    assert count_verdicts(lake) == {"trade": PRINTS}
    assert count_strays(lake, trades) == (0, 0)
    assert find_unbalanced(lake) == []
    sip, all_prints = (percent_of_equal_minutes(lake, published, lens) for lens in ("sip", "all_prints"))
    assert round(sip, 2) >= 99.50, f"sip has the publisher's volume in {sip} % of all minutes"
    assert round(all_prints, 2) == 99.41, f"all_prints has the publisher's volume in {all_prints} % of all minutes"
    minutes, other_prices = count_other_prices(lake, published)
    assert minutes == REGULAR_MINUTES
    assert other_prices <= 3, "an independent publisher made other bars of the same tape"

    replay_tape(lake, trades)

    assert count_verdicts(lake) == {"trade": PRINTS, "duplicate": PRINTS}
    assert digest_trades(lake) == digest
    assert find_unbalanced(lake) == []
    assert tell_difference(gold, read_gold(lake)) == ""
