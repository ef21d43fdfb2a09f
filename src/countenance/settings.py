"""Settings: the only reader of the environment and of the settings file.

Each can be set as `COUNTENANCE_<NAME>` in the environment, or as a line of `~/.config/countenance/settings.toml`.
"""

from __future__ import annotations

import os
import re
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

HOME = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path's raises where a user has no home
FILE = HOME / ".config/countenance/settings.toml"
_DAY = re.compile(r"\s*\d{4}-\d\d-\d\d\b")


def _zone(name: str) -> str:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (KeyError, OSError):
            raise ValueError("no time zone") from None
    return name


def _days(said: object) -> object:
    """A text as days: its own, or those of the file that it names."""
    if not isinstance(said, str):
        return said
    try:
        lines = (
            said.split(",") if _DAY.match(said) or not said else Path(said).expanduser().read_text("utf-8").split("\n")
        )
    except (OSError, UnicodeDecodeError):
        raise ValueError("no days, and no file that can be read") from None
    return [line.strip() for line in lines if line.strip()]


class Settings(BaseSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(env_prefix="COUNTENANCE_", toml_file=FILE, extra="forbid", frozen=True)

    vault: Path | None = Field(None, description="The vault that the command line uses when `--vault` is not given.")
    passphrase: SecretStr | None = Field(None, description="Opens a vault whose keys are under a passphrase.")
    cache: Path = Field(
        HOME / ".cache/countenance",
        description="Folder of the prepared models. Holds nothing personal.",
    )
    temporary: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()),
        description="Folder of temporary files. An erasure searches what this user has written there since the vault was "
        "made. Countenance itself writes none.",
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=0,
        description="Processes that decode and embed; 0 does it in the calling process, without its limits.",
    )
    worker_memory_mb: int = Field(3000, ge=500, description="Memory that one worker process may use, in megabytes.")
    worker_seconds: float = Field(60, gt=0, description="Time that one photo may take, in seconds.")
    origin: str | None = Field(
        None,
        description="Where the searches come from that this installation answers: a country such as GB, or a part of one. "
        "An order that refuses service to a territory refuses searches whose origin is in it or not known.",
    )
    tenant: str | None = Field(
        None, description="For whom this installation searches. An order can refuse service to a tenant."
    )
    search_days: int = Field(30, ge=1, description="Days for which a search's hits can be erased by its id.")

    zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC",
        description="Where the controller is, as an IANA time zone such as Europe/Dublin: there a request's days begin.",
    )
    holidays: Annotated[tuple[date, ...], NoDecode, BeforeValidator(_days)] = Field(
        (),
        description="Public holidays where the controller is, for the clocks of requests: days such as 2026-12-25 with "
        "commas between, or the path of a file with one day a line.",
    )
    law: str = Field(
        "gdpr", description="The law whose clock a request gets that names none: gdpr, uk-gdpr, ccpa, quebec or lgpd."
    )
    authority: str = Field(
        "",
        description="The supervisory authority that people can complain to, with its address. Stands in every letter.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
