"""The presets node, kubernetes and http: every query against a real Prometheus, its values known beforehand."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import served
from preset_answers import Answers, Series, answers, names, sensible, settled
from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from servers import NodeExporter, Prometheus, scrape

DATA = Path(__file__).parents[1] / "data" / "kubernetes"

# node

REAL = 'node_filesystem_size_bytes{fstype!~"|tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|nfs.*|fuse.*"} > 0'
DISKS = 'node_disk_io_time_seconds_total{device!~"(ram|loop|zram|sr|fd|dm-|md).*"}'
# what not every machine has, and how node_exporter shows that it has it
PERHAPS = {
    "node_memory_pressure": "node_pressure_memory_waiting_seconds_total",
    "node_io_pressure": "node_pressure_io_waiting_seconds_total",
    "node_oom_kills": "node_vmstat_oom_kill",
    "node_swap_rate": "node_vmstat_pswpin",
    "node_filesystem_utilisation": REAL,
    "node_filesystem_inodes_utilisation": "node_filesystem_files > 0",
    "node_filesystem_readonly": REAL,
    "node_disk_utilisation": DISKS,
    "node_disk_latency": "rate(node_disk_writes_completed_total[1m]) > 2",
    "node_network_receive": 'node_network_info{device=~"e.*"}',
    "node_network_transmit": 'node_network_info{device=~"e.*"}',
    "node_network_errors": 'node_network_info{device=~"e.*"}',
    "node_conntrack_utilisation": "node_nf_conntrack_entries_limit",
}
NODE = {
    "node_cpu_utilisation": (0, 1),
    "node_cpu_iowait": (0, 1),
    "node_cpu_steal": (0, 1),
    "node_load_per_cpu": (0, 1000),
    "node_memory_utilisation": (0.001, 1),
    "node_memory_pressure": (0, 1.1),
    "node_swap_rate": (0, 1e6),
    "node_oom_kills": (0, 1000),
    "node_filesystem_utilisation": (0, 1),
    "node_filesystem_inodes_utilisation": (0, 1),
    "node_filesystem_readonly": (0, 1),
    "node_disk_utilisation": (0, 1.1),
    "node_disk_latency": (0, 60),
    "node_io_pressure": (0, 1.1),
    "node_network_receive": (0, 1e11),
    "node_network_transmit": (0, 1e11),
    "node_network_errors": (0, 1e8),
    "node_conntrack_utilisation": (0, 1),
    "node_file_descriptors_utilisation": (0, 1),
    "node_clock_offset": (0, 1e4),
}


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Write to the disk all the time, so that it has a latency."""
    file, over = tmp_path_factory.mktemp("disk") / "file", threading.Event()

    def write() -> None:
        while not over.wait(0.05):
            with file.open("wb") as opened:
                opened.write(os.urandom(100_000))
                opened.flush()
                os.fsync(opened.fileno())

    thread = threading.Thread(target=write)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture(scope="module")
