"""Several exporters that share the services of one Prometheus: each service belongs to exactly one of them.

The hash is of service_id alone, so that all series of a service, and with them its score, are in one place; and it is
the same on every machine and in every version.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from presagio.toolkit.errors import PresagioError

_ORDINAL = re.compile(r"(?:.+-)?([0-9]{1,9})")


class ShardError(PresagioError):
    """The flags name no shard, or a request is for a service of another one."""


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 0, of `count` exporters."""

    index: int = 0
    count: int = 1

    def owns(self, service_id: str) -> bool:
        """Return whether a service is this one's; series without a service are one exporter's, too, to be counted."""
        return self.count == 1 or self.of(service_id) == self.index

    def of(self, service_id: str) -> int:
        """Return the number of the exporter whose service it is."""
        return int.from_bytes(sha256(service_id.encode()).digest()[:8]) % self.count

    def check(self, service_id: str) -> None:
        """Raise ShardError for a service of another exporter."""
        if not self.owns(service_id):
            raise ShardError(
                f"service {service_id!r} belongs to shard {self.of(service_id)} of {self.count}, and this is shard "
                f"{self.index}; ask that one"
            )

    def folder(self, storage: Path) -> Path:
        """Return where it keeps what it has learnt: among another number of exporters it has other services."""
        return storage if self.count == 1 else storage / f"shard-{self.index}-of-{self.count}"


WHOLE = Shard()
"""One exporter for all services."""


def of(arguments: argparse.Namespace) -> Shard:
    """Return the shard that --shard.index and --shard.count name. Raises ShardError."""
    # a server that was started without the flags, as tests do, has all services
    count, index = getattr(arguments, "shard_count", 1), getattr(arguments, "shard_index", None)
    if index is None and count > 1:
        raise ShardError(f"--shard.index: expected a number from 0 to {count - 1} beside --shard.count={count}")
    if index is not None and index >= count:
        raise ShardError(f"--shard.index: expected less than --shard.count ({count}), got {index}")
    return Shard(index or 0, count)


def ordinal(text: str) -> int:
    """Return the number that a text is, or that a pod's name ends with. Raises argparse.ArgumentTypeError."""
    match = _ORDINAL.fullmatch(text)
    if match is None:
        told = f"expected a number from 0 on, or a name that ends with one, such as presagio-exporter-2, got {text!r}"
        raise argparse.ArgumentTypeError(told)
    return int(match[1])
