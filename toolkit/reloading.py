"""What master and worker both know of the configuration: made before the fork, seen by both sides of it."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge

_FORM = struct.Struct("=ddd")


class Told(NamedTuple):
    """The numbers shared: whether the last reload succeeded, when one last did, which generation is at work."""

    successful: float = 1.0
    succeeded_at: float = 0.0
    generation: float = 0.0


@dataclass(frozen=True)
class ReloadState:
    """Three numbers in anonymous shared memory: no file, so that a read-only root does not matter."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, _FORM.size))

    def read(self) -> Told:
        """Return what was told last."""
        return Told._make(_FORM.unpack_from(self.memory))

    def succeed(self, generation: int, now: float) -> None:
        """Tell that `generation` is at work; a worker that is started anew with the same one changes nothing."""
        if generation != self.read().generation:
            _FORM.pack_into(self.memory, 0, 1.0, now, float(generation))

    def fail(self) -> None:
        """Tell that the newest file was refused and the last good configuration stays."""
        _FORM.pack_into(self.memory, 0, *self.read()._replace(successful=0.0))

    def expose(self, registry: CollectorRegistry) -> None:
        """Publish it, as Prometheus names it."""
        Gauge(
            "presagio_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
            registry=registry,
        ).set_function(lambda: self.read().successful)
        Gauge(
            "presagio_config_last_reload_success_timestamp_seconds",
            "Unix time of the last successful configuration reload.",
            registry=registry,
        ).set_function(lambda: self.read().succeeded_at)
