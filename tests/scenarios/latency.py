"""High latency in Kubernetes: replicas help where customers queue, and do not where all wait for somebody else."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from scenarios.case import Case, Entry, anomaly, policy
from scenarios.cluster import Cluster, Customers

USUAL, RUSH = 3, 27


class HighLatency(Case):
    """Seen as an anomaly of the mean duration of requests."""

    name = "high latency"
    helped, unhelped = "search", "catalog"
    signal = "latency"
    actions, useless = ("kubernetes.scale_by",), "kubernetes.scale_by"
    healthy = 'app:shop_request_duration_seconds:mean5s{app=~"search|catalog"} < 0.15'
    failing = 'app:shop_request_duration_seconds:mean5s{app=~"search|catalog"} > 0.2'

    def __init__(self, cluster: Cluster, stack: contextlib.ExitStack) -> None:
        self.cluster = cluster
        cluster.deploy(self.helped, self.unhelped)
        self.customers = {
            name: stack.enter_context(Customers(cluster.kubelet, name)) for name in (self.helped, self.unhelped)
        }
        for some in self.customers.values():
            some.come(USUAL)

    def jobs(self) -> Sequence[Entry]:
        """Return nothing: the pods are scraped in any case."""
        return ()

    def rules(self) -> Sequence[Entry]:
        """Return the mean duration of requests."""
        took, came = (f"sum by (app) (rate(shop_request_duration_seconds_{part}[5s]))" for part in ("sum", "count"))
        return [{"record": "app:shop_request_duration_seconds:mean5s", "expr": f"{took} / {came}"}]

    def signals(self) -> Sequence[Entry]:
        """Return the mean duration of requests."""
        query = "app:shop_request_duration_seconds:mean5s"
        return [{"name": self.signal, "query": query, "unit": "seconds", "dead_band": {"absolute": 0.05}}]

    def policies(self) -> Sequence[Entry]:
        """Return: three more replicas, for both."""
        mean = 'app:shop_request_duration_seconds:mean5s{app="${service_id}"}'
        more = {"kubernetes.scale_by": {"deployment": "${service_id}", "by": 3, "max": 4}}
        known = anomaly(self.signal)
        return [
            policy(f"scale-{name}", name, known, f"{mean} > 0.2", [more], f"{mean} < 0.15")
            for name in (self.helped, self.unhelped)
        ]

    def fail(self) -> None:
        """Let a crowd come to the one; make the other wait for somebody else."""
        self.customers[self.helped].come(RUSH)
        self.cluster.slow(self.unhelped).touch()

    def is_undone(self) -> bool:
        """Tell whether there are as many replicas as before."""
        return self.cluster.replicas(self.unhelped) == 1
