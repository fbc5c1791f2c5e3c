"""An overloaded database: a forgotten transaction holds a lock, and everybody who waits for it holds a connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from servers import PostgresExporter, PostgreSQL

from scenarios.case import Case, Entry, Place, anomaly, policy

CONNECTIONS = 40
CUSTOMERS = 24
ROLES = (
    "CREATE ROLE shop LOGIN",
    "CREATE ROLE presagio LOGIN",
    "GRANT pg_signal_backend, pg_read_all_stats TO presagio",
    "GRANT SELECT ON pg_file_settings TO presagio",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO presagio",
    "GRANT ALTER SYSTEM ON PARAMETER work_mem TO presagio",
)
"""Who shops, and Presagio, which may do what docs/actions.md says that it needs, and nothing else."""


class Shop:
    """Customers of a database: each connects, changes the one row that all of them need, and leaves."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        server.sql(*ROLES)
        server.sql("CREATE TABLE stock (id int PRIMARY KEY, pieces int)", "INSERT INTO stock VALUES (1, 0)")
        server.sql("GRANT SELECT, UPDATE ON stock TO shop")
        self.url = server.url.replace("postgres@", "shop@")
        self.closed = threading.Event()
        self.forgotten: Any = None
        self.customers = [threading.Thread(target=self._buy) for _ in range(CUSTOMERS)]

    def __enter__(self) -> Shop:
        for customer in self.customers:
            customer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        if self.forgotten is not None:
            self.forgotten.close()
        for customer in self.customers:
            customer.join()

    def _buy(self) -> None:
        psycopg = import_module("psycopg")
        while not self.closed.wait(0.5):
            # a customer whose session the database ends comes again
            with contextlib.suppress(psycopg.Error), psycopg.connect(self.url) as session:
                session.execute("UPDATE stock SET pieces = pieces + 1 WHERE id = 1")

    def forget(self) -> None:
        """Begin a transaction, and never end it."""
        self.forgotten = import_module("psycopg").connect(self.url)
        self.forgotten.execute("UPDATE stock SET pieces = pieces + 1 WHERE id = 1")


class OverloadedDatabase(Case):
    """Seen as an anomaly of the connections in use; ended by ending the transaction that holds the lock."""

    name = "overloaded database"
    helped, unhelped = "orders", "ledger"
    signal = "connections"
    actions, useless = ("postgres.end_idle_transactions",), "postgres.set"
    healthy = 'sum by (app) (pg_stat_database_numbackends{app=~"orders|ledger"}) < 10'
    failing = 'sum by (app) (pg_stat_database_numbackends{app=~"orders|ledger"}) > 20'

    def __init__(self, place: Place) -> None:
        binaries, stack = place.binaries, place.stack
        settings = {"max_connections": CONNECTIONS}
        self.servers = {
            name: stack.enter_context(PostgreSQL(binaries.postgres, place.folder / name, settings=settings))
            for name in (self.helped, self.unhelped)
        }
        self.exporters = {
            name: stack.enter_context(
                PostgresExporter(binaries.postgres_exporter, place.folder / f"{name}-exporter", server.url)
            )
            for name, server in self.servers.items()
        }
        self.shops = [stack.enter_context(Shop(server)) for server in self.servers.values()]

    def jobs(self) -> Sequence[Entry]:
        """Return the exporters of both."""
        static = [
            {"targets": [exporter.address], "labels": {"app": name}} for name, exporter in self.exporters.items()
        ]
        return [{"job_name": "postgres", "static_configs": static}]

    def signals(self) -> Sequence[Entry]:
        """Return the connections in use."""
        query = "sum by (app) (pg_stat_database_numbackends)"
        return [{"name": self.signal, "query": query, "unit": "connections", "dead_band": {"absolute": 8}}]

    def policies(self) -> Sequence[Entry]:
        """Return: end what is idle in a transaction; more memory for each query."""
        used = 'sum by (app) (pg_stat_database_numbackends{app="${service_id}"})'
        helped, unhelped = self.servers[self.helped], self.servers[self.unhelped]
        end = {"postgres.end_idle_transactions": {**_address(helped), "older_than": "10s", "users": ["shop"]}}
        more = {"postgres.set": {**_address(unhelped), "set": {"work_mem": "8MB"}}}
        known = anomaly(self.signal)
        return [
            policy("end-idle", self.helped, known, f"{used} > 20", [end], f"{used} < 12"),
            policy("more-memory", self.unhelped, known, f"{used} > 20", [more], f"{used} < 12"),
        ]

    def fail(self) -> None:
        """Forget a transaction on each server."""
        for shop in self.shops:
            shop.forget()

    def is_undone(self) -> bool:
        """Tell whether the setting is what it was."""
        return self.servers[self.unhelped].sql("SHOW work_mem") == "4MB"


def _address(server: PostgreSQL) -> Entry:
    return {"address": server.address, "user": "presagio"}
