"""A memory leak in Kubernetes: a rolling restart heals it, more replicas do not."""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence

from scenarios.case import Case, Entry, anomaly, policy
from scenarios.cluster import Cluster

MOST = 60e6


class MemoryLeak(Case):
    """Seen as an anomaly of the resident memory, long before anything is killed for it."""

    name = "memory leak"
    helped, unhelped = "checkout", "mail"
    signal = "memory"
    actions, useless = ("kubernetes.restart",), "kubernetes.scale_by"
    healthy = f'max by (app) (process_resident_memory_bytes{{app=~"checkout|mail"}}) < {MOST}'
    failing = f'max by (app) (process_resident_memory_bytes{{app=~"checkout|mail"}}) > {MOST}'

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.deploy(self.helped, self.unhelped)

    def jobs(self) -> Sequence[Entry]:
        """Return nothing: the pods are scraped in any case."""
        return ()

    def signals(self) -> Sequence[Entry]:
        """Return the resident memory of the largest pod."""
        query = f'max by (app) (process_resident_memory_bytes{{app=~"{self.both}"}})'
        return [{"name": self.signal, "query": query, "unit": "bytes", "dead_band": {"relative": 0.25}}]

    def policies(self) -> Sequence[Entry]:
        """Return: restart, pod by pod; one more replica."""
        used = 'max by (app) (process_resident_memory_bytes{app="${service_id}"})'
        restart = {"kubernetes.restart": {"deployment": "${service_id}"}}
        more = {"kubernetes.scale_by": {"deployment": "${service_id}", "by": 1}}
        known = anomaly(self.signal)
        return [
            policy("restart-leaking", self.helped, known, f"{used} > {MOST}", [restart], f"{used} < {MOST}"),
            policy("scale-leaking", self.unhelped, known, f"{used} > {MOST}", [more], f"{used} < {MOST}"),
        ]

    def fail(self) -> None:
        """Begin to leak."""
        for name in (self.helped, self.unhelped):
            for url in self.cluster.kubelet.urls(name):
                urllib.request.urlopen(f"{url}/leak", b"", timeout=5).close()

    def is_undone(self) -> bool:
        """Tell whether there are as many replicas as before."""
        return self.cluster.replicas(self.unhelped) == 1
