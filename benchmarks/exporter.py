"""What scoring costs: CPU of the exporter for a fleet of series, by stage, and of the plain ways beside it.

    python benchmarks/exporter.py [--series 2000] [--interval 15] [--rounds 40]

A real Prometheus holds the history. Each round is one evaluation as the running exporter does it: instant queries,
the names of the series, the scores, the page, and one compressed scrape of it. CPU time is this process's own, so
that Prometheus and other users of the machine do not count; shares are of one core at the given interval.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from presagio.exporter import wiring
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation
from presagio.exporter.publish import Page
from presagio.exporter.signals import configured, named
from presagio.toolkit.positions import parse
from presagio.toolkit.prometheus import Prometheus as Client

sys.path.insert(0, str(Path(__file__).parent.parent / "demo"))
from packages import locate
from servers import Prometheus, backfill, openmetrics

BEGIN = 1_700_000_000.0
SIGNALS = ("latency", "errors", "memory", "traffic")
STAGES = ("query", "decode", "name", "score", "publish", "serve")


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Add the CPU time spent inside to a stage."""
        begun = time.process_time()
        yield
        self.spent[stage] += time.process_time() - begun


class TimedClient(Client):
    """The exporter's own client, with the wait for the answer apart from its decoding."""

    def __init__(self, config: Any, watch: Stopwatch) -> None:
        super().__init__(config)
        self.watch = watch

    def _post(self, url: str, form: Any) -> Any:
        with self.watch.on("query"):
            return super()._post(url, form)


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    binary, promtool = locate("prometheus", "system"), locate("promtool", "system")
    if binary is None or promtool is None:
        print("the benchmark needs Prometheus and promtool; `make servers` gets them", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        backfill(promtool, openmetrics(_fleet(arguments)), work / "data")
        with Prometheus(binary, work) as server:
            result = _measure(server.url, arguments)
    _print(result, arguments)
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _fleet(arguments: argparse.Namespace) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    rng = np.random.default_rng(0)
    for row in range(arguments.series // len(SIGNALS)):
        for signal in SIGNALS:
            labels = f'namespace="shop",deployment="service-{row}",pod="service-{row}-0",le="ignored"'
            values = rng.lognormal(3, 0.3, arguments.rounds + 1)
            points = [(BEGIN + step * arguments.interval, float(value)) for step, value in enumerate(values)]
            yield f"{signal}{{{labels}}}", points


def _config(url: str, interval: int) -> ExporterConfig:
    text = {
        "prometheus": {"url": url},
        "evaluation": {"interval": f"{interval}s", "control": ""},
        "warm_start": {"lookback": "0"},
        "services": {"id": "{namespace}/{deployment}"},
        "signals": [{"name": name, "query": name} for name in SIGNALS],
    }
    return FILE.validate(parse(json.dumps(text), json=True), "benchmark")


def _measure(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    config, watch = _config(url, arguments.interval), Stopwatch()
    registry = CollectorRegistry()
    client = TimedClient(config.prometheus, watch)
    parts = wiring.evaluations(config, client, wiring.timing(config), registry)
    page = Page(configured(config), config.outputs, 300)
    results: dict[str, Scores] = {}
    begun = 0.0
    first = float(np.ceil(BEGIN / arguments.interval) * arguments.interval)
    for step in range(arguments.rounds):
        if step == 1:  # the first round makes rows and label strings, which happens once
            watch.spent = dict.fromkeys(STAGES, 0.0)
            begun = time.process_time()
        _round(parts, client, page, results, watch, first + step * arguments.interval)
    total = time.process_time() - begun
    rounds = arguments.rounds - 1
    shares = {stage: spent / rounds / arguments.interval for stage, spent in watch.spent.items()}
    return {
        "series": sum(len(part.engine.keys) for part in parts),
        "share_of_a_core": total / rounds / arguments.interval,
        "share_by_stage": shares,
        "page_baseline_ratio": _client_page(results, page) if results else None,
        "page_bytes": len(page.text(first + arguments.rounds * arguments.interval)),
    }


def _round(
    parts: Sequence[Evaluation], client: TimedClient, page: Page, results: dict[str, Scores],
    watch: Stopwatch, now: float,
) -> None:  # fmt: skip
    for part in parts:
        posted = watch.spent["query"]
        with watch.on("decode"):
            answer = client.instant(part.signal.query, now)
        watch.spent["decode"] -= watch.spent["query"] - posted
        with watch.on("name"):
            found = named(part.naming, answer)
            rows = part.engine.rows(found.keys, len(found.keys))
        with watch.on("score"):
            results[part.signal.name] = part.engine.step(now, rows, answer.values[found.rows])
    with watch.on("publish"):
        page.publish(results, now)
    with watch.on("serve"):
        gzip.compress(page.text(now), compresslevel=1)


def _client_page(results: dict[str, Scores], page: Page) -> float:
    """Return how many times as much CPU prometheus_client's own page takes for the same scores."""
    registry = CollectorRegistry()
    gauge = Gauge("presagio_anomaly_score", "score", ["service_id", "signal"], registry=registry)

    def plain() -> None:
        for scores in results.values():
            for key, score in zip(scores.keys, scores.score.tolist(), strict=True):
                gauge.labels(key.service_id, key.signal).set(score)
        generate_latest(registry)

    now = max(scores.time for scores in results.values())
    # ours renders six metrics for each series, the plain one a single one
    return 6 * _cpu(plain) / _cpu(lambda: page.publish(results, now))


def _cpu(work: Callable[[], None], times: int = 5) -> float:
    work()
    begun = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - begun


def _print(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    total = result["share_of_a_core"]
    print(f"{result['series']} series each {arguments.interval} s: {total:.2%} of a core")
    for stage, share in result["share_by_stage"].items():
        print(f"  {stage:<8} {share:7.3%} of a core, {share / total:4.0%} of the total")
    print(
        f"page of {result['page_bytes']} bytes; prometheus_client's own takes {result['page_baseline_ratio']:.1f} x"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measure what scoring costs")
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--interval", type=int, default=15, help="seconds")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, help="also write the result as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
