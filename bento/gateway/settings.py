"""What the operator of a gateway decides: limits, and which versions answer elsewhere. Clients decide none of it."""

from __future__ import annotations

from pydantic import Field, HttpUrl
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from finml_models.core.home import home

FILE = "gateway.toml"


class Settings(BaseSettings):
    """Read from the environment (`FINML_GATEWAY_…`), then from `gateway.toml` in the state folder."""

    model_config = SettingsConfigDict(env_prefix="FINML_GATEWAY_", frozen=True, extra="ignore")

    versions: int = Field(16, ge=1, description="loaded versions at most")
    megabytes: float = Field(2048.0, gt=0, description="loaded versions at most, by the size of their artifacts")
    waiting: int = Field(64, ge=1, description="requests that may wait for their answer; more are 429")
    seconds: float = Field(20.0, gt=0, description="until a request that was not answered is 504")
    shadows: int = Field(4, ge=0, description="requests that may wait for a shadow's answer; more are dropped")
    poll_seconds: float = Field(0.2, gt=0, description="between two looks at the ledger")
    retry_seconds: float = Field(30.0, gt=0, description="until a deployed version that failed to load is tried again")
    log_rows: int = Field(500_000, ge=1, description="predictions that the log keeps")
    log_waiting: int = Field(2_000, ge=1, description="predictions that may wait to be logged; more are dropped and counted")
    log_megabytes: float = Field(64.0, gt=0, description="the same by the size of requests and answers")
    remotes: dict[str, HttpUrl] = Field(
        default_factory=dict,
        description="<use case>-<model> to the address of a served bento that answers for it; as JSON in the environment, a table in the file",
        examples=[{"news_analysis-finbert": "http://127.0.0.1:3001"}],
    )
    remote_seconds: float = Field(10.0, gt=0, description="until a remote that did not answer is 502")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home() / FILE)
