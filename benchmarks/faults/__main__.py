"""Record the set: `python -m faults --out folder --minutes 40`.

Writes samples.parquet (time in Unix seconds, service, signal, value) and episodes.csv (service, failure, shape,
onset, failed, end), `failed` empty where the limit was not reached: those spells are healthy, or faults that came too
late.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from packages import locate
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from servers import PostgresBinaries, PostgreSQL, Prometheus, RedisServer, free_port, scrape

from faults.plan import Spell, spells
from faults.subjects import Disk, Latency, Memory, Postgres, Redis, Subject

COUNTS = {"memory": 5, "latency": 4, "disk": 5, "redis": 3, "postgres": 2}
PERIOD = 0.5

Told = tuple[str, str, str, float, float | None, float]
Samples = Mapping[str, Sequence[tuple[float, str]]]


def program(name: str, generation: str = "system") -> Path:
    """Return where a server is; raise FileNotFoundError with the remedy if it is not on this machine."""
    found = locate(name, generation)
    if found is None:
        raise FileNotFoundError(f"{name} is not on this machine; `make servers` gets it")
    return found


def subject(kind: str, folder: Path, stack: ExitStack) -> Subject:
    """Start one thing of a kind; `stack` ends it."""
    if kind == "redis":
        server = stack.enter_context(RedisServer(program("redis-server"), folder))
        return stack.enter_context(closing(Redis(server)))
    if kind == "postgres":
        names = ("postgres", "initdb", "psql", "pg_basebackup")
        binaries = PostgresBinaries(*(program(name, "databases") for name in names))
        database = PostgreSQL(binaries, folder, settings={"max_connections": Postgres.most})
        return stack.enter_context(closing(Postgres(stack.enter_context(database))))
    made: Disk | Memory | Latency = Disk(folder) if kind == "disk" else Memory() if kind == "memory" else Latency()
    return stack.enter_context(closing(made))


def live(one: Subject, through: Sequence[Spell], begin: float, used: Any, rng: np.random.Generator) -> None:
    """Lead a subject through its spells, by the clock, and publish what is measured."""
    for spell in through:
        while (now := time.time() - begin) < spell.begin + spell.seconds:
            one.drive(spell.share(now, rng))
            used.set(one.measure())
            time.sleep(PERIOD)


def told(service: str, kind: str, spell: Spell, limit: float, begin: float, samples: Samples) -> Told:
    """Return an episode: when it began, when the limit was first reached (None: never), when it ended."""
    start, end = begin + spell.begin, begin + spell.begin + spell.seconds
    reached = (at for at, value in samples[service] if start <= at < end and float(value) >= limit)
    return service, kind, spell.shape, start, next(reached, None), end


def record(out: Path, seconds: float, counts: Mapping[str, int], seed: int = 0) -> list[Told]:
    """Run everything for so many seconds and write the set to `out`; return its episodes."""
    rng, registry = np.random.default_rng(seed), CollectorRegistry()
    gauge = Gauge("faults_used", "How much is used, in the unit of its kind.", ["service"], registry=registry)
    names = [(f"{kind}-{number}", kind) for kind, count in counts.items() for number in range(count)]
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        folder.chmod(0o755)
        subjects = {name: subject(kind, folder / name, stack) for name, kind in names}
        port = free_port()
        page, page_thread = start_http_server(port, "127.0.0.1", registry)
        stack.callback(page_thread.join)
        stack.callback(page.shutdown)
        pages = [scrape("faults", f"127.0.0.1:{port}")]
        prometheus = stack.enter_context(
            Prometheus(program("prometheus"), folder / "prometheus", pages, interval="1s")
        )
        plans = {name: list(spells(seconds, rng)) for name, _ in names}
        begin = time.time()
        _together(subjects, plans, begin, gauge, rng)
        samples = dict(_read(prometheus, begin, time.time()))
    return _write(out, samples, [
        told(name, kind, spell, subjects[name].limit, begin, samples) for name, kind in names for spell in plans[name]
    ])  # fmt: skip


def _together(
    subjects: Mapping[str, Subject], plans: Mapping[str, Sequence[Spell]], begin: float, gauge: Gauge, rng: Any
) -> None:
    own = dict(zip(subjects, rng.spawn(len(subjects)), strict=True))
    threads = [
        threading.Thread(target=live, args=(one, plans[name], begin, gauge.labels(name), own[name]))
        for name, one in subjects.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read(prometheus: Prometheus, begin: float, end: float) -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """Yield each service's samples; Prometheus gives 11,000 points at most, which are three hours."""
    for series in prometheus.query_range("faults_used", begin, end, 1.0):
        yield series["metric"]["service"], series["values"]


def _write(out: Path, samples: Samples, episodes: list[Told]) -> list[Told]:
    import pandas as pd

    out.mkdir(parents=True, exist_ok=True)
    rows = [
        (at, service, service.partition("-")[0], float(value))
        for service in samples
        for at, value in samples[service]
    ]
    frame = pd.DataFrame(rows, columns=["time", "service", "signal", "value"])
    frame["value"] = frame["value"].astype("float32")
    frame.to_parquet(out / "samples.parquet", compression="zstd", index=False)
    with (out / "episodes.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("service", "failure", "shape", "onset", "failed", "end"), *episodes]
        )
    return episodes


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="record real processes that fail")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40.0)
    arguments = parser.parse_args(argv)
    episodes = record(arguments.out, 60 * arguments.minutes, COUNTS)
    print(f"{len(episodes)} spells, {sum(one[4] is not None for one in episodes)} failures")


if __name__ == "__main__":
    main()
