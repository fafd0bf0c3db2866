"""What each condition code lets a print do, written down by hand from the two tapes' published rules.

    H  its price counts for high and low
    L  it may be open and close
    F  it may be open and close, if it is the first of the day that may
    V  its size counts as volume

A cell holds what is allowed in the regular session, and after a stroke what is in the pre and post market where
that is something else. A print with several codes may do what all of them allow.
"""

from itertools import combinations
from typing import Final

TABLE: Final = """
code  name                           sip      regular_way  all_prints
1     Regular                        HLV      HLV          HLV
2     Acquisition                    HLV      HLV          HLV
3     Average price                  V        V            HLV
4     Bunched                        HLV      HLV          HLV
5     Cash sale                      V        V            HLV
6     Distribution                   HLV      HLV          HLV
7     Automatic execution            HLV      HLV          HLV
8     Intermarket sweep              HLV      V            HLV
9     Bunched sold                   HFV      HLV          HLV
10    Price variation                V        V            HLV
11    CAP election                   V        V            HLV
12    Odd lot                        V        V            HLV
13    Rule 127                       HLV      HLV          HLV
14    Rule 155                       HLV      HLV          HLV
15    Sold last                      HLV      HLV          HLV
16    Market center official close   -        -            HLV
17    Next day                       V        V            HLV
18    Market center opening trade    HFV      HLV          HLV
19    Opening print                  HLV      HLV          HLV
20    Market center official open    -        -            HLV
21    Prior reference price          HFV      HLV          HLV
22    Seller                         V        V            HLV
23    Split trade                    HLV      HLV          HLV
24    Form T                         V/HLV    V/HLV        HLV
25    Extended hours sold            V        V            HLV
26    Contingent                     V        V            HLV
27    Stock option trade             V        V            HLV
28    Cross                          HLV      HLV          HLV
29    Yellow flag                    HLV      HLV          HLV
30    Sold out of sequence           HFV      HLV          HLV
31    Stopped stock                  HLV      HLV          HLV
32    Derivatively priced            HFV      V            HLV
33    Re-opening trade               HLV      HLV          HLV
34    Re-opening print               HLV      HLV          HLV
35    Closing trade                  HLV      HLV          HLV
36    Closing print                  HLV      HLV          HLV
37    Qualified contingent           V        V            HLV
38    611-exempt placeholder         V        V            HLV
39    Corrected consolidated close   HL       HL           HLV
40    Opened                         V        V            HLV
41    Trade-through exempt           HLV      HLV          HLV
none  no code at all                 HLV      HLV          HLV
999   a code that nobody knows       V        V            HLV
"""
LENSES: Final = ("sip", "regular_way", "all_prints")
SESSIONS: Final = ("pre", "regular", "post")
CODES: Final = tuple(str(number) for number in range(1, 42))


def _read_table() -> dict[tuple[str, str, str], frozenset[str]]:
    """Give what is allowed, by code, lens and session."""
    allowed = {}
    for line in TABLE.strip().splitlines()[1:]:
        code, *cells = line[:4].split() + line[37:].split()
        for lens, cell in zip(LENSES, cells, strict=True):
            regular, _, extended = cell.replace("-", "").partition("/")
            for session in SESSIONS:
                allowed[code, lens, session] = frozenset(extended if extended and session != "regular" else regular)
    return allowed


ALLOWED: Final = _read_table()
CODE_SETS: Final = ((), ("999",), *((code,) for code in CODES), *combinations(CODES, 2))
"""No code, an unknown one, each alone, and every pair."""


def allow(codes: tuple[str, ...], lens: str, session: str) -> frozenset[str]:
    """Give what a print with these codes may do: F only where no code forbids open and close, and one allows it but to the first."""
    each = [ALLOWED[code, lens, session] for code in codes or ("none",)]
    found = {letter for letter in "HV" if all(letter in allowed for allowed in each)}
    if all(allowed & {"L", "F"} for allowed in each):
        found.add("F" if any("F" in allowed for allowed in each) else "L")
    return frozenset(found)


LETTERS: Final = """
1   @    @    high      Regular
2   .    A    high      Acquisition
3   B    W    high      Average price
4   .    B    high      Bunched
5   C    C    high      Cash sale
6   .    D    high      Distribution
7   E    .    high      Automatic execution
8   F    F    high      Intermarket sweep
9   .    G    high      Bunched sold
10  H    H    high      Price variation
11  I*   .    conflict  CAP election
12  I    I    high      Odd lot
13  K    .    medium    Rule 127
14  K    K    high      Rule 155
15  L    L    medium    Sold last
16  M    M    high      Market center official close
17  N    N    high      Next day
18  O    .    medium    Market center opening trade
19  .    O    high      Opening print
20  Q    Q    high      Market center official open
21  P    P    high      Prior reference price
22  R    R    conflict  Seller
23  .    S    high      Split trade
24  T    T    high      Form T
25  U    U    high      Extended hours sold out of sequence
26  V    V    high      Contingent
27  .    V*   weak      Stock option trade
28  X    X    high      Cross
29  .    Y    high      Yellow flag
30  Z    Z    high      Sold out of sequence
31  .    1    weak      Stopped stock
32  4    4    high      Derivatively priced
33  5    .    high      Re-opening trade
34  .    5    high      Re-opening print
35  6    .    high      Closing trade
36  .    6    high      Closing print
37  7    7    high      Qualified contingent
38  8    8    unknown   611-exempt placeholder
39  9    9    weak      Corrected consolidated close
40  .    .    unknown   Opened
41  flag flag high      Trade-through exempt
"""
"""The codes' letters on the two tapes (a star: an old one), how sure we are of their rules, and their names."""


def read_letters() -> list[tuple[str, ...]]:
    """Give code, name, letter on CTA, letter on UTP, and confidence."""
    rows = (line.split(maxsplit=4) for line in LETTERS.strip().splitlines())
    return [
        (code, name, *(each.replace("*", "(old)").replace(".", "") for each in (cta, utp)), sure) for code, cta, utp, sure, name in rows
    ]
