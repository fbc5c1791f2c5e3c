"""Real servers, started and ended: Prometheus, VictoriaMetrics, Alertmanager, exporters, Redis, PostgreSQL, and more.

Every server is a context manager: entering it starts the process and waits until it is ready, leaving it ends the
process. Each writes its real configuration file and its log into its work folder, listens on the loopback only and
dies with the process that started it.

    with NodeExporter(locate("node_exporter", "system"), work / "node") as node:
        jobs = [scrape("node", node.address)]
        with Prometheus(locate("prometheus", "forky"), work / "prometheus", jobs) as prometheus:
            prometheus.wait_for("up == 1")
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

__all__ = [
    "Alertmanager",
    "NodeExporter",
    "PostgreSQL",
    "PostgresBinaries",
    "PostgresExporter",
    "Process",
    "Prometheus",
    "Queryable",
    "Ready",
    "RedisExporter",
    "RedisServer",
    "Server",
    "ServerError",
    "VictoriaMetrics",
    "answers_http",
    "answers_tcp",
    "backfill",
    "free_port",
    "openmetrics",
    "scrape",
    "wait_until",
    "writes_line",
]

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 15

T = TypeVar("T")

Ready = Callable[["Process"], bool]
"""Tells of a started process whether it is ready to serve; called again and again until it is."""

# below Linux' ephemeral range: no outgoing connection takes the port between our choice and the server's bind
_ports = iter(random.sample(range(20_000, 32_000), 12_000))

# loopback addresses never go through a proxy, whatever the environment says
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(RuntimeError):
    """A server that does not start, does not become ready, or refuses a request; the message quotes its words."""


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on; no port is returned twice."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise ServerError("no free port between 20000 and 32000; end some of the processes that listen there")


def wait_until(condition: Callable[[], T | None], what: str, deadline: float = 30.0) -> T:
    """Call `condition` until its answer is true, and return that; after `deadline` seconds raise ServerError."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise ServerError(f"no {what} within {deadline:g} s; the last answer was {answer!r}")
        time.sleep(POLL_SECONDS)


def answers_http(url: str) -> Ready:
    """Ready when `url` answers 200."""

    def ready(_: "Process") -> bool:
        with contextlib.suppress(OSError, ServerError):
            _fetch(url, timeout=1.0)
            return True
        return False

    return ready


def answers_tcp(port: int) -> Ready:
    """Ready when something accepts connections on the loopback's `port`."""

    def ready(_: "Process") -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
        return False

    return ready


def writes_line(text: str) -> Ready:
    """Ready when the process has written a line that holds `text` since it was started."""
    return lambda process: text in process.output()


