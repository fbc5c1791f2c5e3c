"""The presets redis and postgres: every query against real servers and exporters, under a load known beforehand."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from preset_answers import Answers, names, sensible
from servers import PostgresBinaries, PostgresExporter, PostgreSQL, Prometheus, RedisExporter, RedisServer, scrape

# redis

MAXMEMORY = 20_000_000


class Client:
    """One connection to Redis, and its inline commands."""

    def __init__(self, server: RedisServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.answers = self.socket.makefile("rb")

    def ask(self, *commands: str) -> list[bytes]:
        """Send all commands at once; return the first line of each answer, which must be one line or nothing."""
        self.socket.sendall("".join(f"{command}\r\n" for command in commands).encode())
        return [self.answers.readline() for _ in commands]

    def close(self) -> None:
        self.answers.close()
        self.socket.close()


@contextmanager
def at_work(server: RedisServer) -> Iterator[None]:
    """Three look-ups hit for one that misses; keys come without end; somebody waits for a list that stays empty."""
    over, client, waiting = threading.Event(), Client(server), Client(server)
    waiting.socket.sendall(b"blpop nothing 0\r\n")
    client.ask(f"config set maxmemory {MAXMEMORY}", "config set maxmemory-policy allkeys-lru")

    def work() -> None:
        number = 0
        while not over.wait(0.05):
            client.ask("set known 1", "strlen known", "strlen known", "strlen known", f"strlen unknown{number}")
            client.ask(*(f"setrange key{number + each} 5000 x" for each in range(20)))
            number += 20

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()
        client.close()
        waiting.close()


@pytest.fixture(scope="module")
def redis(
    redis_server_binary: Path,
    redis_exporter_binary: Path,
    prometheus_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A server, its replica, an exporter for each."""
    folder = tmp_path_factory.mktemp("redis")
    with ExitStack() as stack:
        server, replica = (
            stack.enter_context(RedisServer(redis_server_binary, folder / name)) for name in ("server", "replica")
        )
        client = Client(replica)
        client.ask("config set repl-diskless-sync-delay 0", f"replicaof 127.0.0.1 {server.port}")
        client.close()
        exporters = [
            stack.enter_context(RedisExporter(redis_exporter_binary, folder / f"exporter-{each.port}", each.url))
            for each in (server, replica)
        ]
        jobs = [scrape("redis", *(exporter.address for exporter in exporters))]
        stack.enter_context(at_work(server))
        yield stack.enter_context(Prometheus(prometheus_binary, folder / "prometheus", jobs))


REDIS = {
    "redis_up": (1, 1),
    "redis_memory_used": (1e6, 3e7),
    "redis_memory_utilisation": (0.9, 1.05),
    "redis_memory_fragmentation": (0.8, 2),
    "redis_evictions": (0, 1000),
    "redis_hit_ratio": (0.7, 0.8),
    "redis_command_rate": (0, 2000),
    "redis_command_latency": (1e-7, 1e-2),
    "redis_connected_clients": (1, 10),
    "redis_blocked_clients": (0, 1),
    "redis_rejected_connections": (0, 0),
    "redis_replica_link_up": (1, 1),
    "redis_replication_lag": (0, 10),
}
TWICE = {
    "redis_up", "redis_memory_used", "redis_memory_fragmentation", "redis_evictions", "redis_connected_clients",
    "redis_blocked_clients", "redis_rejected_connections",
}  # fmt: skip
"""Signals of both servers; the others are of a server that does something, of a primary or of a replica."""


@pytest.mark.timeout(120)
def test_every_signal_of_redis_is_sensible(redis: Prometheus) -> None:
    assert REDIS.keys() == names("redis")
    found = sensible(redis, "redis", REDIS)
    assert {name for name in TWICE if len(found[name]) != 2} == set()
    assert largest(found, "redis_blocked_clients") == 1
    assert largest(found, "redis_evictions") > 10
    assert largest(found, "redis_command_rate") > 100


def largest(found: Answers, name: str) -> float:
    return max(one.value for one in found[name])


def test_a_small_redis_is_not_called_fragmented(redis: Prometheus) -> None:
    """Its own ratio says otherwise: what an empty server needs is many times what is in it."""
    assert max(float(one["value"][1]) for one in redis.query("redis_mem_fragmentation_ratio")) > 1.1
    found = sensible(redis, "redis", {"redis_memory_fragmentation": (0.8, 1.5)})
    assert largest(found, "redis_memory_fragmentation") < 1.5


