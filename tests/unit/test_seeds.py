"""The seeds as the auditor reads them, against tables that were written by hand."""

from pathlib import Path
from typing import Final

import pytest

from tests.rules_table import ALLOWED, CODE_SETS, CODES, LENSES, SESSIONS, allow
from ticklake.audit.seeds import Feed, read_seeds
from ticklake.errors import SeedsInvalid
from ticklake.warehouse.transform import find_project

SEEDS: Final = find_project() / "seeds"


def test_the_table_holds_every_code_through_every_lens_in_every_session() -> None:
    assert len(ALLOWED) == (41 + 2) * len(LENSES) * len(SESSIONS)
    assert len(CODE_SETS) == 2 + 41 + 41 * 40 // 2


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


def test_feeds_have_a_grace_and_say_what_a_collector_is() -> None:
    live = Feed(grace_ns=60_000_000_000, replays_on_reconnect=False, drops_repeats=False)
    recorded = Feed(grace_ns=60_000_000_000, replays_on_reconnect=True, drops_repeats=False)
    assert read_seeds(SEEDS).feeds == {"finnhub": live, "demo": live, "recording": recorded}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("lens_rules.csv", ("sip,1,yes,yes,yes", "sip,1,yes,maybe,yes")), ("lenses.csv", ("sip,false,no", "sip,false,never"))],
)
def test_a_word_that_no_rule_knows_is_refused(tmp_path: Path, name: str, wrong: tuple[str, str]) -> None:
    for path in SEEDS.glob("*.csv"):
        (tmp_path / path.name).write_text(path.read_text().replace(*wrong) if path.name == name else path.read_text())
    with pytest.raises(SeedsInvalid, match=name):
        read_seeds(tmp_path)
