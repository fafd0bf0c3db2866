"""Every setting, read once, passed down; no stage looks at the environment.

    defaults  <  <home>/ticklake.toml  <  TICKLAKE_<STAGE>__<NAME>  <  command line

Raises     SettingsInvalid: names the setting, its value, and every place that was searched
"""

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, DirectoryPath, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ticklake.contracts.frame import NAME_PATTERN
from ticklake.errors import SettingsInvalid

PREFIX: Final = "TICKLAKE_"
DELIMITER: Final = "__"
FILE_NAME: Final = "ticklake.toml"
MAY_HOLD_A_KEY: Final = frozenset({"feed.key", "feed.url", "feed.rest_url"})
"""Settings whose wrong values are not repeated: some write their key into the address. Nor are those of names that nobody knows."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSettings(_Section):
    """How the log is kept, and what is told about our own work."""

    level: str = Field("error", pattern="^(debug|info|warning|error)$", description="log events on stderr: debug, info, warning, error")
    segment_records: int = Field(200_000, ge=1, description="records after which a new segment begins")


class LandingSettings(_Section):
    """When an object is full."""

    object_records: int = Field(20_000, ge=1, description="records an object holds at most")
    object_bytes: int = Field(32 << 20, ge=1, description="bytes an object holds at most, before compression")
    object_seconds: float = Field(60.0, gt=0, description="seconds a record waits for its object to fill, by the records' own time")


class WarehouseSettings(_Section):
    """What the warehouse may use."""

    memory_limit: str = Field("3GB", pattern=r"^\d+(\.\d+)?\s*[KMGT]i?B$", description="memory that DuckDB may use")
    threads: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, description="threads that DuckDB may use")
    batch_records: int = Field(500_000, ge=1, description="records that a build takes in at once")
    run_batch_records: int = Field(20_000, ge=1, description="the same in `run`, where readers wait between two batches")
    read_wait_seconds: float = Field(10.0, ge=0, description="seconds a query waits for its turn")
    project: DirectoryPath | None = Field(
        None, description="a dbt project of your own, such as a copy of ours with other rules in its seeds"
    )


REST_URL: Final = r"^https?://[^/?#@\s]+[^?#@\s]*$"
"""No name and password in it, and nothing behind its path: the key goes into a header."""


def _split_symbols(value: Any) -> Any:
    """Read names that stand in one text, as a list of JSON or with commas between them."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        return json.loads(value)
    return [name for name in (part.strip() for part in value.split(",")) if name]


Symbols = Annotated[list[str], NoDecode, BeforeValidator(_split_symbols)]
"""In a variable: AAPL,MSFT."""


class FeedSettings(_Section):
    """Where live trades come from."""

    url: str = Field("wss://ws.finnhub.io", pattern=r"^wss?://[^?#]+$", description="the feed's socket; a simulator's, to try it out")
    rest_url: str = Field("https://finnhub.io/api/v1", pattern=REST_URL, description="where backfill asks; a simulator's, to try it out")
    requests_per_minute: int = Field(60, ge=1, description="what the plan lets REST be asked in a minute")
    key: SecretStr = Field(SecretStr(""), description="the feed's key; better in the environment than in a file")
    symbols: Symbols = Field([], description="what collect subscribes to if it names nothing itself")
    transport: str = Field(
        "auto", pattern="^(auto|websockets|picows)$", description="the library that holds the socket; auto takes picows if it is installed"
    )
    slots: int = Field(50, ge=1, description="symbols that the plan lets one connection subscribe to")
    silence_seconds: float = Field(90.0, gt=0, description="seconds without any message after which a connection hangs")
    symbol_silence_seconds: float = Field(
        60.0, gt=0, description="seconds of silence that a symbol is granted in market hours, whatever its own rate"
    )
    rotation_seconds: float | None = Field(None, gt=0, description="seconds of a turn, where more symbols than slots take turns")
    pinned_symbols: Symbols = Field([], description="symbols that keep their slots while the others take turns")
    key_locks: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "ticklake-keys",
        description="the folder in which the collectors of this host see which keys are in use",
    )
    collector: str = Field("a", pattern=rf"^{NAME_PATTERN}$", description="the name of this collector; two side by side need two")