# postgres

# as the documentation of postgres_exporter has it for versions that do not know the lag by themselves
QUERIES = """
pg_replication:
  query: >-
    SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
    ELSE GREATEST(0, EXTRACT(EPOCH FROM (now() - pg_last_xact_replay_timestamp()))) END AS lag
  master: true
  metrics:
    - lag: {usage: GAUGE, description: "Replication lag behind primary in seconds"}
"""
LOAD = (
    "select count(*) from known \\watch 0.05",
    "begin\\; insert into known values (0)\\; rollback \\watch 0.05",
    "set work_mem = '64kB';\nselect count(*) from (select n from known order by n offset 1) as sorted \\watch 0.5",
    "begin;\nlock table locked in access exclusive mode;\n\\! sleep 300",
    "select pg_sleep(300)",
)
"""Sessions: reads, transactions that roll back, sorts on disk, one that idles in its transaction, one long query."""


@pytest.fixture(scope="module")
def postgres(
    postgres_binaries: PostgresBinaries,
    postgres_exporter_binary: Path,
    prometheus_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A server, its replica, an exporter for each."""
    folder = tmp_path_factory.mktemp("postgres")
    queries = folder / "queries.yaml"
    queries.write_text(QUERIES)
    with ExitStack() as stack:
        server = stack.enter_context(
            PostgreSQL(postgres_binaries, folder / "server", settings={"max_connections": 20})
        )
        server.sql("create table known as select generate_series(1, 50000) as n", "create table locked (n int)")
        replica = stack.enter_context(
            PostgreSQL(postgres_binaries, folder / "replica", primary=server, settings={"max_connections": 20})
        )
        flags = [f"--extend.query-path={queries}"]
        exporters = [
            stack.enter_context(
                PostgresExporter(postgres_exporter_binary, folder / f"exporter-{each.port}", each.url, flags=flags)
            )
            for each in (server, replica)
        ]
        jobs = [scrape("postgres", *(exporter.address for exporter in exporters))]
        for script in LOAD:
            stack.enter_context(server.client(script))
        yield stack.enter_context(Prometheus(prometheus_binary, folder / "prometheus", jobs))


POSTGRES = {
    "postgres_up": (1, 1),
    "postgres_connections_utilisation": (0.04, 0.6),
    "postgres_active_sessions": (1, 6),
    "postgres_idle_in_transaction_sessions": (0, 3),
    "postgres_longest_transaction": (0, 600),
    "postgres_transaction_rate": (0, 200),
    "postgres_rollback_ratio": (0, 0.8),
    "postgres_locks": (1, 100),
    "postgres_exclusive_locks": (0, 10),
    "postgres_deadlocks": (0, 0),
    "postgres_cache_hit_ratio": (0.9, 1),
    "postgres_temporary_files": (0, 1e8),
    "postgres_database_size": (5e6, 1e9),
    "postgres_replication_lag": (0, 600),
    "postgres_replication_lag_bytes": (0, 1e8),
}
ONCE = {"postgres_cache_hit_ratio", "postgres_replication_lag_bytes"}
"""Signals of the server that works; the others are of both."""


@pytest.mark.timeout(120)
def test_every_signal_of_postgres_is_sensible(postgres: Prometheus) -> None:
    assert POSTGRES.keys() == names("postgres")
    found = sensible(postgres, "postgres", POSTGRES)
    assert {name: len(series) for name, series in found.items()} == {
        name: 1 if name in ONCE else 2 for name in POSTGRES
    }


def test_the_load_on_postgres_is_seen_for_what_it_is(postgres: Prometheus) -> None:
    """Five sessions of twenty; one idles in its transaction and holds a lock."""
    found = sensible(postgres, "postgres", {})
    assert largest(found, "postgres_connections_utilisation") >= 5 / 20
    assert largest(found, "postgres_idle_in_transaction_sessions") >= 1
    assert largest(found, "postgres_active_sessions") >= 2
    assert largest(found, "postgres_longest_transaction") > 1
    assert largest(found, "postgres_exclusive_locks") >= 1
    assert largest(found, "postgres_transaction_rate") > 5
    assert largest(found, "postgres_rollback_ratio") > 0.1
    assert largest(found, "postgres_temporary_files") > 1000
