"""What a feed is collected with: its address, the key for it, the symbols to ask for. One rule, whoever collects.

Raises     SettingsInvalid: an address that is none, or one that needs a key where there is none
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from ticklake.cli.simulate import SIMULATED_KEY
from ticklake.errors import SettingsInvalid

if TYPE_CHECKING:
    from ticklake.settings import FeedSettings

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Access(NamedTuple):
    """Where to connect to, as whom, and for what."""

    url: str
    key: SecretStr
    symbols: Sequence[str]
    has_symbols: bool
    """Whether there is anything to subscribe to: the symbols, or some that are pinned."""

    @classmethod
    def of(cls, settings: "FeedSettings", *, url: str | None = None, symbols: Sequence[str] = ()) -> Self:
        """Read it from the settings; address and symbols stand in for the settings'. Raises SettingsInvalid.

        An exchange on this machine needs no key of yours: without one it is called with the simulator's.
        """
        from ticklake.feed.finnhub.client import read_host

        url, key, symbols = url or settings.url, settings.key, symbols or settings.symbols
        host = read_host(url)
        if not key.get_secret_value():
            if urlsplit(url).hostname not in LOOPBACK:
                raise SettingsInvalid(
                    f"there is no key for the feed at {host}", hint="set it: export TICKLAKE_FEED__KEY=…; without one: ticklake simulate"
                )
            key = SecretStr(SIMULATED_KEY)
        return cls(url, key, symbols, bool(symbols or settings.pinned_symbols))
