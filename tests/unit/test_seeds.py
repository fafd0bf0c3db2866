"""The seeds as the auditor reads them, against tables that were written by hand."""

import csv
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.rules_table import ALLOWED, CODE_SETS, CODES, LENSES, SESSIONS, allow, read_letters
from ticklake.audit.seeds import Effects, Feed, Lens, read_seeds
from ticklake.errors import SeedsInvalid
from ticklake.warehouse.transform import find_project

SEEDS: Final = find_project() / "seeds"


def test_the_table_holds_every_code_through_every_lens_in_every_session() -> None:
    assert len(ALLOWED) == (41 + 2) * len(LENSES) * len(SESSIONS)
    assert len(CODE_SETS) == 2 + 41 + 41 * 40 // 2


def test_the_codes_are_named_as_the_tapes_name_them() -> None:
    with (SEEDS / "trade_conditions.csv").open(newline="") as file:
        rows = [(row["code"], row["name"], row["cta"], row["utp"], row["confidence"]) for row in csv.DictReader(file)]
    assert rows == read_letters()


def test_every_line_of_the_rules_is_that_of_the_table() -> None:
    """Also where a lens would judge the same without it: a line says what it means."""
    with (SEEDS / "lens_rules.csv").open(newline="") as file:
        rows = {(row.pop("lens"), row.pop("code")): tuple(row.values()) for row in csv.DictReader(file)}
    assert rows == {(lens, code): write_rule(code, lens) for lens in LENSES for code in CODES}


def write_rule(code: str, lens: str) -> tuple[str, ...]:
    """Give high and low, last, and volume, as the seed has to say what the table allows."""
    if code == "41" and lens != "all_prints":
        return ("neutral",) * 3
    regular, extended = (ALLOWED[code, lens, session] for session in ("regular", "post"))
    if regular != extended:
        return "session", "session", "yes"
    return (
        "yes" if "H" in regular else "no",
        "yes" if "L" in regular else "first_only" if "F" in regular else "no",
        "yes" if "V" in regular else "no",
    )


def test_every_code_and_every_pair_may_do_what_the_table_says() -> None:
    for lens in read_seeds(SEEDS).lenses:
        for codes in CODE_SETS:
            ruling = lens.judge(codes)
            for session in SESSIONS:
                is_out = ruling.is_extended_only and session == "regular"
                found = {
                    *("H" if ruling.may_set_high_low and not is_out else ""),
                    *("V" if ruling.adds_volume else ""),
                    *(("F" if ruling.is_first_only else "L") if ruling.may_set_last and not is_out else ""),
                }
                assert found == allow(codes, lens.name, session), (lens.name, codes, session)


def test_what_a_lens_does_with_a_code_that_it_does_not_know() -> None:
    assert {lens.name: lens.unknown for lens in read_seeds(SEEDS).lenses} == {
        "sip": Effects("no", "no", "yes"),
        "regular_way": Effects("no", "no", "yes"),
        "all_prints": Effects("yes", "yes", "yes"),
    }


@pytest.mark.parametrize("hours", ["09:30,", ",13:00"])
def test_a_day_with_half_its_hours_is_refused(tmp_path: Path, hours: str) -> None:
    for path in SEEDS.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text())
    with (tmp_path / "exchange_days.csv").open("a") as file:
        file.write(f"XNYS,2030-12-30,{hours}\n")
    with pytest.raises(SeedsInvalid) as caught:
        read_seeds(tmp_path)
    assert caught.value.what == "exchange_days.csv: XNYS 2030-12-30 has half its hours"
    assert caught.value.hint == "both, or neither where it was closed"


def test_the_official_auctions_are_two_codes_through_one_lens() -> None:
    found = {
        (lens.name, code, "opening" if ruling.is_opening_auction else "closing")
        for lens in read_seeds(SEEDS).lenses
        for code in CODES
        if (ruling := lens.judge((code,))).is_opening_auction or ruling.is_closing_auction
    }
    assert found == {("regular_way", "19", "opening"), ("regular_way", "36", "closing")}


def test_the_codes_that_forbid_are_named() -> None:
    (sip,) = (lens for lens in read_seeds(SEEDS).lenses if lens.name == "sip")
    assert sip.forbids(("12", "16", "41"), "volume") == ["16"]
    assert sip.forbids(("12", "16", "41"), "last") == ["12", "16"]
    assert sip.forbids(("1", "24"), "high_low") == []
    assert sip.forbids(("999",), "last") == ["999"]


@pytest.mark.parametrize(
    ("effects", "may_set_high_low", "may_set_last"),
    [(("yes", "no", "yes"), True, False), (("no", "yes", "yes"), True, True), (("no", "no", "yes"), False, False)],
)
def test_what_may_be_open_or_close_counts_for_high_and_low(
    effects: tuple[str, str, str], may_set_high_low: bool, may_set_last: bool
) -> None:
    lens = Lens("mine", has_auctions=False, unknown=Effects("yes", "yes", "yes"), rules={"7": Effects(*effects)})
    ruling = lens.judge(("7", "999"))
    assert (ruling.may_set_high_low, ruling.may_set_last) == (may_set_high_low, may_set_last)


def test_a_lens_without_rules_takes_every_code_for_unknown(tmp_path: Path) -> None:
    for path in SEEDS.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text())
    with (tmp_path / "lenses.csv").open("a") as file:
        file.write("mine,true,yes,no,no,of my own\n")
    mine = read_seeds(tmp_path).lenses[-1]
    assert mine == Lens("mine", has_auctions=True, unknown=Effects("yes", "no", "no"), rules={})


def test_feeds_have_a_grace_and_say_what_a_collector_is() -> None:
    live = Feed(parser="finnhub", grace_ns=60_000_000_000, replays_on_reconnect=False, drops_repeats=False)
    recorded = Feed(parser="finnhub", grace_ns=60_000_000_000, replays_on_reconnect=True, drops_repeats=False)
    asked = msgspec.structs.replace(recorded, parser="finnhub_tick")
    history = msgspec.structs.replace(live, parser="vendor_history")
    assert read_seeds(SEEDS).feeds == {
        "finnhub": live,
        "demo": live,
        "recording": recorded,
        "finnhub_tick": asked,
        "finnhub_candle": history,
        "finnhub_split": history,
    }


@pytest.mark.parametrize(
    ("name", "wrong", "what", "hint"),
    [
        (
            *("lens_rules.csv", ("sip,1,yes,yes,yes", "sip,1,yes,maybe,yes"), "lens_rules.csv: updates_last cannot be 'maybe'"),
            "one of first_only, neutral, no, session, yes",
        ),
        (
            *("lenses.csv", ("sip,false,no", "sip,false,never"), "lenses.csv: unknown_updates_high_low cannot be 'never'"),
            "one of neutral, no, session, yes",
        ),
    ],
)
def test_a_word_that_no_rule_knows_is_refused(tmp_path: Path, name: str, wrong: tuple[str, str], what: str, hint: str) -> None:
    for path in SEEDS.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text().replace(*wrong) if path.name == name else path.read_text())
    with pytest.raises(SeedsInvalid) as caught:
        read_seeds(tmp_path)
    assert (caught.value.what, caught.value.hint) == (what, hint)
