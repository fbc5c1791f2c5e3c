"""A pod of the chart without a kubelet: its container's own words run here, with the files of its volumes."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import requests
import yaml
from chart_cluster import Cluster
from helm_chart import NAMESPACE, Object, container_of, mounted, pod_of
from servers import Process, free_port

PRESAGIO = Path(sys.executable).with_name("presagio")
PORTS = {"exporter": 8000, "webhook": 3001}

Secrets = Mapping[str, Mapping[str, str]]
"""Of each Secret, its keys."""


class Pod(Process):
    """`presagio` with the words of a container; ready when its readiness probe says so."""

    def __init__(
        self, objects: list[Object], component: str, folder: Path, name: str, secrets: Secrets | None = None
    ) -> None:
        self.port, self.component = free_port(), component
        self.container = container_of(objects, component)
        mounted(objects, component, folder / "etc")
        write_volumes(pod_of(objects, component)["volumes"], secrets or {}, folder)
        self.folder, self.pod_name = folder, name
        argv: list[str | Path] = [PRESAGIO, *map(self.here, self.container["args"])]
        super().__init__(argv, folder, name=component, ready=lambda _: self.probe("readiness"))

    @property
    def url(self) -> str:
        """Where the kubelet asks."""
        uses_tls = any(word == "--insecure" for word in self.probed("readiness")) or self.scheme == "HTTPS"
        return f"{'https' if uses_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def scheme(self) -> str:
        return str(self.container["readinessProbe"].get("httpGet", {}).get("scheme", "HTTP"))

    def here(self, word: str) -> str:
        """Return a word of the container with this machine's paths and ports."""
        word = word.replace("=/data", f"={self.folder / 'data'}").replace("$(POD_NAME)", self.pod_name)
        port = PORTS[self.component]
        word = word.replace(f"=:{port}", f"=127.0.0.1:{self.port}").replace(f":{port}/", f":{self.port}/")
        return located(word, self.folder)

    def probed(self, name: str) -> list[str]:
        """Return the command of a probe, nothing for one of the kubelet's own."""
        return list(self.container[f"{name}Probe"].get("exec", {}).get("command", ()))

    def probe(self, name: str) -> bool:
        """Probe as the kubelet does: it believes any certificate."""
        command = self.probed(name)
        if command:
            return presagio(*map(self.here, command[1:])).returncode == 0
        path = self.container[f"{name}Probe"]["httpGet"]["path"]
        try:
            return requests.get(f"{self.url}{path}", timeout=5, verify=False).status_code < 400
        except requests.exceptions.ConnectionError:
            return False

    def page(self) -> str:
        return requests.get(f"{self.url}/metrics", timeout=5).text


def located(word: str, folder: Path) -> str:
    """Return a word with the places of volumes in `folder`, the longest first."""
    for place, name in (("-web", "web"), ("-client", "client"), ("", "etc")):
        word = word.replace(f"/etc/presagio{place}", str(folder / name))
    return word


def write_volumes(volumes: Iterable[Object], secrets: Secrets, folder: Path) -> None:
    """Write what volumes with Secrets hold, but that of the configuration: `web` and `client`."""
    for volume in volumes:
        place = folder / volume["name"].rpartition("-")[2]
        if "secret" in volume:
            _write(place, secrets[volume["secret"]["secretName"]])
        elif volume["name"] != "config" and "projected" in volume:
            for source in (one for each in volume["projected"]["sources"] for one in each.values()):
                _write(place, {item["path"]: secrets[source["name"]][item["key"]] for item in source["items"]})


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def presagio(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PRESAGIO, *words], capture_output=True, text=True, check=False, timeout=60)


def self_test(cluster: Cluster, release: str, running: Mapping[str, Pod], secrets: Secrets | None = None) -> None:
    """Run what the containers of the test's pod run, each against the server that it asks."""
    [pod] = list(yaml.safe_load_all(cluster.helm("get", "hooks", release)))
    by_name = {one["name"]: one for one in pod["spec"]["containers"]}
    for component, server in running.items():
        folder = server.folder / "test"
        own = [one for one in pod["spec"]["volumes"] if one["name"] == f"{component}-client"]
        write_volumes(own, secrets or {}, folder)
        *words, url = by_name[f"{component}-answers"]["args"]
        scheme = server.url.partition(":")[0]
        assert url == f"{scheme}://{release}-{component}.{NAMESPACE}:{PORTS[component]}/metrics"
        words = [located(word, folder) for word in words]
        answer = presagio(*words, f"{server.url}/metrics")
        assert answer.returncode == 0, answer.stderr
        assert presagio(*words, f"{server.url}/nothing").returncode == 1
        words = by_name[f"{component}-configuration"]["args"]
        assert words[1:] == [f"/etc/presagio/{component}.yml"]
        assert presagio(words[0], str(server.folder / "etc" / f"{component}.yml")).returncode == 0
