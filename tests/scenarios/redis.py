"""Fragmented Redis memory: most keys go, their memory does not; a restart heals what a purge and settings do not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from servers import RedisExporter, RedisServer

from scenarios.case import Case, Entry, Place, anomaly, policy

KEYS, VALUE = 300_000, 400
KEPT = 0.2


class SavingRedis(RedisServer):
    """A Redis that saves its data when it is told to end, and loads them when it starts."""

    def write_config(self) -> None:
        """Add the pid file, and that there is something to save."""
        super().write_config()
        text = self.config_file.read_text().replace('save ""', "save 3600 1")
        self.config_file.write_text(f"{text}pidfile {self.pid_file}\n")

    @property
    def pid_file(self) -> Path:
        """Where its process id stands."""
        return self.workdir / "redis.pid"


class Fragmentation(Case):
    """Seen as an anomaly of mem_fragmentation_ratio."""

    name = "Redis fragmentation"
    helped, unhelped = "sessions", "carts"
    signal = "redis_fragmentation"
    actions, useless = ("redis.purge_memory", "process.terminate"), "redis.config_set"
    healthy = 'redis_mem_fragmentation_ratio{app=~"sessions|carts"} < 1.5'
    failing = 'redis_mem_fragmentation_ratio{app=~"sessions|carts"} > 2'

    def __init__(self, place: Place) -> None:
        binaries, stack = place.binaries, place.stack
        self.servers = {
            name: stack.enter_context(SavingRedis(binaries.redis_server, place.folder / name))
            for name in (self.helped, self.unhelped)
        }
        self.exporters = {
            name: stack.enter_context(
                RedisExporter(binaries.redis_exporter, place.folder / f"{name}-exporter", server.url)
            )
            for name, server in self.servers.items()
        }
        for server in self.servers.values():
            with client(server) as redis, redis.pipeline(transaction=False) as pipe:
                for number in range(KEYS):
                    pipe.set(f"key:{number}", "v" * VALUE)
                pipe.execute()

    def jobs(self) -> Sequence[Entry]:
        """Return the exporters of both."""
        static = [
            {"targets": [exporter.address], "labels": {"app": name}} for name, exporter in self.exporters.items()
        ]
        return [{"job_name": "redis", "static_configs": static}]

    def signals(self) -> Sequence[Entry]:
        """Return the share of memory that holds nothing."""
        query = "max by (app) (redis_mem_fragmentation_ratio)"
        return [{"name": self.signal, "query": query, "unit": "ratio", "dead_band": {"relative": 0.25}}]

    def policies(self) -> Sequence[Entry]:
        """Return: give pages back, else restart; another eviction policy."""
        ratio = 'redis_mem_fragmentation_ratio{app="${service_id}"}'
        helped, unhelped = self.servers[self.helped], self.servers[self.unhelped]
        ladder = [
            {"redis.purge_memory": {"address": helped.address}},
            {"process.terminate": {"pid_file": str(helped.pid_file), "grace": "20s"}},
        ]
        evict = {"redis.config_set": {"address": unhelped.address, "set": {"maxmemory-policy": "allkeys-lru"}}}
        known = anomaly(self.signal)
        return [
            policy("compact-redis", self.helped, known, f"{ratio} > 2", ladder, f"{ratio} < 1.5"),
            policy("evict-redis", self.unhelped, known, f"{ratio} > 2", [evict], f"{ratio} < 1.5"),
        ]

    def fail(self) -> None:
        """Delete most keys, scattered, so that hardly a page of memory becomes free."""
        for server in self.servers.values():
            gone = random.Random(7).sample(range(KEYS), int(KEYS * (1 - KEPT)))
            with client(server) as redis, redis.pipeline(transaction=False) as pipe:
                for number in gone:
                    pipe.delete(f"key:{number}")
                pipe.execute()

    def is_undone(self) -> bool:
        """Tell whether the eviction policy is what it was."""
        with client(self.servers[self.unhelped]) as redis:
            return bool(redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"})

    def supervise(self) -> None:
        """Start a server again that has ended."""
        for server in self.servers.values():
            if not server.is_alive:
                server.stop()
                server.start()


def client(server: RedisServer) -> contextlib.closing[Any]:
    """Return a connection to a server."""
    return contextlib.closing(import_module("redis").Redis(port=server.port, decode_responses=True))