def machine(
    prometheus_binary: Path, node_exporter_binary: Path, tmp_path_factory: pytest.TempPathFactory, writing: None
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("machine")
    with (
        NodeExporter(node_exporter_binary, folder / "node") as node,
        Prometheus(prometheus_binary, folder / "prometheus", [scrape("node", node.address)]) as prometheus,
    ):
        prometheus.wait_for("rate(node_cpu_seconds_total[1m])")
        yield prometheus


def test_every_signal_of_a_machine_is_sensible(machine: Prometheus) -> None:
    assert NODE.keys() == names("node")
    absent = {name for name, evidence in PERHAPS.items() if not machine.query(evidence)}
    found = sensible(machine, "node", NODE, absent)
    [address] = {one.service_id for series in found.values() for one in series}
    assert address.startswith("127.0.0.1:")
    single = {name: series for name, series in found.items() if "filesystem" not in name and "node_disk" not in name}
    assert {name: len(series) for name, series in single.items() if len(series) > 1} == {}


def test_memory_and_file_systems_are_measured_as_the_machine_measures_them(machine: Prometheus) -> None:
    found = answers(machine, "node")
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available, total = (int(fields[name].split()[0]) for name in ("MemAvailable", "MemTotal"))
    assert found["node_memory_utilisation"][0].value == pytest.approx(1 - available / total, abs=0.05)
    for one in found["node_filesystem_utilisation"]:
        disk = os.statvfs(one.labels["mountpoint"])
        assert one.value == pytest.approx(1 - disk.f_bavail / disk.f_blocks, abs=0.02)
    for one in found["node_filesystem_readonly"]:
        assert one.value == bool(os.statvfs(one.labels["mountpoint"]).f_flag & os.ST_RDONLY)


# kubernetes


@pytest.fixture(scope="module")
def cluster(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Serve the recorded pages, scraped as kube-prometheus-stack does it."""
    files = {name: DATA / f"{name}.txt" for name in ("cadvisor", "kubelet", "kube-state-metrics")}
    with served(*files.values()) as address:
        jobs = [scrape(name, address[file], honor_labels=True) for name, file in files.items()]
        # its own pod, which the series' own must overrule
        jobs[2]["static_configs"][0]["labels"] = {"namespace": "monitoring", "pod": "kube-state-metrics-0"}
        with Prometheus(prometheus_binary, tmp_path_factory.mktemp("cluster"), jobs) as prometheus:
            yield prometheus


@pytest.fixture(scope="module")
def workloads(cluster: Prometheus) -> Answers:
    return settled(cluster, "kubernetes")


def by_service(series: list[Series]) -> dict[str, float]:
    assert len({one.service_id for one in series}) == len(series)
    return {one.service_id: one.value for one in series}


EXACT = {
    "kubernetes_memory_utilisation": {"shop/checkout": 0.75, "shop/db": 0.25},
    "kubernetes_memory_working_set": {"shop/checkout": 67108864, "kube-system/agent": 33554432},
    "kubernetes_unavailable_ratio": {"shop/checkout": 0.5, "shop/db": 0, "kube-system/agent": 0.25},
    "kubernetes_volume_utilisation": {"shop/data-db-0": 0.8, "shop/data-db-1": 0.1},
    "kubernetes_volume_inodes_utilisation": {"shop/data-db-0": 0.1, "shop/data-db-1": 0.9},
    "kubernetes_node_ready": {"n1": 1, "n2": 0},
    "kubernetes_node_pressure": {"n1": 0, "n2": 2},
}
RATES = {
    "kubernetes_cpu_usage": {"shop/checkout": 0.6, "shop/db": 0.5, "kube-system/agent": 0.02},
    "kubernetes_cpu_throttling": {"shop/checkout": 0.2, "shop/db": 0.5},
    "kubernetes_network_receive": {"shop/checkout": 3000, "shop/db": 700, "kube-system/agent": 100},
    "kubernetes_network_transmit": {"shop/checkout": 8000, "shop/db": 900, "kube-system/agent": 100},
}


def test_every_signal_of_a_cluster_has_a_known_value() -> None:
    assert {*EXACT, *RATES, "kubernetes_restarts"} == names("kubernetes")


@pytest.mark.parametrize("name", EXACT)
def test_gauges_of_a_cluster(workloads: Answers, name: str) -> None:
    assert by_service(workloads[name]) == pytest.approx(EXACT[name])


@pytest.mark.parametrize("name", RATES)
def test_rates_of_a_cluster(workloads: Answers, name: str) -> None:
    """Pods without a workload, pause containers and the root of the machine count nowhere."""
    assert by_service(workloads[name]) == pytest.approx(RATES[name], rel=0.2)


def test_restarts_are_those_of_the_container_that_restarts(workloads: Answers) -> None:
    restarts = {(one.service_id, one.labels["container"]): one.value for one in workloads["kubernetes_restarts"]}
    assert 0 < restarts.pop(("shop/checkout", "app")) < 10
    assert restarts == {
        ("shop/checkout", "sidecar"): 0,
        ("shop/db", "postgres"): 0,
        ("kube-system/agent", "agent"): 0,
    }


def test_a_workload_keeps_the_labels_by_which_an_action_finds_it(workloads: Answers) -> None:
    labels = {one.service_id: dict(one.labels) for one in workloads["kubernetes_cpu_usage"]}
    assert labels == {
        "shop/checkout": {"namespace": "shop", "deployment": "checkout"},
        "shop/db": {"namespace": "shop", "statefulset": "db"},
        "kube-system/agent": {"namespace": "kube-system", "daemonset": "agent"},
    }
    for series in (workloads["kubernetes_memory_utilisation"], workloads["kubernetes_unavailable_ratio"]):
        assert all(labels[one.service_id].items() <= one.labels.items() for one in series)


# http


class Service:
    """A service that counts its requests by the names of one library: one in four fails, one in ten is slow."""

    def __init__(self, duration: str, requests: str = "", code: str = "status", **more: str) -> None:
        self.registry, self.code, self.more = CollectorRegistry(), code, more
        self.scale = scale = 1000 if "milliseconds" in duration else 1
        names = [code, *more]
        buckets = [scale * bound for bound in (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)]
        self.duration = Histogram(duration, duration, names, registry=self.registry, buckets=buckets)
        # a gauge, since not all call their counter _total
        self.requests = Gauge(requests, requests, names, registry=self.registry) if requests else None

    def serve(self, number: int) -> None:
        labels = {self.code: "503" if number % 4 == 0 else "200", **self.more}
        self.duration.labels(**labels).observe(self.scale * (0.7 if number % 10 == 0 else 0.08))
        if self.requests:
            self.requests.labels(**labels).inc()


ISTIO = {"reporter": "destination", "destination_workload": "web", "destination_workload_namespace": "mesh"}
INGRESS = {"exported_namespace": "edge", "ingress": "web"}
SERVICES = {
    "plain": ("plain", Service("http_request_duration_seconds", "http_requests_total", "code")),
    "fastapi": ("fastapi", Service("http_request_duration_seconds", code="status_code")),
    "spring": ("spring", Service("http_server_requests_seconds")),
    "otel": ("otel", Service("http_server_request_duration_seconds", code="http_response_status_code")),
    "flask": ("flask", Service("flask_http_request_duration_seconds")),
    "nginx": (
        "edge/web",
        Service("nginx_ingress_controller_request_duration_seconds", "nginx_ingress_controller_requests", **INGRESS),
    ),
    "istio": (
        "mesh/web",
        Service("istio_request_duration_milliseconds", "istio_requests_total", "response_code", **ISTIO),
    ),
}
"""By the job that scrapes them, with the service_id that they get."""
HTTP = {
    "http_request_rate": (1, 1000),
    "http_error_ratio": (0.2, 0.3),
    "http_latency_p50": (0.05, 0.1),
    "http_latency_p99": (0.5, 1),
}
"""One in four fails; the median of 0.08 s lies in the bucket up to 0.1 s, the slow 0.7 s in that up to 1 s."""


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Serve the pages of all services, twenty requests a second each."""
    over = threading.Event()
    pages = {job: start_http_server(0, "127.0.0.1", service.registry) for job, (_, service) in SERVICES.items()}

    def work() -> None:
        number = 0
        while not over.wait(0.05):
            for _, service in SERVICES.values():
                service.serve(number)
            number += 1

    worker = threading.Thread(target=work)
    worker.start()
    yield {job: f"127.0.0.1:{server.server_port}" for job, (server, _) in pages.items()}
    over.set()
    for server, thread in pages.values():
        server.shutdown()
        thread.join()
        server.server_close()
    worker.join()


@pytest.fixture(scope="module")
def shops(
    prometheus_binary: Path, addresses: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    jobs = [scrape(job, address) for job, address in addresses.items()]
    with Prometheus(prometheus_binary, tmp_path_factory.mktemp("shops"), jobs) as prometheus:
        yield prometheus


def test_rate_errors_and_duration_by_every_usual_name(shops: Prometheus) -> None:
    found = sensible(shops, "http", HTTP)
    assert HTTP.keys() == names("http")
    expected = sorted(service_id for service_id, _ in SERVICES.values())
    assert {name: sorted(one.service_id for one in series) for name, series in found.items()} == dict.fromkeys(
        HTTP, expected
    )


def test_a_workload_in_a_mesh_keeps_the_labels_by_which_an_action_finds_it(shops: Prometheus) -> None:
    [mesh] = [one for one in settled(shops, "http")["http_request_rate"] if one.service_id == "mesh/web"]
    assert mesh.labels == {"namespace": "mesh", "deployment": "web"}
