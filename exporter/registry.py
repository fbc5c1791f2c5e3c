"""Services registered through the REST API, and the values that they submit.

A registration is on disk before it is acknowledged. While a reload replaces the worker, two processes work on one
folder for a moment: the files are the truth, each write happens under a lock on what was read under it, and whoever
finds a file changed reads it again. Values are kept in memory and in a journal, which a kill does not lose.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from presagio.exporter.api_config import ApiConfig
from presagio.exporter.journal import Journal
from presagio.exporter.submitted import Submission, Submitted
from presagio.toolkit.clock import Clock
from presagio.toolkit.durable import locked, read_snapshot, set_aside, write_snapshot
from presagio.toolkit.errors import LimitError, PresagioError, SnapshotError
from presagio.toolkit.log import Log

VERSION = 1
_SERVICES, _VALUES = "services", "submitted"


class UnknownServiceError(PresagioError):
    """No service of this id is registered."""


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"text without control characters, got {text!r}")
    return text


def _lines(text: str) -> str:
    _one_line("".join(text.split("\n")))
    return text


def _id(text: str) -> str:
    if text != text.strip():
        raise ValueError(f"an id that neither begins nor ends with a space, got {text!r}")
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise ValueError(f"an id whose parts between slashes are neither empty nor dots, got {text!r}")
    return text


ServiceId = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(_one_line), AfterValidator(_id)
]  # fmt: skip
"""A pydantic field that is a service's id: it stands in labels and in paths, and may contain slashes."""

Word = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]


EXAMPLE: dict[str, JsonValue] = {
    "service_id": "shop/checkout",
    "service_name": "Checkout",
    "service_type": "web",
    "description": "takes the payments",
}


class Service(BaseModel):
    """A service to register."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE})

    service_id: ServiceId = Field(description="the id, as in namespace/deployment")
    service_name: Word = Field("", description="its name for people")
    service_type: Word = Field("", description="what kind of service it is")
    description: Annotated[str, Field(max_length=2000), AfterValidator(_lines)] = Field(
        "", description="what it does, for people"
    )


_STORED = TypeAdapter(list[Service])


class Registry:
    """The services in `folder` and their newest values. Any thread may call anything."""

    def __init__(self, folder: Path, config: ApiConfig, clock: Clock, log: Log) -> None:
        self.folder = folder
        self.config = config
        self.clock = clock
        self.log = log
        self._lock = threading.Lock()
        self._seen: dict[str, object] = {}
        self._services: dict[str, Service] = {}
        self._values = Submitted(config.expire_after, config.max_metrics_per_service)
        self._journal = Journal(folder / f"{_VALUES}.journal")
        with self._writing():
            self._values.merge(self._journal.read(), self._services)

    def register(self, service: Service) -> bool:
        """Register or update a service; it survives a crash from now on. Return whether it is new.

        Raises LimitError.
        """
        with self._writing():
            known = self._services.get(service.service_id)
            if known is None and len(self._services) >= self.config.max_services:
                raise LimitError(
                    f"{self.config.max_services} services are registered, which is the limit; "
                    "delete one, or raise api.max_services"
                )
            if known != service:
                self._store({**self._services, service.service_id: service})
            return known is None

    def delete(self, service_id: str) -> None:
        """Forget a service and its values. Raises UnknownServiceError."""
        with self._writing():
            self._find(service_id)
            self._store({name: one for name, one in self._services.items() if name != service_id})
            self._values.forget(service_id)
            self._save()

    def submit(self, service_id: str, metrics: Mapping[str, float]) -> None:
        """Keep the newest values of a service; a kill does not lose them.

        Raises UnknownServiceError and LimitError.
        """
        with self._writing():
            self._find(service_id)
            now = self.clock.time()
            self._values.put(service_id, metrics, now)
            self._journal.append(service_id, metrics, now)
            if self._journal.is_large:
                self._save()

    def services(self) -> Sequence[Service]:
        """Return all services by id."""
        with self._reading():
            return [self._services[name] for name in sorted(self._services)]

    def get(self, service_id: str) -> tuple[Service, Mapping[str, Submission]]:
        """Return a service and its values by metric. Raises UnknownServiceError."""
        with self._reading():
            return self._find(service_id), self._values.of(service_id, self.clock.time())

    def page(self, now: float) -> bytes:
        """Return this part of the metrics page at `now` (Unix seconds), or nothing."""
        with self._reading():
            return self._values.page(now)

    def save(self) -> None:
        """Write the values, for the next worker and for a restart."""
        with self._writing():
            self._save()

    def _save(self) -> None:
        write_snapshot(self._path(_VALUES), _VALUES, VERSION, self._values.dump())
        self._journal.clear()

    def _find(self, service_id: str) -> Service:
        if service_id not in self._services:
            raise UnknownServiceError(f"service {service_id!r} is not registered; POST /register-service first")
        return self._services[service_id]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            self._refresh()
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, locked(self._path(_SERVICES).with_suffix(".lock")):
            self._refresh()
            yield

    def _refresh(self) -> None:
        """Read again the files that another process has changed."""
        self._take(_SERVICES, self._adopt)
        self._take(_VALUES, lambda payload: self._values.merge(orjson.loads(payload), self._services))

    def _take(self, kind: str, use: Callable[[bytes], None]) -> None:
        """Use a snapshot that is not the one last seen; set it aside if it cannot be used."""
        path = self._path(kind)
        try:
            mark = _mark(path)
            if mark != self._seen.get(kind):
                use(read_snapshot(path, kind, VERSION))
                self._seen[kind] = mark
        except FileNotFoundError:
            pass
        except (SnapshotError, ValueError, TypeError) as error:
            aside = set_aside(path, self.clock.time())
            self.log.error(f"{kind} cannot be read, the file is set aside", file=aside.name, error=error)

    def _adopt(self, payload: bytes) -> None:
        services = {service.service_id: service for service in _STORED.validate_json(payload)}
        for gone in self._services.keys() - services.keys():
            self._values.forget(gone)
        self._services = services

    def _store(self, services: Mapping[str, Service]) -> None:
        path = self._path(_SERVICES)
        write_snapshot(path, _SERVICES, VERSION, _STORED.dump_json(list(services.values())))
        self._services = dict(services)
        self._seen[_SERVICES] = _mark(path)

    def _path(self, kind: str) -> Path:
        return self.folder / f"{kind}.snapshot"


def _mark(path: Path) -> object:
    """Return what changes whenever the file is replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
