"""gunicorn as a library: one worker with threads for each wing, and a bad file never takes a running server down.

The master reads the configuration, at start and at SIGHUP, and the worker inherits the object by fork. A file that is
bad at start ends the process; one that is bad later is reported, and the worker that runs stays as it is. A file that
only turns out to be bad when the wing is built from it is answered by building it from the last good one.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NoReturn, Protocol, TypeVar

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # gunicorn has no types
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from pydantic import BaseModel

from presagio.toolkit import listen, web_file
from presagio.toolkit.clock import Clock, SystemClock
from presagio.toolkit.door import Door
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.log import Log, get_log
from presagio.toolkit.reloading import ReloadState
from presagio.toolkit.schema import ConfigFile
from presagio.toolkit.serverlog import ServerLog
from presagio.toolkit.web_file import WebFile
from presagio.toolkit.worker import Worker

ConfigT = TypeVar("ConfigT", bound=BaseModel)

THREADS = 8

_MEMORY = "/dev/shm"  # noqa: S108 # gunicorn's heartbeat file, unlinked at once; lets the root be read-only
_GRACE = 25
_SILENCE = 120
_KEEPALIVE = 75


class NotServedError(PresagioError):
    """The request cannot be passed on: the master process is gone."""


class Running(Protocol):
    """A wing at work in the worker process."""

    app: Flask

    def start(self) -> None:
        """Start the threads in the background and return at once. The old worker may still run: hold a lock."""

    def stop(self) -> None:
        """Stop them and write what must survive; called once, when the last request has been answered."""


@dataclass(frozen=True)
class Context:
    """What a wing is built with, new for each worker.

    `registry` has our collectors already; `reload` reads the file again and, if it is good, has the worker replaced;
    else it raises ConfigError with the whole report.
    """

    arguments: argparse.Namespace
    registry: CollectorRegistry
    clock: Clock
    log: Log
    reload: Callable[[], None]


class Wing(Protocol[ConfigT]):
    """What a server is of: the exporter, the webhook."""

    name: str
    file: ConfigFile[ConfigT]

    def build(self, config: ConfigT, context: Context) -> Running:
        """Return the wing made of `config`. Runs in the worker. PresagioError refuses the configuration."""


def serve(
    wing: Wing[Any], arguments: argparse.Namespace, clock: Clock | None = None, threads: int = THREADS
) -> NoReturn:
    """Serve `wing` until a signal ends it; leaves by SystemExit, with 0 after SIGTERM, SIGINT or SIGQUIT.

    `arguments` are those of cli.add_server_flags. Raises ConfigError and ListenError before anything has started.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    clock = clock or SystemClock()
    config, web = wing.file.load(arguments.config_file), web_file.load(arguments.web_config_file)
    server = _Server(wing, arguments, config, web, clock, threads)
    _Arbiter(server).run()
    raise AssertionError("gunicorn leaves by SystemExit")


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """The wing as gunicorn sees it. `candidate` is the newest configuration, `good` the last that was built."""

    def __init__(
        self, wing: Wing[Any], arguments: argparse.Namespace, config: BaseModel, web: WebFile, clock: Clock,
        threads: int,
    ) -> None:  # fmt: skip
        self.wing = wing
        self.arguments = arguments
        self.clock = clock
        self.threads = threads
        self.web = web
        self.candidate, self.generation = config, 1
        self.good: BaseModel | None = None
        self.state = ReloadState()
        self.log = get_log("server")
        self.master = os.getpid()
        self.running: Running | None = None
        self.socket = listen.bind(arguments.listen_address, clock).detach()
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn how we want it; our own configuration is not its business."""
        settings = {
            "bind": [f"fd://{self.socket}"],
            "proc_name": f"presagio {self.wing.name}",
            "threads": self.threads,
            "worker_class": Worker,
            "worker_tmp_dir": _MEMORY if os.access(_MEMORY, os.W_OK) else None,
            "control_socket_disable": True,
            "logger_class": ServerLog,
            "graceful_timeout": _GRACE,
            "timeout": _SILENCE,
            "keepalive": _KEEPALIVE,
            "worker_exit": lambda _arbiter, _worker: self.stop(),
        }
        tls = self.web.tls_server_config
        if tls is not None:
            # read anew for each connection: a certificate that was renewed is used without a reload
            settings |= {
                "certfile": str(tls.cert_file), "keyfile": str(tls.key_file),
                "ssl_context": lambda _config, _default: tls.context(),
            }  # fmt: skip
        for name, value in settings.items():
            self.cfg.set(name, value)

    def renew(self) -> bool:
        """In the master: read the file again; return whether it is good."""
        if self.state.read().generation == self.generation:
            self.good = self.candidate
        try:
            candidate = self.wing.file.load(self.arguments.config_file)
            self.web = web_file.load(self.arguments.web_config_file)
            self.candidate = candidate
        except Exception as error:
            # Whatever is wrong with a file, even one that our own parser stumbles over: the server goes on.
            self.refuse(error)
            return False
        self.generation += 1
        return True

    def refuse(self, error: Exception) -> None:
        """Tell that the last good configuration stays."""
        self.state.fail()
        self.log.error("configuration not reloaded, the last good one stays", report=error)

    def load(self) -> Flask:
        """In the worker, after the fork: build the wing, start its threads and return its app."""
        try:
            self.running = self._begin(self.candidate)
            self.state.succeed(self.generation, self.clock.time())
        except Exception as error:
            if self.good is None:
                self._give_up(error)
            self.refuse(error)
            self.running = self._begin(self.good)
        Door(self.web).guard(self.running.app)
        return self.running.app

    def _begin(self, config: BaseModel) -> Running:
        context = Context(self.arguments, self._registry(), self.clock, get_log(self.wing.name), self.request_reload)
        running = self.wing.build(config, context)
        try:
            running.start()
        except BaseException:
            running.stop()
            raise
        return running

    def _give_up(self, error: Exception) -> NoReturn:
        tell = self.log.error if isinstance(error, PresagioError) else self.log.exception
        tell(f"cannot start: {error}")
        sys.exit(Arbiter.APP_LOAD_ERROR)

    def _registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        about = {"version": version("presagio"), "python": platform.python_version()}
        build = Gauge("presagio_build_info", "Which Presagio this is.", list(about), registry=registry)
        build.labels(**about).set(1)
        self.state.expose(registry)
        return registry

    def request_reload(self) -> None:
        """In the worker: have the file read again, if it is good. Raises ConfigError with the report."""
        try:
            self.wing.file.load(self.arguments.config_file)
            web_file.load(self.arguments.web_config_file)
        except PresagioError as error:
            self.refuse(error)
            raise
        if os.getppid() != self.master:
            raise NotServedError("the master process is gone; start presagio again")
        os.kill(self.master, signal.SIGHUP)

    def stop(self) -> None:
        """In the worker, at its end."""
        if self.running is not None:
            self.log.info("stopping")
            self.running.stop()


class _Arbiter(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """A master that replaces its worker only for a good file, and never has two for longer than a moment."""

    app: _Server

    def reload(self) -> None:
        """Replace the worker if the file is good."""
        if self.app.renew():
            super().reload()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """End the process: with 0, or with 1 whatever gunicorn's reason is."""
        super().halt(reason, 1 if exit_status else 0)

    def _ignore(self) -> None:
        self.log.warning("signal ignored: there is always one worker")

    handle_ttin = handle_ttou = handle_usr2 = _ignore
