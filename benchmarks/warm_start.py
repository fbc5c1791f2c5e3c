"""What a warm start takes: two weeks of history for a fleet of series, from the start of the exporter to ready.

    python benchmarks/warm_start.py [--series 2000] [--signals 8] [--days 14]

A real Prometheus holds the history: a sample each 60 s in the last seven hours, and each 5 min before, which is as
often as the exporter asks there. The exporter runs as users run it, by its defaults. CPU is each process's own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "demo"))
from packages import locate
from servers import Process, Prometheus, answers_http, backfill, free_port, openmetrics

DAY, COARSE, FINE = 86_400, 300, 60
DENSE = 7 * 3600
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    binary, promtool = locate("prometheus", "forky"), locate("promtool", "forky")
    if binary is None or promtool is None:
        print("the benchmark needs Prometheus and promtool; `make servers` gets them", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        begun = time.monotonic()
        now = int(time.time())
        for day in range(arguments.days):
            backfill(promtool, openmetrics(_fleet(arguments, now - (arguments.days - day) * DAY, now)), work / "data")
        print(f"blocks written in {time.monotonic() - begun:.0f} s", flush=True)
        two_hours = [f"--storage.tsdb.{one}-block-duration=2h" for one in ("min", "max")]  # nothing is compacted
        with Prometheus(binary, work, flags=two_hours) as server:
            _measure(server, work, arguments)
    return 0


def _fleet(arguments: argparse.Namespace, first: int, now: int) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    times = np.arange(first // FINE * FINE, min(first + DAY, now) // FINE * FINE, FINE)
    times = times[(times % COARSE == 0) | (times > now - DENSE)]
    rng = np.random.default_rng(first)
    for row in range(arguments.series):
        values = (100 + 20 * np.sin(times / DAY * 2 * np.pi)) * rng.lognormal(0, 0.1, len(times))
        labels = f'service_id="service-{row // arguments.signals}"'
        name = f"signal_{row % arguments.signals}{{{labels}}}"
        yield name, list(zip(times.tolist(), values.tolist(), strict=True))


def _measure(server: Prometheus, work: Path, arguments: argparse.Namespace) -> None:
    port = free_port()
    signals = [{"name": f"signal_{one}", "query": f"signal_{one}"} for one in range(arguments.signals)]
    warm = {"lookback": f"{arguments.days}d"}
    evaluation = {"control": ""}
    config = {"prometheus": {"url": server.url}, "evaluation": evaluation, "warm_start": warm, "signals": signals}
    (work / "exporter.yml").write_text(json.dumps(config))
    url = f"http://127.0.0.1:{port}"
    argv: list[str | Path] = [
        Path(sys.executable).parent / "presagio", "exporter", f"--config.file={work / 'exporter.yml'}",
        f"--storage.path={work / 'state'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    before, begun = _cpu(server.pid), time.monotonic()
    with Process(argv, work, name="exporter", ready=answers_http(f"{url}/-/ready"), deadline=900) as exporter:
        seconds = time.monotonic() - begun
        workers = _family(exporter.pid)
        cpu, peak = sum(map(_cpu, workers)), sum(map(_peak, workers))
        print(f"ready after {seconds:.0f} s; CPU: exporter {cpu:.0f} s, prometheus {_cpu(server.pid) - before:.0f} s")
        print(f"peak memory of the exporter: {peak / 1024:.0f} MiB")
        with urllib.request.urlopen(f"{url}/metrics") as page:  # noqa: S310 - the loopback
            lines = page.read().decode().splitlines()
        scored = sum(_value(one) for one in lines if "evaluation_duration_seconds_sum" in one and '"score"' in one)
        print(f"scoring: {scored:.0f} s, summed over threads that wait for each other")
        print("\n".join(one for one in exporter.output().splitlines() if "reading history" in one or "ready" in one))


def _value(line: str) -> float:
    return float(line.rpartition(" ")[2])


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measure a warm start")
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--signals", type=int, default=8, help="queries that the series are spread over")
    parser.add_argument("--days", type=int, default=14)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
