"""What all tests share: the real servers, of both generations.

A test that asks for `prometheus_binary`, `promtool` or `alertmanager_binary` runs once for each generation, and gets
all of them from the same one. Where a server is absent the test skips with the remedy; in CI it fails.
"""

from pathlib import Path

import pytest
from absence import absent
from hypothesis import settings
from packages import GENERATIONS, locate, version
from servers import PostgresBinaries

# a slow machine is no mistake: what is found is, however long it took
settings.register_profile("presagio", deadline=None)
settings.load_profile("presagio")

USUAL_MAJOR = {"system": "2", "forky": "3"}


def binary(name: str, generation: str) -> Path:
    """Return where a server is; without it skip the running test, or fail it in CI."""
    found = locate(name, generation)
    if found is not None:
        return found
    reason = f"{name} of generation {generation} is not on this machine; `make servers` gets it"
    return absent(reason)


def generation_id(generation: str) -> str:
    """Name a generation by the Prometheus that it has: prometheus-2, prometheus-3."""
    found = locate("prometheus", generation)
    major = version(found).partition(".")[0] if found else USUAL_MAJOR[generation]
    return f"prometheus-{major}"


@pytest.fixture(scope="session", params=GENERATIONS, ids=generation_id)
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def prometheus_binary(generation: str) -> Path:
    return binary("prometheus", generation)


@pytest.fixture(scope="session")
def promtool(generation: str) -> Path:
    return binary("promtool", generation)


@pytest.fixture(scope="session")
def alertmanager_binary(generation: str) -> Path:
    return binary("alertmanager", generation)


@pytest.fixture(scope="session")
def amtool(generation: str) -> Path:
    return binary("amtool", generation)


@pytest.fixture(scope="session")
def node_exporter_binary() -> Path:
    return binary("node_exporter", "system")


@pytest.fixture(scope="session")
def redis_server_binary() -> Path:
    return binary("redis-server", "system")


@pytest.fixture(scope="session")
def redis_exporter_binary() -> Path:
    return binary("redis_exporter", "system")


@pytest.fixture(scope="session")
def postgres_binaries() -> PostgresBinaries:
    names = ("postgres", "initdb", "psql", "pg_basebackup")
    return PostgresBinaries(*(binary(name, "databases") for name in names))


@pytest.fixture(scope="session")
def postgres_exporter_binary() -> Path:
    return binary("postgres_exporter", "databases")


@pytest.fixture(scope="session")
def victoria_metrics_binary() -> Path:
    return binary("victoria-metrics", "victoria")


@pytest.fixture(scope="session")
def vmalert() -> Path:
    return binary("vmalert", "victoria")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Return a folder of the test's own, for the configuration, storage and logs of its servers."""
    return tmp_path


SERVER_FIXTURES = {
    "generation",
    "node_exporter_binary",
    "redis_server_binary",
    "redis_exporter_binary",
    "postgres_binaries",
    "postgres_exporter_binary",
    "victoria_metrics_binary",
    "vmalert",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for a real server, so that `-m "not servers"` leaves them out."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)
