"""Dockerfile and docker-compose.yml, run: the build's own commands, then every service's own command line together.

There is no engine. containers.py gives each service what an engine would: its mounts at their paths, its user, a
read-only root, no capabilities, its ports; the servers are the real ones, of both generations. Grafana is not run.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import containers
import pytest
import yaml
from absence import absent
from compose_file import DEVELOPERS, NOT_RUN, PAGE, ROOT, USUAL, block, images, resolved
from conftest import binary
from containers import Project
from dockerfile import context, stages
from servers import ServerError, wait_until

pytestmark = pytest.mark.timeout(600)

BROUGHT = {
    # Debian's base has them: libc6, libstdc++6, libgcc-s1, zlib1g
    "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "libstdc++.so.6",
    "libgcc_s.so.1", "libz.so.1", "libresolv.so.2", "linux-vdso.so.1",
}  # fmt: skip
PACKAGES = {"libgomp1": "libgomp.so.1"}
"""Which library each package of the Dockerfile brings."""


def required(name: str, is_there: bool) -> None:
    """Skip without what a test needs; in CI fail."""
    if is_there:
        return
    absent(name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the build stage of the Dockerfile with what .dockerignore lets pass; return the folder of what it made."""
    required("namespaces cannot be made here: it takes root, or a kernel that lets users", containers.may_run())
    folder = tmp_path_factory.mktemp("image")
    for file in context(ROOT):
        (folder / "src" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / "src" / file)
    stage = stages(ROOT / "Dockerfile")[0]
    places = {"src": "/src", "wheels": "/wheels", "environment": "/opt/presagio"}
    for name in places:
        (folder / name).mkdir(exist_ok=True)
    mounts = tuple((folder / name, target, False) for name, target in places.items())
    [commands] = stage.all("RUN")
    try:
        containers.build(commands, stage.env, (*containers.python_mounts(folder / "python"), *mounts), {}, folder)
    except ServerError as error:
        offline = re.search(r"name resolution|Network is unreachable|Name or service not known", str(error))
        required(f"the package index cannot be reached: {error}", not offline)
        raise
    return folder


@pytest.fixture(scope="module")
def project(built: Path, generation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    yield from started(USUAL, built, generation, tmp_path_factory.mktemp("project"))


def started(
    files: tuple[str, ...],
    built: Path,
    generation: str,
    folder: Path,
    without: tuple[str, ...] = NOT_RUN,
    config: dict[str, Any] | None = None,
) -> Iterator[Project]:
    made = images(built / "environment", built / "python", lambda name: binary(name, generation))
    with Project(config or resolved(files), made, folder, without) as running:
        yield running


def get(project: Project, url: str) -> Any:
    """Return what a published port answers to this machine."""
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).read().decode())"
    answer = project.on_machine([sys.executable, "-c", code])
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def query(project: Project, expr: str) -> list[Any]:
    found: list[Any] = get(project, f"http://localhost:9090/api/v1/query?query={expr}")["data"]["result"]
    return found


# The image


