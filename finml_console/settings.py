"""What the server is told by its environment: `FINML_HOST`, `FINML_PORT`, `FINML_TOKEN` and so on."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from finml_models.core.errors import ServiceFailed

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """The settings of the REST API. Any host but the loopback wants a token."""

    model_config = SettingsConfigDict(env_prefix="FINML_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(3400, ge=1, le=65535)
    token: SecretStr | None = Field(None, description="asked of every request that changes something, as `Authorization: Bearer …`")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), description="further names that requests may be addressed to, by commas")
    gateway_url: str = Field("http://127.0.0.1:3500", pattern=r"^https?://")
    dagster_url: str = Field("http://127.0.0.1:3000", pattern=r"^https?://")
    ledger_url: str | None = None
    body_limit: int = Field(2 * 1024 * 1024, ge=1024, description="bytes of a request's body")
    body_seconds: float = Field(10.0, gt=0, description="in which a request's body must have arrived")
    gateway_seconds: float = Field(20.0, gt=0, description="in which the gateway must have answered")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names_by_commas(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("token")
    @classmethod
    def _a_token_can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        text = value.get_secret_value()
        if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("FINML_TOKEN must be 16 or more printable ASCII characters without spaces; make one with: openssl rand -hex 32")
        return value

    @model_validator(mode="after")
    def _another_host_needs_a_token(self) -> Self:
        if self.token is None and not is_loopback(self.host):
            raise ValueError(f"host {self.host} can be reached by others: set FINML_TOKEN to a secret, or FINML_HOST to 127.0.0.1")
        return self

    def names(self) -> frozenset[str]:
        """What a request's `Host` may be, without its port, in lower case."""
        return frozenset(name.lower() for name in (*LOOPBACK, self.host, *self.allowed_hosts))


def load(**given: Any) -> Settings:
    """The settings of the environment, over them what is given; raises `ServiceFailed` with what is wrong, and never with its value."""
    try:
        return Settings(**given)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors(include_input=False))
        raise ServiceFailed(f"the server does not start: {said}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
