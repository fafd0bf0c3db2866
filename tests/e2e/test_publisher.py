"""The lens `regular_way` against bars that an independent publisher made of the same tape."""

from pathlib import Path

import duckdb

from tests.rig import build, land, open_lake, replay_files

COMPARE = """
    select
        count(*) filter (where ours.market_session = 'regular') as minutes,
        count(*) filter (
            where ours.market_session = 'regular'
            and (theirs.o, theirs.h, theirs.l, theirs.c) is distinct from (ours.open, ours.high, ours.low, ours.close)
        ) as other_prices,
        count(*) filter (where ours.symbol is null) as missing
    from theirs
    left join (select * from lake.gold.bars_1m where lens = 'regular_way') as ours using (symbol, start_at)
"""


def test_of_the_publishers_regular_minutes_at_most_three_differ(tape: Path, tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home", threads=2)
    replay_files(lake, *sorted((tape / "trades").glob("*.csv.gz")))
    land(lake)
    build(lake)
    lake.log.close()
    with duckdb.connect() as connection:
        connection.execute(f"attach '{lake.warehouse.path}' as lake (read_only)")
        connection.execute(
            "create table theirs as select regexp_extract(filename, '/([A-Z]+)-', 1) as symbol, epoch_ms(cast(t as bigint)) as start_at,"
            " o, h, l, c from read_csv($files, filename = true, types = {'o': 'decimal(18, 8)', 'h': 'decimal(18, 8)',"
            " 'l': 'decimal(18, 8)', 'c': 'decimal(18, 8)'})",
            {"files": [str(path) for path in sorted((tape / "minute_bars").glob("*.csv"))]},
        )
        row = connection.execute(COMPARE).fetchone()
    assert row is not None
    minutes, other_prices, missing = row
    assert (minutes, missing) == (3119, 0)
    assert other_prices <= 3
