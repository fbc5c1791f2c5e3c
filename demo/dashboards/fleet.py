"""Services to watch: days of history, and an exporter in this process that goes on where history ends.

Some leak memory until they fail, again and again, up to the end of history: whoever learns from it finds failures
enough, and a last day like those before. The same at any hour: their day is counted from the end of history. Any of
them can be made slow. Beside them stand the lines that kube-state-metrics
would have of their ReplicaSets, which are the deploys of the Service dashboard.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import numpy as np
import numpy.typing as npt

MINUTE, DAY = 60.0, 86_400.0
LIMIT = 0.98
NAMES = {
    "checkout": "shop", "search": "shop", "basket": "shop", "catalog": "shop", "payment": "back", "stock": "back",
    "mail": "back", "login": "back",
}  # fmt: skip
LEAKING = ("checkout", "basket", "payment", "stock", "mail")
NOW = {"checkout": 0.5, "payment": 0.35}
"""What has leaked by the end of history; the others are well then."""
FULL = 0.75
"""What has leaked when a service fails."""
LASTS, WELL, FAILED = (90, 300), (60, 240), 10
"""Minutes that a leak lasts, that a service is well before it, and that it has failed after it."""
PACE = 0.01
"""What leaks a minute from a service's deploy on, in shares of its memory."""
PODS = ("a", "b", "c")
"""Of each service, for its memory; the other signals are of the whole service."""
EACH = (*(("memory_ratio", pod) for pod in PODS), ("request_seconds", ""), ("queue_length", ""))
Floats = npt.NDArray[np.float64]
Points = list[tuple[float, float]]


class Fleet:
    """All services. `begin`: where history ends, Unix seconds."""

    def __init__(self, begin: float, days: float, seed: int = 5) -> None:
        self.begin = begin
        self.days = days
        self.seed = seed
        self.slow: set[str] = set()
        self.deploys: list[tuple[str, str, float]] = [(name, f"{name}-6f7d9c5b8", begin - 5 * DAY) for name in NAMES]
        self.random = random.Random(seed)  # noqa: S311 # noise
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def deploy(self, name: str, at: float) -> None:
        """Let a new ReplicaSet appear."""
        self.deploys.append((name, f"{name}-{len(self.deploys)}c4d8b9f7", at))

    def history(self) -> Iterator[tuple[str, Points]]:
        """Yield each series up to `begin`, a sample a minute."""
        times = self.begin - MINUTE * np.arange(round(self.days * DAY / MINUTE), 0, -1, dtype=np.float64)
        rng = np.random.default_rng(self.seed)
        # says that Prometheus was there: what it did not see is not learnt from
        yield 'up{job="fleet"}', [(at, 1.0) for at in times.tolist()]
        for name in NAMES:
            leaked = _leaks(rng, len(times), name)
            for signal, pod in EACH:
                values = _usual(signal, name, times - self.begin) * (1 + rng.normal(0, 0.02, len(times)))
                if signal == "memory_ratio":
                    values = np.minimum(1.0, values + leaked)
                yield _series(signal, name, pod), list(zip(times.tolist(), values.tolist(), strict=True))

    def page(self, now: float) -> str:
        """Return what is scraped at `now`."""
        lines = [f"{_series(*one)} {self._value(*one[:2], now)!r}" for one in self._all()]
        lines += [f'fleet_slow{{service_id="{NAMES[name]}/{name}"}} {int(name in self.slow)}' for name in NAMES]
        for name, replicaset, created in self.deploys:
            of = f'namespace="{NAMES[name]}",replicaset="{replicaset}"'
            lines.append(f"kube_replicaset_created{{{of}}} {created!r}")
            owner = f'owner_kind="Deployment",owner_name="{name}",owner_is_controller="true"'
            lines.append(f"kube_replicaset_owner{{{of},{owner}}} 1")
        return "\n".join(lines) + "\n"

    def _all(self) -> Iterator[tuple[str, str, str]]:
        for name in NAMES:
            for signal, pod in EACH:
                yield signal, name, pod

    def _value(self, signal: str, name: str, now: float) -> float:
        value = float(_usual(signal, name, np.array([now - self.begin]))[0]) * (1 + self.random.gauss(0, 0.02))
        if signal == "memory_ratio":
            since = max((at for of, _, at in self.deploys if of == name and at >= self.begin), default=now)
            return min(1.0, value + NOW.get(name, 0) + PACE * (now - since) / MINUTE)
        return value * (4 if name in self.slow else 1)


def _usual(signal: str, name: str, since: Floats) -> Floats:
    """Return a signal without leak and noise, so many seconds after the end of history."""
    low, high = {"memory_ratio": (0.25, 0.35), "request_seconds": (0.08, 0.16), "queue_length": (40.0, 90.0)}[signal]
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * since / DAY + len(name))
    return np.asarray(low + (high - low) * wave)


def _leaks(rng: np.random.Generator, count: int, name: str) -> Floats:
    """Return what has leaked at each minute: again and again up to failure; at the end as NOW says."""
    found = np.zeros(count)
    if name not in LEAKING:
        return found
    newest = round(NOW.get(name, 0) / FULL * LASTS[1])
    found[count - newest :] = np.linspace(0, NOW.get(name, 0), newest)
    end = count - newest - int(rng.integers(*WELL))
    while (begin := end - FAILED - int(rng.integers(*LASTS))) >= 0:
        found[begin : end - FAILED] = np.linspace(0, FULL, end - FAILED - begin)
        found[end - FAILED : end] = 1
        end = begin - int(rng.integers(*WELL))
    return found


def _series(signal: str, name: str, pod: str) -> str:
    where = f'namespace="{NAMES[name]}",deployment="{name}"'
    if pod:
        where += f',pod="{name}-{pod}"'
    return f'{signal}{{job="shop",instance="{name}{pod}:80",service_id="{NAMES[name]}/{name}",{where}}}'


def _handler(fleet: Fleet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            self._answer(fleet.page(time.time()))

        def do_POST(self) -> None:  # http.server's name
            """Heal the service that the path names."""
            fleet.slow.discard(self.path.rpartition("/")[2])
            self._answer("healed\n")

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
