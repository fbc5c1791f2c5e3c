"""VictoriaMetrics as it stands in a cluster: it scrapes, the exporter reads from it; its answers to our presets."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import binary
from pages import served
from preset_answers import Answers, answers, settled
from servers import (
    NodeExporter,
    Process,
    Prometheus,
    Queryable,
    VictoriaMetrics,
    answers_http,
    free_port,
    scrape,
    wait_until,
)

from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.presets import catalogue
from presagio.exporter.signals import configured
from presagio.toolkit.prometheus import Prometheus as Client
from presagio.toolkit.prometheus_config import Kind, PrometheusConfig

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "kubernetes"

CONFIG = """
prometheus: {{url: {url}, kind: victoria-metrics}}
evaluation: {{interval: 1s, delay: 2s, stale_after: 6s}}
warm_start: {{lookback: 10m}}
signals:
  - {{name: memory, query: 'process_resident_memory_bytes{{job="victoria"}}', service_id: "{{job}}"}}
  - {{name: queries, query: 'rate(vm_http_requests_total[5s])', service_id: "{{job}}{{path}}"}}
"""


@pytest.fixture(scope="module")
def both(
    victoria_metrics_binary: Path, node_exporter_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Queryable, Queryable]]:
    """Return VictoriaMetrics and Prometheus that scrape the same machine and the same pages of a cluster."""
    folder = tmp_path_factory.mktemp("both")
    files = {name: DATA / f"{name}.txt" for name in ("cadvisor", "kubelet", "kube-state-metrics")}
    with served(*files.values()) as address, NodeExporter(node_exporter_binary, folder / "node") as node:
        jobs = [scrape(name, address[file], honor_labels=True) for name, file in files.items()]
        jobs.append(scrape("node", node.address))
        with (
            VictoriaMetrics(victoria_metrics_binary, folder / "victoria", jobs) as victoria,
            Prometheus(binary("prometheus", "forky"), folder / "prometheus", jobs) as prometheus,
        ):
            yield victoria, prometheus


def rows(found: Answers) -> dict[tuple[str, str, tuple[tuple[str, str], ...]], float]:
    return {
        (signal, one.service_id, tuple(sorted(one.labels.items()))): one.value
        for signal, series in found.items()
        for one in series
    }


def test_the_gauges_of_a_cluster_are_those_that_prometheus_has(both: tuple[Queryable, Queryable]) -> None:
    victoria, prometheus = (rows(settled(one, "kubernetes")) for one in both)
    assert victoria.keys() == prometheus.keys()
    moving = ("kubernetes_cpu", "kubernetes_network", "kubernetes_restarts")
    steady = {row: value for row, value in prometheus.items() if not row[0].startswith(moving)}
    assert len(steady) > 10
    assert {row: victoria[row] for row in steady} == pytest.approx(steady)
    rates = {row: value for row, value in prometheus.items() if row[0].startswith(moving[:2])}
    assert {row: victoria[row] for row in rates} == pytest.approx(rates, rel=0.3)


def test_the_signals_of_a_machine_have_the_rows_that_prometheus_has(both: tuple[Queryable, Queryable]) -> None:
    for one in both:
        one.wait_for("min(count_over_time(up[1m])) > 10")

    def same() -> bool:
        victoria, prometheus = (rows(answers(one, "node")) for one in both)
        return bool(prometheus) and victoria.keys() == prometheus.keys()

    # a disk that comes to rest between the two questions has no latency
    wait_until(same, "same rows")


@pytest.mark.parametrize("preset", catalogue.names())
def test_every_query_of_every_preset_is_one_that_it_understands(
    both: tuple[Queryable, Queryable], preset: str
) -> None:
    """Now and in a range; whether there are series is not asked here."""
    client = Client(PrometheusConfig(url=both[0].url, kind=Kind.VICTORIA_METRICS))
    signals = configured(ExporterConfig(presets=[preset]))
    assert len(signals) > 3
    for signal in signals:
        client.instant(signal.query, 1_700_000_000.0)
        client.range(signal.query, 1_700_000_000.0, 1_700_000_600.0, 60.0)


def test_the_exporter_reads_from_it_and_its_scores_come_back(victoria_metrics_binary: Path, workdir: Path) -> None:
    own, port = free_port(), free_port()
    jobs = [scrape("victoria", f"127.0.0.1:{own}"), scrape("presagio", f"127.0.0.1:{port}", honor_labels=True)]
    with VictoriaMetrics(victoria_metrics_binary, workdir / "victoria", jobs, port=own) as victoria:
        victoria.wait_for("count_over_time(process_resident_memory_bytes[1m]) > 5")
        config = workdir / "exporter.yml"
        config.write_text(CONFIG.format(url=victoria.url))
        assert FILE.load(config).prometheus.kind is Kind.VICTORIA_METRICS
        argv: list[str | Path] = [
            Path(sys.executable).with_name("presagio"), "exporter", f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={workdir / 'data'}",
        ]  # fmt: skip
        ready = answers_http(f"http://127.0.0.1:{port}/-/ready")
        with Process(argv, workdir, name="exporter", ready=ready):
            for signal in ("memory", "queries"):
                victoria.wait_for(f'presagio_anomaly_score{{signal="{signal}"}}')
            victoria.wait_for('time() - presagio_last_evaluation_timestamp_seconds{signal="memory"} < 10')
            assert victoria.query("presagio_evaluation_failures_total > 0") == []


def test_vmalert_understands_the_rules(vmalert: Path) -> None:
    words = [f"-rule={file}" for file in sorted((ROOT / "rules").glob("presagio.*.yml"))]
    assert len(words) == 3
    answer = subprocess.run([vmalert, "-dryRun", *words], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
