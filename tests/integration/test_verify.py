"""Gold against the landed bytes: sound it holds, and each way in which it can be wrong is found and named."""

import json
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.property.market import cut_objects, make_logs
from tests.rig import Session, Tick, build, land, log_records, make_once, open_lake, utc_ms, verify_lake
from ticklake.audit.verify import Verified
from ticklake.cli.lake import Lake
from ticklake.cli.main import cli
from ticklake.contracts.codec import decode_object, encode_object
from ticklake.errors import BuildUnfinished, NotVerified, SymbolUnknown

DAY: Final = "trading_date = date '2024-01-10'"
ONE_BAR: Final = f"""
    select rowid from gold.bars_5m
    where lens = 'sip' and market_session = 'regular' and {DAY} and open <> close and trade_count > 1
    order by feed, symbol, start_at limit 1
"""  # noqa: S608 — our own SQL
TamperWith = Callable[["Victim"], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A difficult week, built; read it, do not change it."""
    return open_lake(make_once(tmp_path_factory, "sound", make_lake))


def make_lake(home: Path) -> None:
    lake = open_lake(home)
    natural, _ = cut_objects(make_logs(seed=6), seed=6)
    for key, data in natural.items():
        lake.store.create(key, data)
    build(lake)


class Victim:
    """A copy of the sound lake that somebody tampers with."""

    def __init__(self, sound: Lake, home: Path) -> None:
        shutil.copytree(sound.home.root, home)
        self.lake = open_lake(home)

    def sql(self, *statements: str) -> None:
        """Change the warehouse behind everybody's back; each statement changes something."""
        with duckdb.connect(self.lake.warehouse.path) as connection:
            for statement in statements:
                changed = connection.execute(statement).fetchone()
                assert changed is not None
                assert changed[0] > 0, statement

    def key_with(self, text: bytes) -> str:
        """Give the first object that holds a text."""
        keys = self.lake.store.list("landing/frames.v1/")
        return next(key for key in keys if text in decode_object(key, self.lake.store.read(key)))

    def key_matching(self, pattern: bytes) -> str:
        """Give the first object in which a line matches."""
        keys = self.lake.store.list("landing/frames.v1/")
        return next(key for key in keys if re.search(pattern, decode_object(key, self.lake.store.read(key))))

    def rewrite(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Change the bytes of an object, so that it is a good one of other content."""
        before = decode_object(key, self.lake.store.read(key))
        after = change(before)
        assert after != before
        self.lake.store.delete(key)
        self.lake.store.create(key, encode_object(after.rstrip(b"\n").split(b"\n")))

    def overwrite(self, key: str, data: bytes) -> None:
        """Put other bytes in an object's place."""
        self.lake.store.delete(key)
        self.lake.store.create(key, data)

    def verify(self) -> Verified:
        """Count anew."""
        return verify_lake(self.lake)


def update(table: str, change: str) -> TamperWith:
    """Change one bar of a table."""
    return lambda victim: victim.sql(f"update gold.{table} set {change} where rowid in ({ONE_BAR.replace('bars_5m', table)})")  # noqa: S608 — our own SQL


def flip_a_byte(victim: Victim) -> None:
    """One bit of a landed object turns."""
    key = victim.key_with(b'"p":190.12')
    data = victim.lake.store.read(key)
    victim.overwrite(key, data[:60] + bytes([data[60] ^ 4]) + data[61:])


def swap_prices(lines: bytes) -> bytes:
    """Two prices of a frame change places: what is first is last."""
    return re.sub(rb'"p":190\.1,(.*?)"p":190\.12,', rb'"p":190.12,\1"p":190.1,', lines, count=1)


def move_a_print(lines: bytes) -> bytes:
    """A print moves into the next minute."""
    return re.sub(rb'("p":190\.12,"s":"[^"]+","t":)(\d+)', lambda found: found[1] + str(int(found[2]) + 60_000).encode(), lines, count=1)


TAMPERS: Final[dict[str, tuple[TamperWith, str]]] = {
    "a byte in an object": (flip_a_byte, "unreadable"),
    "an object cut short": (
        lambda victim: victim.overwrite(key := victim.key_with(b"190.12"), victim.lake.store.read(key)[:-20]),
        "unreadable",
    ),
    "a missing object": (lambda victim: victim.lake.store.delete(victim.key_with(b'"p":190.12')), "unreadable"),
    "a price in an object": (
        lambda victim: victim.rewrite(victim.key_with(b'"p":190.12,'), lambda lines: lines.replace(b'"p":190.12,', b'"p":190.11,', 1)),
        "bars_1m",
    ),
    "a size in an object": (
        lambda victim: victim.rewrite(victim.key_with(b'"v":100}'), lambda lines: lines.replace(b'"v":100}', b'"v":101}')),
        "volume",
    ),
    "a code in an object": (
        lambda victim: victim.rewrite(victim.key_with(b'"c":["12"]'), lambda lines: lines.replace(b'"c":["12"]', b'"c":["16"]')),
        "volume",
    ),
    "a record taken from an object": (
        lambda victim: victim.rewrite(
            victim.key_with(b'"p":190.12,'),
            lambda lines: b"".join(line for line in lines.splitlines(keepends=True) if b'"p":190.12,' not in line),
        ),
        "row",
    ),
    "a moved print": (lambda victim: victim.rewrite(victim.key_with(b'"p":190.12,'), move_a_print), "bars_1m"),
    "two prints that changed places": (
        lambda victim: victim.rewrite(victim.key_matching(rb'"p":190\.1,.*?"p":190\.12,'), swap_prices),
        "bars",
    ),
    "a price in gold": (update("bars_1m", "high = high + 0.01"), "high"),
    "a price in gold, in its last digit": (update("bars_5m", "low = low - 0.00000001"), "low"),
    "a swapped open": (update("bars_5m", "open = close"), "open"),
    "a close that is gone": (update("bars_1m", "close = null"), "close"),
    "a volume": (update("bars_5m", "volume = volume + 1"), "volume"),
    "a count": (update("bars_1m", "trade_count = trade_count - 1"), "trade_count"),
    "a vwap outside its bar": (update("bars_5m", "vwap = high + 0.00000001"), "vwap"),
    "a vwap by two units": (update("bars_5m", "vwap = vwap + 0.00000002"), "vwap"),
    "a notional in its last digit": (update("bars_5m", "notional = notional + 0.0000000000000001"), "notional"),
    "a label": (update("bars_1m", "market_session = 'post'"), "market_session"),
    "a first print's time": (update("bars_5m", "first_traded_at = first_traded_at + interval 1 millisecond"), "first_traded_at"),
    "a last print's time": (update("bars_5m", "last_traded_at = last_traded_at + interval 1 millisecond"), "last_traded_at"),
    "a trading date": (update("bars_1m", "trading_date = trading_date + 1"), "trading_date"),
    "a finality": (update("bars_5m", "final_at = final_at + interval 1 second"), "final_at"),
    "a revision": (update("bars_5m", "revision = revision + 1"), "revision"),
    "a bar that is gone": (lambda victim: victim.sql(f"delete from gold.bars_5m where rowid in ({ONE_BAR})"), "row"),  # noqa: S608
    "a bar through another lens": (update("bars_5m", "lens = 'all_prints', start_at = start_at + interval 7 minute"), "row"),
    "a bar that is there twice": (
        lambda victim: victim.sql(f"insert into gold.bars_5m select * from gold.bars_5m where rowid in ({ONE_BAR})"),  # noqa: S608
        "row",
    ),
    "a day's close": (lambda victim: victim.sql(f"update gold.bars_1d set close = low - 1 where {DAY} and close is not null"), "bars_1d"),  # noqa: S608
    "a day that is gone": (lambda victim: victim.sql(f"delete from gold.bars_1d where {DAY} and lens = 'regular_way'"), "bars_1d"),  # noqa: S608
    "a lens that is gone": (lambda victim: victim.sql("delete from gold.bars_1m where lens = 'all_prints'"), "all_prints"),
}


def test_a_sound_lake_holds(sound: Lake) -> None:
    verified = verify_lake(sound)

    assert verified.holds, verified.differences[:3]
    counts = [sound.query(f"select count(*) from gold.bars_{interval}").rows[0][0] for interval in ("1m", "5m", "1d")]  # noqa: S608
    assert verified.bars == sum(counts) > 1000
    assert verified.trades == sound.query("select count(*) from silver.trades").rows[0][0]
    assert (verified.pending, verified.unreadable) == (0, [])


@pytest.mark.no_cover  # the auditor is measured where it is tested alone
@pytest.mark.parametrize(("tamper", "named"), TAMPERS.values(), ids=list(TAMPERS))
def test_each_tamper_is_found_and_named(sound: Lake, tmp_path: Path, tamper: TamperWith, named: str) -> None:
    victim = Victim(sound, tmp_path / "home")
    tamper(victim)

    verified = victim.verify()

    assert not verified.holds
    if named == "unreadable":
        assert len(verified.unreadable) == 1
        assert "frames.v1" in verified.unreadable[0]
    else:
        assert any(named in f"{each.table} {each.lens} {each.column}" for each in verified.differences), verified.differences[:5]


def test_where_silver_has_another_trade_it_is_named_with_its_place(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    key = victim.key_with(b'"p":190.12,')
    victim.rewrite(key, lambda lines: lines.replace(b'"p":190.12,', b'"p":190.11,', 1))

    told = {line for each in victim.verify().differences for line in each.prints}

    assert any("landed as" in line and "at 190.11" in line and "in silver" in line and "at 190.12" in line for line in told), told


def test_other_days_are_left_alone(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    update("bars_5m", "volume = volume + 1")(victim)
    verify_days = ["--from", "2024-01-11", "--to", "2024-01-12"], ["--from", "2024-01-10", "--to", "2024-01-10"]

    other, same = (type_verify(victim.lake, *days, "--json") for days in verify_days)

    assert json.loads(other.stdout)["holds"] is True
    assert json.loads(other.stdout)["bars"] > 0
    assert isinstance(same.exception, NotVerified)
    (difference,) = json.loads(same.stdout)["differences"]
    assert (difference["table"], difference["column"], difference["by"]) == ("bars_5m", "volume", "1.00000000")


def test_what_landed_after_the_build_is_pending(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    _, overlaps = cut_objects(make_logs(seed=6), seed=6)
    key, data = next(iter(overlaps.items()))
    victim.lake.store.create(key, data)

    assert victim.verify().pending == 1
    assert "1 objects landed after the last build" in type_verify(victim.lake).stdout


def test_people_read_what_differs_by_how_much_and_in_which_prints(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    update("bars_5m", "volume = volume + 1")(victim)

    told = type_verify(victim.lake)

    assert isinstance(told.exception, NotVerified)
    assert told.exception.exit_code == 3
    assert "✗ bars_5m" in told.stdout
    assert ", must be " in told.stdout
    assert ", 1.00000000 off" in told.stdout
    assert "1 values differ" in told.stdout


def type_verify(lake: Lake, *arguments: str) -> Result:
    """Type `ticklake verify …`."""
    return CliRunner().invoke(cli, ["--home", str(lake.home.root), "verify", *arguments])


def test_explain_tells_of_every_bar_what_made_it(sound: Lake) -> None:
    """Of some bars of each length: the prints that it names make the bar that gold holds."""
    for interval in ("1m", "5m", "1d"):
        sql = f"""
            select symbol, start_at, trading_date, open, high, low, close, trade_count from gold.bars_{interval}
            where lens = 'sip' and open is not null order by hash(symbol || start_at) limit 5
        """  # noqa: S608 — our own SQL
        for symbol, start_at, trading_date, *prices, trade_count in sound.query(sql).rows:
            moment = trading_date if interval == "1d" else start_at
            (told,) = explain(sound, symbol, moment.isoformat(), "--interval", interval)
            made = {what: each["price"] for each in told["prints"] for what in each["did"].split(", ")}
            assert [made[column] for column in ("open", "high", "low", "close")] == [format(price, "f") for price in prices]
            assert sum("volume" in each["did"] for each in told["prints"]) == trade_count


def test_explain_names_the_rule_that_kept_a_print_out(sound: Lake) -> None:
    sql = """
        select symbol, traded_at, conditions from silver.trades
        where conditions in ('12', '16', '24') and market_session = 'regular' and size > 0
        qualify row_number() over (partition by conditions order by symbol, traded_at) <= 3
    """
    told: dict[str, str] = {}
    for symbol, traded_at, _ in sound.query(sql).rows:
        (explained,) = explain(sound, symbol, traded_at.isoformat(), "--interval", "1m")
        told |= {each["conditions"]: each["kept_out"] for each in explained["prints"] if each["kept_out"].startswith("sets no price")}

    assert told["12"] == "sets no price: code 12"
    assert told["16"] == "sets no price: code 16; adds no volume: code 16"
    assert told["24"] == "sets no price: Form T in the regular session"


def test_explain_tells_of_duplicates_and_quarantine_too(sound: Lake) -> None:
    sql = """
        select any_value(symbol), any_value(epoch_ms(bucket::bigint * 300000)), reason from silver.prints
        where reason is not null and symbol <> '' group by reason
    """
    reasons = sound.query(sql).rows
    assert len(reasons) >= 8
    for symbol, start_at, reason in reasons:
        (explained,) = explain(sound, symbol, start_at.isoformat())
        assert reason in {each["kept_out"] for each in explained["prints"]}


def test_a_corrupt_object_is_named_and_the_others_explain_the_bar(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    sql = "select any_value(symbol), any_value(traded_at) from silver.trades where symbol = 'AAPL7'"
    ((symbol, traded_at),) = sound.query(sql).rows
    broken = victim.key_with(b'"AAPL0"')
    victim.overwrite(broken, b"broken")

    told = CliRunner().invoke(cli, ["--home", str(victim.lake.home.root), "explain", symbol, traded_at.isoformat()])

    assert told.exit_code == 0, told.exception
    assert f"warning: the object {broken} is corrupt" in told.stderr
    assert symbol in told.stdout


def test_the_bars_of_a_symbol_within_another_are_told_apart(sound: Lake) -> None:
    done = CliRunner().invoke(cli, ["--home", str(sound.home.root), "explain", "APL", "2024-01-10T14:30"])
    assert isinstance(done.exception, SymbolUnknown)


@pytest.mark.parametrize("start", ["2024-07-08", "2024-07-07T23:00", "2024-07-08T10:00"])
def test_a_day_is_named_by_its_date_its_start_or_any_moment_in_it(tmp_path: Path, start: str) -> None:
    """London is an hour ahead of UTC in summer: its day begins on the date before."""
    lake = open_lake(tmp_path)
    log_records(lake, [Session().frame([Tick("VOD.L", utc_ms("2024-07-08 10:00"), "70", "5")])])
    land(lake)
    (explained,) = explain(lake, "VOD.L", start, "--interval", "1d")
    assert (explained["bar"]["start_at"], explained["bar"]["trading_date"]) == ("2024-07-07T23:00:00Z", "2024-07-08")


@pytest.mark.parametrize("interval", ["1m", "5m", "1d"])
def test_an_auction_is_told_only_where_its_price_was_taken(tmp_path: Path, interval: str) -> None:
    """The session's first minute did not trade: its five open at the first print, and the day at the auction."""
    lake = open_lake(tmp_path)
    ticks = [("14:31:05", "49.02", "1", ()), ("14:31:13", "49", "900", ("19",))]
    prints = [Tick("XYZ", utc_ms(f"2024-01-10 {clock}"), price, size, codes) for clock, price, size, codes in ticks]
    log_records(lake, [Session().frame(prints)])
    land(lake)
    start = "2024-01-10" if interval == "1d" else "2024-01-10T14:31"
    (explained,) = explain(lake, "XYZ", start, "--interval", interval, "--lens", "regular_way")
    (opened,) = (each["price"] for each in explained["prints"] if "open" in each["did"].split(", "))
    assert Decimal(opened) == Decimal(explained["bar"]["open"]) == Decimal("49" if interval == "1d" else "49.02")


@pytest.mark.parametrize("arguments", [["bars", "--as-of", "9999-12-31"], ["bars", "--to", "0001-01-01"], ["explain", "A", "2300-01-01"]])
def test_a_moment_that_no_tape_has_is_wrong_usage(sound: Lake, arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["--home", str(sound.home.root), *arguments])
    assert done.exit_code == 2
    assert "years are 1971 to 2260" in done.stderr


def test_what_is_loaded_and_not_built_is_not_called_false(sound: Lake, tmp_path: Path) -> None:
    victim = Victim(sound, tmp_path / "home")
    victim.sql("insert into bronze.loads select max(load_id) + 1, 0, 0 from bronze.loads")
    told = type_verify(victim.lake)
    assert isinstance(told.exception, BuildUnfinished)


def explain(lake: Lake, symbol: str, start: str, *arguments: str) -> list[dict[str, Any]]:
    """Type `ticklake explain … --json`."""
    done = CliRunner().invoke(cli, ["--home", str(lake.home.root), "explain", symbol, start, *arguments, "--json"])
    assert done.exit_code == 0, done.exception
    document: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    return document