class Process:
    """A process of ours: in a session of its own, its output in `workdir`/`name`.log, ended with its parent.

    It is killed when the thread that started it ends, so start it from a thread that outlives it. It runs in
    `workdir`; words of `argv` that are paths are made absolute. `ready` tells when it serves, within `deadline`
    seconds.
    """

    stop_signal = signal.SIGTERM

    def __init__(
        self,
        argv: Sequence[str | Path],
        workdir: Path,
        *,
        name: str | None = None,
        ready: Ready | None = None,
        env: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> None:
        self.argv = [str(word.absolute()) if isinstance(word, Path) else word for word in argv]
        self.workdir = workdir.absolute()
        self.name = name or Path(self.argv[0]).name
        self.log = self.workdir / f"{self.name}.log"
        self.ready = ready
        self.env = dict(env or {})
        self.deadline = deadline
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and return at once."""
        if self._popen is not None:
            raise ServerError(f"{self.name} was started already; stop it first")
        self.workdir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._popen = subprocess.Popen(
                [*_ends_with_parent(), *self.argv],
                cwd=self.workdir,
                env=os.environ | self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, deadline: float | None = None) -> None:
        """Wait until the process is ready; raise ServerError with the end of its log if it dies or takes too long."""
        seconds = self.deadline if deadline is None else deadline
        end = time.monotonic() + seconds
        while self.ready is not None and not (self.is_alive and self.ready(self)):
            if not self.is_alive:
                raise ServerError(f"{self.name} ended before it was ready; its log ends:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerError(f"{self.name} is not ready after {seconds:g} s; its log ends:\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, grace: float = 10.0) -> None:
        """Ask the process to end, and kill it with its children if it has not within `grace` seconds."""
        if self._popen is None:
            return
        # not Popen.terminate: that would reap a process that has ended, see kill9
        os.kill(self._popen.pid, self.stop_signal)
        with contextlib.suppress(ServerError):
            wait_until(lambda: not self.is_alive, f"end of {self.name}", grace)
        self.kill9()

    def kill9(self) -> None:
        """Kill the process and its children with SIGKILL, as a crash of the machine would."""
        if self._popen is None:
            return
        # not reaped yet, so that its number is still the number of our group and of nobody else's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._popen = None

    def restart(self) -> None:
        """Stop the process, start it again with the same arguments and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready()

    @property
    def pid(self) -> int:
        """The number of the process; raise ServerError when it is not running."""
        if self._popen is None:
            raise ServerError(f"{self.name} is not running; start it first")
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process was started and has not ended by itself."""
        if self._popen is None:
            return False
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._popen.pid, look) is None

    def output(self) -> str:
        """Return what the process has written since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        """Return the last lines that the process has written since it was last started."""
        return "\n".join(self.output().splitlines()[-LOG_TAIL_LINES:])


class Server(Process):
    """A process that listens on a loopback port and reads a configuration file that it is given."""

    def __init__(self, argv: Sequence[str | Path], workdir: Path, port: int, ready: Ready | None = None) -> None:
        super().__init__(argv, workdir, name=type(self).__name__.lower(), ready=ready)
        self.port = port
        self.address = f"{LOOPBACK}:{port}"
        self.url = f"http://{self.address}"
        self.ready = ready or answers_http(f"{self.url}/")

    def start(self) -> None:
        """Write the configuration file, start the process and return at once."""
        self.workdir.mkdir(parents=True, exist_ok=True)
        self.write_config()
        super().start()

    def write_config(self) -> None:
        """Write the configuration file, if there is one."""


class Queryable(Server):
    """A server that answers queries as Prometheus does."""

    kind = "prometheus"
    beside: Mapping[str, str] = {}

    def query(self, expr: str, time: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query, each series as {"metric": {...}, "value": [time, "number"]}."""
        at: dict[str, object] = {} if time is None else {"time": time}
        return self._result("query", {"query": expr} | at)

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the result of a range query, each series as {"metric": {...}, "values": [[time, "number"], ...]}."""
        return self._result("query_range", {"query": expr, "start": start, "end": end, "step": step})

    def value(self, expr: str, time: float | None = None) -> float | None:
        """Return the number of the first series of an instant query, or None when it has no series."""
        result = self.query(expr, time)
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, expr: str, deadline: float = 30.0) -> list[dict[str, Any]]:
        """Query until the result has a series, and return it; raise ServerError after `deadline` seconds."""
        return wait_until(lambda: self.query(expr), f"result of {expr}", deadline)

    def _result(self, endpoint: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        answer = _get_json(f"{self.url}/api/v1/{endpoint}?{urllib.parse.urlencode({**parameters, **self.beside})}")
        return list(answer["data"]["result"])


class Prometheus(Queryable):
    """Prometheus, its storage in `workdir`/data; it scrapes, and evaluates its rules, each `interval`.

    `config` is its configuration as a dictionary: change it, then `reload`.
    """

    def __init__(
        self,
        binary: Path,
        workdir: Path,
        scrape_configs: Sequence[Mapping[str, Any]] = (),
        rule_files: Sequence[Path] = (),
        alertmanager_url: str | None = None,
        *,
        interval: str = "1s",
        port: int | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        port = port or free_port()
        self.data_dir = workdir.absolute() / "data"
        self.config_file = workdir.absolute() / "prometheus.yml"
        self.config = _prometheus_config(interval, scrape_configs, rule_files, alertmanager_url)
        argv: list[str | Path] = [
            binary,
            f"--config.file={self.config_file}",
            f"--storage.tsdb.path={self.data_dir}",
            # tests write history of any age
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--web.enable-lifecycle",
            # what an Alertmanager missed before Prometheus had discovered it comes again soon, not in a minute
            "--rules.alert.resend-delay=5s",
            *flags,
        ]
        super().__init__(argv, workdir, port, answers_http(f"http://{LOOPBACK}:{port}/-/ready"))

    def write_config(self) -> None:
        """Write `config` as prometheus.yml."""
        _write_yaml(self.config_file, self.config)

    def reload(self) -> None:
        """Write `config` and have Prometheus read it; raise ServerError with its words if it refuses."""
        self.write_config()
        _fetch(f"{self.url}/-/reload", b"", timeout=30.0)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        return list(_get_json(f"{self.url}/api/v1/alerts")["data"]["alerts"])


class VictoriaMetrics(Queryable):
    """VictoriaMetrics, single node, its storage in `workdir`/data; it scrapes each `interval` what it is given."""

    kind = "victoria-metrics"
    # else it would hold back its newest 30 seconds
    beside: Mapping[str, str] = {"nocache": "1", "latency_offset": "1ms"}

    def __init__(
        self,
        binary: Path,
        workdir: Path,
        scrape_configs: Sequence[Mapping[str, Any]] = (),
        *,
        interval: str = "1s",
        port: int | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        port = port or free_port()
        self.config_file = workdir.absolute() / "scrape.yml"
        self.config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [dict(each) for each in scrape_configs],
        }
        argv: list[str | Path] = [
            binary,
            f"-httpListenAddr={LOOPBACK}:{port}",
            f"-storageDataPath={workdir.absolute() / 'data'}",
            f"-promscrape.config={self.config_file}",
            # tests write history of any age
            "-retentionPeriod=100y",
            *flags,
        ]
        super().__init__(argv, workdir, port, answers_http(f"http://{LOOPBACK}:{port}/health"))

    def write_config(self) -> None:
        """Write `config` as scrape.yml."""
        _write_yaml(self.config_file, self.config)

    def load(self, series: Iterable[tuple[str, Iterable[tuple[float, float]]]]) -> None:
        """Write history, as `openmetrics` takes it, and wait until queries see it."""
        lines = [f"{name} {value!r} {at * 1000:.0f}" for name, samples in series for at, value in samples]
        _fetch(f"{self.url}/api/v1/import/prometheus", "\n".join(lines).encode(), timeout=30.0)
        _fetch(f"{self.url}/internal/force_flush", timeout=30.0)


class Alertmanager(Server):
    """Alertmanager, its storage in `workdir`/data, without a cluster.

    `config` is its configuration as a dictionary: change it, then `reload`.
    """

    def __init__(self, binary: Path, workdir: Path, config: Mapping[str, Any], *, port: int | None = None) -> None:
        port = port or free_port()
        self.config = dict(config)
        self.config_file = workdir.absolute() / "alertmanager.yml"
        argv: list[str | Path] = [
            binary,
            f"--config.file={self.config_file}",
            f"--storage.path={workdir.absolute() / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--cluster.listen-address=",
        ]
        super().__init__(argv, workdir, port, answers_http(f"http://{LOOPBACK}:{port}/-/ready"))

    def write_config(self) -> None:
        """Write `config` as alertmanager.yml."""
        _write_yaml(self.config_file, self.config)

    def reload(self) -> None:
        """Write `config` and have Alertmanager read it; raise ServerError with its words if it refuses."""
        self.write_config()
        _fetch(f"{self.url}/-/reload", b"", timeout=30.0)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that Alertmanager holds."""
        return list(_get_json(f"{self.url}/api/v2/alerts"))

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Send alerts as Prometheus would: [{"labels": {...}, "annotations": {...}}, ...]."""
        _fetch(f"{self.url}/api/v2/alerts", json.dumps(list(alerts)).encode(), timeout=10.0)


class NodeExporter(Server):
    """node_exporter, with the collectors named, or its own choice when none is."""

    def __init__(
        self, binary: Path, workdir: Path, collectors: Sequence[str] = (), *, port: int | None = None
    ) -> None:
        port = port or free_port()
        chosen = [f"--collector.{name}" for name in collectors]
        argv: list[str | Path] = [
            binary,
            f"--web.listen-address={LOOPBACK}:{port}",
            *(["--collector.disable-defaults"] if chosen else []),
            *chosen,
        ]
        super().__init__(argv, workdir, port)


class RedisServer(Server):
    """redis-server, in memory only."""

    def __init__(self, binary: Path, workdir: Path, *, port: int | None = None) -> None:
        port = port or free_port()
        self.config_file = workdir.absolute() / "redis.conf"
        super().__init__([binary, self.config_file], workdir, port, answers_tcp(port))
        self.url = f"redis://{self.address}"

    def write_config(self) -> None:
        """Write redis.conf."""
        lines = (f"bind {LOOPBACK}", f"port {self.port}", f"dir {self.workdir}", 'save ""', "appendonly no")
        self.config_file.write_text("\n".join(lines) + "\n")


class RedisExporter(Server):
    """redis_exporter, watching the server at `redis_url`."""

    def __init__(self, binary: Path, workdir: Path, redis_url: str, *, port: int | None = None) -> None:
        port = port or free_port()
        argv: list[str | Path] = [binary, f"--redis.addr={redis_url}", f"--web.listen-address={LOOPBACK}:{port}"]
        super().__init__(argv, workdir, port)


@dataclass(frozen=True)
class PostgresBinaries:
    """Where the programs of PostgreSQL are."""

    postgres: Path
    initdb: Path
    psql: Path
    pg_basebackup: Path


class PostgreSQL(Server):
    """PostgreSQL with a database and a superuser named postgres, no password; or a replica of `primary`.

    It refuses to run as root: there it runs as nobody, who may go where root may.
    """

    # at SIGTERM it would wait for its clients to leave
    stop_signal = signal.SIGINT

    def __init__(
        self,
        binaries: PostgresBinaries,
        workdir: Path,
        *,
        primary: "PostgreSQL | None" = None,
        settings: Mapping[str, object] | None = None,
        port: int | None = None,
    ) -> None:
        port = port or free_port()
        self.binaries, self.primary = binaries, primary
        self.data_dir = workdir.absolute() / "data"
        chosen = {"listen_addresses": LOOPBACK, "port": port, "unix_socket_directories": "", "fsync": "off"}
        words = [f"--{name}={value}" for name, value in (chosen | {"jit": "off"} | dict(settings or {})).items()]
        argv = [*_nobody(), str(binaries.postgres), "-D", str(self.data_dir), *words]
        super().__init__(argv, workdir, port, writes_line("ready to accept"))
        self.url = f"postgresql://postgres@{self.address}/postgres?sslmode=disable"

    def write_config(self) -> None:
        """Make the database cluster, the first time."""
        if self.data_dir.exists():
            return
        made: list[str | Path] = [self.binaries.initdb, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C"]
        if self.primary:
            made = [self.binaries.pg_basebackup, "-d", self.primary.url, "--checkpoint=fast", "-R", "--no-sync"]
        _run([*_nobody(), *made, "-D", self.data_dir])

    def client(self, script: str) -> Process:
        r"""Return a psql that runs `script` in one session; a line `\! sleep 60` keeps it open, `\watch` repeats."""
        name = f"psql-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
        file = self.workdir / f"{name}.sql"
        file.write_text(script + "\n")
        return Process([self.binaries.psql, "-X", "-A", "-t", "-d", self.url, "-f", file], self.workdir, name=name)

    def sql(self, *commands: str) -> str:
        """Run `commands` in a session of its own and return what they answer; raise ServerError if one fails."""
        words = [word for command in commands for word in ("-c", command)]
        return _run([self.binaries.psql, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, *words])


class PostgresExporter(Server):
    """postgres_exporter, watching the database at `url`; `flags` are its own."""

    def __init__(
        self, binary: Path, workdir: Path, url: str, *, flags: Sequence[str] = (), port: int | None = None
    ) -> None:
        port = port or free_port()
        super().__init__([binary, f"--web.listen-address={LOOPBACK}:{port}", *flags], workdir, port)
        self.env = {"DATA_SOURCE_NAME": url}


def _nobody() -> list[str]:
    """Return the words to put before a command that refuses to run as root."""
    if os.geteuid():
        return []
    user = (
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    )
    # to change the user ends the bond with the parent; so it is made again
    return ["setpriv", *user, "--pdeathsig=KILL", "--"]


def _run(argv: Sequence[str | Path]) -> str:
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ServerError(f"{argv[0]} fails: {answer.stderr.strip()}")
    return answer.stdout.strip()


def scrape(job: str, *addresses: str, **options: Any) -> dict[str, Any]:
    """Return a scrape configuration of `job` with static targets; `options` are Prometheus' own keys."""
    return {"job_name": job, "static_configs": [{"targets": list(addresses)}], **options}


def openmetrics(series: Iterable[tuple[str, Iterable[tuple[float, float]]]]) -> str:
    """Return OpenMetrics text of gauges: ('name{label="value"}', [(time in seconds, value), ...]) per series."""
    lines = [f"{name} {value!r} {at!r}" for name, samples in series for at, value in samples]
    return "\n".join([*lines, "# EOF"]) + "\n"


def backfill(promtool: Path, openmetrics_text: str, data_dir: Path) -> None:
    """Write history into the storage of a Prometheus that is not running; `data_dir` is made if need be."""
    data_dir.mkdir(parents=True, exist_ok=True)
    source = data_dir.parent / "backfill.om"
    source.write_text(openmetrics_text)
    argv: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", source, data_dir]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    source.unlink()
    if answer.returncode:
        raise ServerError(f"promtool cannot backfill: {(answer.stderr or answer.stdout).strip()}")


def _ends_with_parent() -> list[str]:
    """Return the words to put before a command, so that the kernel kills it when its parent dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _prometheus_config(
    interval: str,
    scrape_configs: Sequence[Mapping[str, Any]],
    rule_files: Sequence[Path],
    alertmanager_url: str | None,
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path.absolute()) for path in rule_files],
        "scrape_configs": [dict(each) for each in scrape_configs],
    }
    if alertmanager_url:
        target = urllib.parse.urlsplit(alertmanager_url).netloc
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]}
    return config


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))


def _get_json(url: str) -> Any:
    return json.loads(_fetch(url, timeout=30.0))


def _fetch(url: str, data: bytes | None = None, *, timeout: float) -> bytes:
    """GET `url`, or POST `data` to it; raise ServerError with the answer's words if it is not a success."""
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - http to the loopback, written by us
    try:
        with _opener.open(request, timeout=timeout) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            words = error.read().decode(errors="replace").strip()
        raise ServerError(f"{url} answers {error.code}: {words}") from error
