"""How actions reach a database that trusts nobody: TLS, passwords, and connections that break after the effect."""

import os
import pwd
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import PostgresBinaries, PostgreSQL, RedisServer, free_port, wait_until

from presagio.actions import base
from presagio.actions.base import NotAppliedError, Plan, Probe, Target, UnknownOutcomeError

CART = Target("cart", {})
PASSWORD = "correct horse"
SET = base.load("postgres.set")
PURGE = base.load("redis.purge_memory")


class EncryptedRedis(RedisServer):
    """Redis with a second port, which speaks TLS alone."""

    def __init__(self, binary: Path, workdir: Path, certificate: Path, key: Path) -> None:
        self.files, self.tls_port = (certificate, key), free_port()
        super().__init__(binary, workdir)

    def write_config(self) -> None:
        super().write_config()
        certificate, key = self.files
        lines = (f"tls-port {self.tls_port}", f"tls-cert-file {certificate}", f"tls-key-file {key}",
                 f"tls-ca-cert-file {certificate}", "tls-auth-clients no", f"requirepass {PASSWORD!r}")  # fmt: skip
        with self.config_file.open("a") as config:
            config.write("\n".join(lines) + "\n")


class Cutter:
    """A way to a server that breaks as soon as the server has answered to some words."""

    def __init__(self, port: int, words: bytes) -> None:
        self.port, self.words = port, words
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.port)) as server, suppress(OSError):
            answers = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            answers.start()
            while said := client.recv(65536):
                cut = self.words in said
                if cut:
                    self.words = b"\0never again"
                    client.shutdown(socket.SHUT_WR)  # from now on nothing of the server gets through
                server.sendall(said)
                if cut:
                    answers.join(10.0)
                    return

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(65536):
                client.sendall(said)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    """Return the authority of the servers, their certificate and key, and an authority that they know nothing of."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    names = folder / "ca.pem", folder / "server.pem", folder / "server.key", folder / "other.pem"
    authority.cert_pem.write_to_path(str(names[0]))
    made.cert_chain_pems[0].write_to_path(str(names[1]))
    made.private_key_pem.write_to_path(str(names[2]))
    trustme.CA().cert_pem.write_to_path(str(names[3]))
    return names


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.fixture
def redis(redis_server_binary: Path, tmp_path: Path, certificates: tuple[Path, ...]) -> Iterator[EncryptedRedis]:
    with EncryptedRedis(redis_server_binary, tmp_path / "redis", certificates[1], certificates[2]) as started:
        yield started


@pytest.fixture(scope="module")
def postgres(
    postgres_binaries: PostgresBinaries, tmp_path_factory: pytest.TempPathFactory, certificates: tuple[Path, ...]
) -> Iterator[PostgreSQL]:
    """Return a server that lets the user of the actions in by TLS and password alone."""
    folder = tmp_path_factory.mktemp("postgres")
    key = folder / "server.key"
    key.write_bytes(certificates[2].read_bytes())
    key.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(key, pwd.getpwnam("nobody").pw_uid, -1)  # PostgreSQL takes no key that another may read
    tls = {"ssl": "on", "ssl_cert_file": certificates[1], "ssl_key_file": key}
    with PostgreSQL(postgres_binaries, folder / "server", settings=tls) as started:
        rules = started.data_dir / "pg_hba.conf"
        rules.write_text(
            "hostssl all presagio 127.0.0.1/32 scram-sha-256\nhostnossl all presagio all reject\n" + rules.read_text()
        )
        started.sql(
            f"CREATE ROLE presagio LOGIN SUPERUSER PASSWORD '{PASSWORD}'",
            "SELECT pg_reload_conf()",
        )
        yield started


def planned(name: str, address: str, **params: Any) -> Plan:
    action = base.load(name)
    return action.plan(CART, action.Params.model_validate({"address": address, "timeout": "5s", **params}))


def purge(address: str, **params: Any) -> Plan:
    return planned("redis.purge_memory", address, **params)


def setting(address: str, **params: Any) -> Plan:
    return planned("postgres.set", address, set={"work_mem": "8MB"}, **params)


def test_redis_by_tls_and_password(redis: EncryptedRedis, certificates: tuple[Path, ...], password: Path) -> None:
    address = f"127.0.0.1:{redis.tls_port}"
    plan = purge(address, tls=True, ca_file=certificates[0], password_file=password)
    PURGE.apply(plan, "1")
    assert PURGE.probe(plan, "1") is Probe.APPLIED
    with pytest.raises(NotAppliedError, match="certificate verify failed"):
        purge(address, tls=True, ca_file=certificates[3], password_file=password)
    with pytest.raises(NotAppliedError, match="cannot be"):
        purge(address, password_file=password)


def test_a_wrong_password_of_redis_is_told(redis: EncryptedRedis, password: Path) -> None:
    assert purge(redis.address, password_file=password).action == "redis.purge_memory"
    password.write_text("wrong\n")
    with pytest.raises(NotAppliedError, match="see `user` and `password_file`"):
        purge(redis.address, password_file=password)
    with pytest.raises(NotAppliedError, match="see `user` and `password_file`"):
        purge(redis.address)


def test_postgres_by_tls_and_password(postgres: PostgreSQL, certificates: tuple[Path, ...], password: Path) -> None:
    plan = setting(postgres.address, tls=True, ca_file=certificates[0], password_file=password)
    assert "was set to" in SET.apply(plan, "1").summary
    assert SET.probe(plan, "1") is Probe.APPLIED
    SET.undo(plan)
    with pytest.raises(NotAppliedError, match="certificate verify failed"):
        setting(postgres.address, tls=True, ca_file=certificates[3], password_file=password)


def test_a_wrong_password_of_postgres_is_told(
    postgres: PostgreSQL, certificates: tuple[Path, ...], password: Path
) -> None:
    password.write_text("wrong\n")
    with pytest.raises(NotAppliedError, match=r"password authentication failed .* see `user` and `password_file`"):
        setting(postgres.address, tls=True, ca_file=certificates[0], password_file=password)


def test_a_connection_that_breaks_after_the_effect_is_unknown_and_tried_again(
    postgres_binaries: PostgresBinaries, tmp_path: Path
) -> None:
    with PostgreSQL(postgres_binaries, tmp_path / "server") as server:
        way = Cutter(server.port, b"ALTER SYSTEM SET")
        plan = setting(way.address, user="postgres")
        with pytest.raises(UnknownOutcomeError, match="may have done it or not"):
            SET.apply(plan, "1")
        written = "SELECT setting FROM pg_file_settings WHERE name = 'work_mem'"
        wait_until(lambda: server.sql(written).strip() == "8MB", "the effect that nobody heard of")
        assert SET.probe(plan, "1") is Probe.UNKNOWN  # written, and not in force
        assert "already has" in SET.apply(plan, "2").summary
        wait_until(lambda: SET.probe(plan, "2") is Probe.APPLIED, "the setting in force")
        way.listener.close()
