"""Which server an action speaks to. Addresses come from the policy alone: a label only picks one that it lists."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from presagio.actions.base import NotAppliedError, PlanError, Target
from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration

_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


class Login(Model):
    """How one speaks to a server."""

    user: str | None = Field(None, description="name to log in with; default: the server's own default user")
    password_file: Path | None = Field(None, description="file with the password, read at each connection")
    tls: bool = Field(False, description="encrypt the connection and check the server's certificate")
    ca_file: Path | None = Field(None, description="certificate authority for tls; default: the system's")
    timeout: Duration = Field(10.0, gt=0, le=300, description="for connecting and for each answer")

    def password(self) -> str | None:
        """Return the password, if there is a file for it. Raises NotAppliedError if it cannot be read."""
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotAppliedError(f"password_file {str(self.password_file)!r} cannot be read: {error}") from error


class Destination(Login):
    """One server: what a plan holds."""

    address: str

    @property
    def host(self) -> str:
        """The host name, an IPv6 address without its brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rpartition(":")[2])


class Servers(Login):
    """The servers that a policy names: one, or several of which a label picks one."""

    address: str | None = Field(None, description="the server, as host:port")
    addresses: dict[str, str] = Field(
        default_factory=dict, description="several servers: value of the label `by`, and its host:port"
    )
    by: str = Field("instance", description="the label that picks one of `addresses`")

    @field_validator("address")
    @classmethod
    def _one(cls, address: str | None) -> str | None:
        return address and _checked(address)

    @field_validator("addresses")
    @classmethod
    def _several(cls, addresses: dict[str, str]) -> dict[str, str]:
        return {value: _checked(address) for value, address in addresses.items()}

    @model_validator(mode="after")
    def _named_once(self) -> Servers:
        if bool(self.address) == bool(self.addresses):
            raise ValueError("either address or addresses, got both or neither")
        return self

    def choose(self, target: Target) -> Destination:
        """Return the server for this target. Raises PlanError if its label picks none of the list."""
        login = self.model_dump(include=set(Login.model_fields))
        return Destination.model_validate({**login, "address": self.address or self._listed(target)})

    def _listed(self, target: Target) -> str:
        value = {**target.labels, "service_id": target.service_id}.get(self.by)
        if not value:
            raise PlanError(f"no label {self.by!r} on the alert of {target.service_id!r}; keep it in the alert rule")
        if value not in self.addresses:
            raise PlanError(f"label {self.by!r} is {value[:100]!r}, which `addresses` does not list; add it there")
        return self.addresses[value]


def _checked(address: str) -> str:
    found = _ADDRESS.fullmatch(address)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(f"an address such as db.example.org:6379, without a placeholder, got {address!r}")
    return address