def test_the_wheel_of_the_image_holds_every_file_of_every_package(built: Path) -> None:
    [wheel] = (built / "wheels").glob("presagio-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    packaged = {file.parent for file in context(ROOT) if file.name == "__init__.py"} - {Path()}
    wanted = {f"presagio/{file}" for file in context(ROOT) if packaged & set(file.parents)}
    assert wanted
    assert sorted(wanted - inside) == []


def test_no_tool_that_installs_is_in_the_image(built: Path) -> None:
    assert not list((built / "environment").rglob("site-packages/pip*"))
    assert (built / "environment/bin/presagio").exists()


def test_the_image_brings_every_library_that_its_wheels_need(built: Path) -> None:
    files = sorted((built / "environment").rglob("*.so*"))
    answer = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    lines = re.findall(r"^\t(\S+) => (\S+)", answer.stdout, re.MULTILINE)
    outside = {name for name, place in lines if not place.startswith(str(built))}
    runs = " ".join(stages(ROOT / "Dockerfile")[-1].all("RUN"))
    installed = {library for package, library in PACKAGES.items() if package in runs.split()}
    own = {path.name for path in files}
    assert outside >= {"libc.so.6", "libgomp.so.1"}
    assert sorted(outside - BROUGHT - installed - own) == []


# The services


def test_every_service_is_healthy_by_its_own_check(project: Project) -> None:
    for name in project.services:
        assert name == "keys" or project.is_healthy(name), project.containers[name].log_tail()


def test_a_health_check_fails_where_nobody_answers(project: Project) -> None:
    exporter = project.containers["exporter"]
    answer = exporter.execute(["presagio", "healthcheck", "http://localhost:9/-/healthy"])
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("not healthy: http://localhost:9/-/healthy: [Errno 111]")
    assert exporter.execute(["presagio", "healthcheck", "http://localhost:8000/-/nothing"]).returncode == 1
    # what the image itself declares finds whichever server runs
    assert exporter.execute(project.image_of("exporter").health).returncode == 0


def test_nobody_is_root_or_could_become_it(project: Project) -> None:
    for name, container in project.containers.items():
        if name == "keys":
            continue
        status = Path(f"/proc/{container.first}/status").read_text()
        told = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
        assert told["Uid"].split() == ["65534"] * 4, name
        assert told["Groups"].strip() == "", name
        assert {told[each] for each in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}, name
        assert told["NoNewPrivs"] == "1", name


def test_nothing_can_be_written_but_data_and_tmp(project: Project) -> None:
    for name, container in project.containers.items():
        if name == "keys":
            continue
        for place in ("/x", "/etc/x", "/opt/x", "/usr/x"):
            refused = container.execute(["/bin/sh", "-c", f": > {place}"])
            assert refused.returncode != 0, (name, place)
        assert container.execute(["/bin/sh", "-c", ": > /tmp/x"]).returncode == 0, name
    refused = project.containers["exporter"].execute(["/bin/sh", "-c", ": > /x"])
    assert "Read-only file system" in refused.stderr


def test_prometheus_scrapes_all_targets(project: Project) -> None:
    def all_up() -> bool:
        active = get(project, "http://localhost:9090/api/v1/targets")["data"]["activeTargets"]
        if len(active) < 6:  # it has only just begun
            return False
        assert {target["labels"]["job"] for target in active} == {"presagio", "shop", "prometheus", "alertmanager"}
        assert len(active) == 6
        return all(target["health"] == "up" for target in active)

    wait_until(all_up, "targets that are up")


def test_prometheus_has_all_rules_and_knows_alertmanager(project: Project) -> None:
    groups = get(project, "http://localhost:9090/api/v1/rules")["data"]["groups"]
    files = {Path(group["file"]).name for group in groups}
    assert files == {path.name for path in (ROOT / "rules").glob("presagio.*.yml")}
    known = get(project, "http://localhost:9090/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [each["url"] for each in known] == ["http://alertmanager:9093/api/v2/alerts"]


def test_the_demo_services_are_scored(project: Project) -> None:
    wanted = 'presagio_anomaly_score{job="shop",signal="memory"}'
    found = wait_until(lambda: query(project, wanted), "scores of the demo services", 60)
    assert {series["metric"]["service_id"] for series in found} <= {"checkout", "search"}


# The page


def commands(heading: str) -> list[str]:
    """Return the commands of the code below a heading of docs/compose.md, a continued line as one."""
    below = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert below, f"docs/compose.md has no heading {heading!r}"
    blocks = re.findall(r"^```sh\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\\\n\s*", "", "".join(blocks)).splitlines()
    return [line.partition("    #")[0].strip() for line in lines]


def run(project: Project, line: str) -> str:
    """Run a line of the page as a person would, and return what it prints."""
    words = shlex.split(line)
    if words[:3] == ["docker", "compose", "exec"]:
        answer = project.containers[words[3]].execute(words[4:])
    else:
        assert words[0] == "curl", line
        required("curl is not on this machine; apt-get install curl", shutil.which("curl") is not None)
        answer = project.on_machine(["curl", "--silent", "--show-error", "--fail-with-body", *words[1:]])
    assert answer.returncode == 0, f"{line}\n{answer.stdout}{answer.stderr}"
    return answer.stdout


def test_every_curl_line_of_the_page_is_answered(project: Project) -> None:
    lines = commands("The API")
    assert len(lines) >= 5
    assert all("X-API-Key: test_key" in line for line in lines)
    for line in lines:
        assert run(project, line), line


def test_another_key_is_refused(project: Project) -> None:
    for line in commands("The API"):
        words = shlex.split(line.replace("test_key", "another_key"))
        answer = project.on_machine([*words, "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"])
        assert answer.stdout == "401", line


def test_an_alert_by_hand_goes_through_alertmanager_and_the_webhook_into_the_ledger(project: Project) -> None:
    alert, listing, show, verify = commands("An alert by hand")
    run(project, alert)
    wait_until(lambda: "closed" in run(project, listing), "remediation in the ledger")
    assert "dry run: would have done this: run echo 'hello, checkout'" in run(project, show)
    assert "whole" in run(project, verify)
    sent = wait_until(
        lambda: query(project, 'alertmanager_notifications_total{integration="webhook"}>0'), "notification", 30
    )
    assert sent
    failed = query(project, 'sum(alertmanager_notifications_failed_total{integration="webhook"})')
    assert failed[0]["value"][1] == "0"


def test_a_service_that_is_told_to_restart_ends_with_0_and_answers_first(project: Project) -> None:
    container = project.containers["search"]
    assert run(project, "curl -X POST localhost:8082/restart") == "as you wish\n"
    assert container.exit_code() == 0
    container.kill9()
    container.start()
    wait_until(lambda: project.is_healthy("search"), "search again")


# Developers' file: the code of the folder instead of the image's


@pytest.mark.servers
def test_developers_run_the_code_of_their_folder_and_it_ends_when_it_is_told_to(built: Path, tmp_path: Path) -> None:
    others = (*NOT_RUN, "alertmanager", "checkout", "search")
    for running in started(DEVELOPERS, built, "forky", tmp_path, without=others):
        for name in ("exporter", "webhook"):
            container = running.containers[name]
            where = container.execute(["python", "-c", "import presagio; print(presagio.__file__)"])
            assert where.stdout == "/source/presagio/__init__.py\n"
            assert "level=debug" in container.log.read_text()
            # as process 1, which no signal ends that it does not listen to
            container.stop(grace=30)
            assert "stopping" in container.log.read_text()


# TLS and users, as the page says


@pytest.fixture
def secured(built: Path, generation: str, tmp_path: Path) -> Iterator[Project]:
    """The project with a copy of deploy/compose that is changed as the page says, without the demo services."""
    deploy, override = tmp_path / "deploy", tmp_path / "override.yml"
    shutil.copytree(ROOT / "deploy" / "compose", deploy)
    (deploy / "tls").mkdir()
    certificate(deploy / "tls")
    users(deploy / "tls")
    changed(deploy / "prometheus/prometheus.yml", "scrape_configs", 0, block("prometheus.yml: job presagio"))
    hook = {"webhook_configs": [block("alertmanager.yml: webhook of the receiver presagio")]}
    changed(deploy / "alertmanager/alertmanager.yml", "receivers", 1, hook)
    changed(deploy / "presagio/webhook.yml", "api", None, block("webhook.yml: api"))
    override.write_text(yaml.safe_dump(block("docker-compose.override.yml")))
    for path in (tmp_path, *deploy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    merged = json.dumps(resolved((*USUAL, str(override))))
    config = json.loads(merged.replace(str(ROOT / "deploy" / "compose"), str(deploy)))
    yield from started(USUAL, built, generation, tmp_path / "run", (*NOT_RUN, "checkout", "search"), config)


def certificate(folder: Path) -> None:
    """Make what the page makes, by its own command."""
    required("openssl is not on this machine; apt-get install openssl", shutil.which("openssl") is not None)
    [line] = [line for line in commands("TLS and users") if line.startswith("openssl req")]
    argv = shlex.split(line.replace("deploy/compose/tls", str(folder)))
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def users(folder: Path) -> None:
    """Write the page's user, with a password that is known here."""
    web = block("tls/web.yml")
    word = bcrypt.hashpw(b"1234", bcrypt.gensalt(4)).decode()
    web["basic_auth_users"] = dict.fromkeys(web["basic_auth_users"], word)
    (folder / "user.password").write_text("1234\n")
    (folder / "web.yml").write_text(yaml.safe_dump(web))


def changed(path: Path, key: str, index: int | None, change: dict[str, Any]) -> None:
    """Change what stands in a file of YAML below a key, in a list at an index."""
    content = yaml.safe_load(path.read_text())
    (content[key] if index is None else content[key][index]).update(change)
    path.write_text(yaml.safe_dump(content))


# of one generation: how we speak to each is tested above
@pytest.mark.servers
@pytest.mark.parametrize("generation", ["forky"], indirect=True)
def test_with_the_files_of_the_page_all_speak_tls_and_are_known(secured: Project) -> None:
    for name in ("exporter", "webhook"):
        assert secured.is_healthy(name)
        # the check that docker-compose.yml has by itself
        usual = resolved()["services"][name]["healthcheck"]["test"][1:]
        assert secured.containers[name].execute(usual).returncode == 1
    wait_until(lambda: len(query(secured, 'up{job="presagio"}==1')) == 2, "scrapes of both servers")
    alert, *_ = commands("An alert by hand")
    run(secured, alert)
    sent = 'alertmanager_notifications_total{integration="webhook"}>0'
    wait_until(lambda: query(secured, sent), "notification", 30)
    failed = query(secured, 'sum(alertmanager_notifications_failed_total{integration="webhook"})')
    assert failed[0]["value"][1] == "0"
