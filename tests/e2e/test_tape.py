"""Two real trading days, all of them: not one genuine print is lost, and sent twice they are the same."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Final

import duckdb
import pytest

from tests.rig import ROOT, find_unbalanced, make_once, open_lake, read_gold, run_untraced, tell_difference
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


PAGE: Final = ROOT / "docs" / "bars.md"
SNIPPETS: Final = [
    (command, output)
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for command, output in re.findall(r"^\$ (ticklake .*?)\n(.*?)(?=^\$ |\Z)", block, re.MULTILINE | re.DOTALL)
]


@pytest.fixture(scope="module")
def trades(tape: Path) -> list[Path]:
    return sorted(tape.glob("trades/*.csv.gz"))


@pytest.fixture(scope="module")
def published(tape: Path) -> list[Path]:
    return sorted(tape.glob("minute_bars/*.csv"))


@pytest.fixture(scope="module")
def lake(trades: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The tape from its files to gold: read it, do not change it."""
    return open_lake(make_once(tmp_path_factory, "tape", lambda home: replay_tape(home, trades)))


def replay_tape(home: Path, trades: list[Path]) -> None:
    """Bring the whole tape from its files to gold."""
    replayed = json.loads(run_untraced(home, "replay", *map(str, trades), "--json"))
    assert replayed["prints"] == PRINTS
    run_untraced(home, "land")
    run_untraced(home, "build")


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


def test_the_real_tape_is_kept_to_the_last_print(lake: Lake, trades: list[Path]) -> None:
    assert digest_trades(lake)[0] == PRINTS
    assert count_verdicts(lake) == {"trade": PRINTS}
    assert count_strays(lake, trades) == (0, 0)
    assert find_unbalanced(lake) == []


def test_an_independent_publisher_made_the_same_bars(lake: Lake, published: list[Path]) -> None:
    sip, regular_way, all_prints = (percent_of_equal_minutes(lake, published, lens) for lens in ("sip", "regular_way", "all_prints"))
    minutes, other_prices = count_other_prices(lake, published)

    assert round(sip, 2) >= 99.50, f"sip has the publisher's volume in {sip} % of all minutes"
    assert round(regular_way, 2) >= 99.50, f"regular_way has the publisher's volume in {regular_way} % of all minutes"
    assert round(all_prints, 2) == 99.41, f"all_prints has the publisher's volume in {all_prints} % of all minutes"
    assert minutes == REGULAR_MINUTES
    assert other_prices <= 3, "an independent publisher made other bars of the same tape"


@pytest.mark.deep
def test_the_tape_sent_again_adds_nothing(lake: Lake, trades: list[Path], tmp_path: Path) -> None:
    shutil.copytree(lake.home.root, tmp_path / "home")
    again = open_lake(tmp_path / "home")
    replay_tape(again.home.root, trades)

    assert count_verdicts(again) == {"trade": PRINTS, "duplicate": PRINTS}
    assert digest_trades(again) == digest_trades(lake)
    assert find_unbalanced(again) == []
    assert tell_difference(read_gold(lake), read_gold(again)) == ""


@pytest.mark.parametrize(("command", "output"), SNIPPETS, ids=[command for command, _ in SNIPPETS])
def test_the_page_on_bars_prints_what_it_says(lake: Lake, command: str, output: str) -> None:
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line.rstrip()) + r"\n" for line in output.splitlines())
    assert re.fullmatch(pattern, run_untraced(lake.home.root, *shlex.split(command)[1:]))


def test_the_page_proves_every_bar(lake: Lake) -> None:
    """An independent program counts the same: what `verify` prints is compared above, to the letter."""
    (proof,) = (output for command, output in SNIPPETS if command == "ticklake verify")
    bars = sum(len(rows) for rows in read_gold(lake).values())
    assert proof.startswith(f"✓ {bars:,} bars of {PRINTS:,} trades, ")
    assert proof.endswith(": 0 values differ\n")
    assert len(SNIPPETS) >= 6