class RunSettings(_Section):
    """How often `run` looks."""

    poll_seconds: float = Field(0.5, gt=0, description="seconds between two looks at the log and at landing")


class Settings(BaseSettings):
    """All settings of one home."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    home: Path = Field(description="the folder of this lake")
    feed: FeedSettings = FeedSettings()
    log: LogSettings = LogSettings()
    landing: LandingSettings = LandingSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    run: RunSettings = RunSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over the home's file."""
        home = init_settings().get("home") or env_settings().get("home")
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_file(Path(str(home))))


def default_home() -> Path:
    """Where a lake lies if nobody says otherwise."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "ticklake"


def read_settings(home: Path | None) -> Settings:
    """Read every setting once. Raises SettingsInvalid."""
    if home is None and not os.environ.get(f"{PREFIX}HOME"):
        home = default_home()
    _refuse_unknown_sections()
    try:
        return Settings.model_validate({} if home is None else {"home": home})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:2])
        variable = PREFIX + DELIMITER.join(str(part) for part in first["loc"][:2]).upper()
        value = repr(first.get("input")) if name in _names() - MAY_HOLD_A_KEY else "what it is"
        is_unknown = first["type"] == "extra_forbidden"
        raise SettingsInvalid(
            f"there is no setting {name}"
            if is_unknown
            else f"the setting {name or 'in the environment'} cannot be {value}: {first['msg']}",
            hint=f"searched: the command line, {variable}, {FILE_NAME} in the home; ticklake config show lists all settings",
        ) from error


def _names() -> set[str]:
    """Give the settings that there are."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    parts = {section: part.model_fields for section, part in sections.items() if isinstance(part, type) and issubclass(part, BaseModel)}
    return {"home", *(f"{section}.{name}" for section, fields in parts.items() for name in fields)}


def _refuse_unknown_sections() -> None:
    """Raises SettingsInvalid for a variable that means to set something, but names no stage: pydantic would pass over it."""
    for variable in os.environ:
        section, delimiter, _ = variable.removeprefix(PREFIX).lower().partition(DELIMITER)
        if variable.startswith(PREFIX) and delimiter and section not in Settings.model_fields:
            stages = ", ".join(name for name in Settings.model_fields if name != "home")
            raise SettingsInvalid(f"the variable {variable} sets nothing: there is no {section!r}", hint=f"there are: {stages}")


def explain_settings(settings: Settings, *, home_is_flag: bool) -> list[dict[str, Any]]:
    """Give each setting with its value, where it came from, and what it is for."""
    from_file = _read_file(settings.home)
    environment = EnvSettingsSource(Settings)()
    rows = []
    for section, field in Settings.model_fields.items():
        value = getattr(settings, section)
        if not isinstance(value, BaseModel):
            origin = "--home" if home_is_flag else f"{PREFIX}HOME" if environment.get("home") else "default"
            rows.append({"setting": section, "value": str(value), "origin": origin, "meaning": field.description})
            continue
        for name, part in type(value).model_fields.items():
            if name in environment.get(section, {}):
                origin = f"{PREFIX}{section}{DELIMITER}{name}".upper()
            elif name in from_file.get(section, {}):
                origin = str(settings.home / FILE_NAME)
            else:
                origin = "default"
            found = getattr(value, name)
            shown = str(found) if isinstance(found, SecretStr) else found
            rows.append({"setting": f"{section}.{name}", "value": shown, "origin": origin, "meaning": part.description})
    return rows


def _read_file(home: Path) -> dict[str, Any]:
    path = home / FILE_NAME
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsInvalid(f"{path} cannot be read: {error}", hint="it is TOML: [landing] and then object_seconds = 30") from error
