"""Dockerfile, docker-compose.yml and what it mounts, read: what can be said of them without running anything."""

import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_file import DEVELOPERS, ROOT, USUAL, block, compose, resolved
from dockerfile import context, stages
from packages import locate, version

from presagio.exporter.config import FILE as EXPORTER
from presagio.toolkit.cli import _parser
from presagio.webhook.config import FILE as WEBHOOK
from presagio.webhook.policy import Mode

DEPLOY = ROOT / "deploy" / "compose"
PORTS = {"exporter": 8000, "webhook": 3001, "grafana": 3000, "prometheus": 9090, "alertmanager": 9093}
TEXT = (ROOT / "Dockerfile").read_text()
BUILD, FINAL = stages(ROOT / "Dockerfile")
EITHER = pytest.mark.parametrize("files", [USUAL, DEVELOPERS], ids=["usual", "developers"])


# The image


def test_the_version_stands_in_setup_cfg_alone() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    own = config["metadata"]["version"]
    files = [ROOT / name for name in ("Dockerfile", *DEVELOPERS, ".env.example", "Makefile")]
    assert [path.name for path in files if own in path.read_text()] == []
    argv = ["make", "--no-print-directory", "--dry-run", "image"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"--tag presagio:{own} " in told
    assert f"--label org.opencontainers.image.version={own} " in told


def test_both_stages_begin_from_one_pinned_python() -> None:
    assert BUILD.base == FINAL.base
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", FINAL.base)


def test_the_user_is_a_number_and_not_root() -> None:
    assert FINAL.last("USER") == "65534:65534"
    assert FINAL.instructions.index(("USER", "65534:65534")) > max(
        index for index, (word, _) in enumerate(FINAL.instructions) if word == "RUN"
    )


def test_no_shell_stands_between_the_engine_and_the_command() -> None:
    assert FINAL.words("ENTRYPOINT") == ["presagio"]
    assert FINAL.words("CMD") == ["--help"]
    assert json.loads(FINAL.last("HEALTHCHECK").partition("CMD ")[2]) == ["presagio", "healthcheck"]


def test_the_extras_that_the_image_needs_are_extras_of_ours() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    [run] = BUILD.all("RUN")
    [named] = re.findall(r'\$1\[([\w,]+)\]"', run)
    assert set(named.split(",")) == {"postgres", "redis"}
    assert set(named.split(",")) <= set(config["options.extras_require"])


def test_only_what_the_wheel_is_made_of_goes_to_the_engine() -> None:
    files = context(ROOT)
    packages = {file.parts[0] for file in files if len(file.parts) > 1}
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = {name.split(".")[1] for name in config["options"]["packages"].split() if "." in name}
    assert packages == listed
    assert {file.name for file in files if len(file.parts) == 1} == {
        "LICENSE", "README.md", "__init__.py", "py.typed", "pyproject.toml", "setup.cfg",
    }  # fmt: skip


# Compose


def test_without_a_key_compose_says_what_to_do() -> None:
    answer = compose("config", "--quiet")
    assert answer.returncode != 0
    assert "PRESAGIO_API_KEY is missing a value: copy .env.example to .env" in answer.stderr


def test_the_example_has_the_key_of_the_curl_lines_and_every_variable() -> None:
    text = (ROOT / ".env.example").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert settings["PRESAGIO_API_KEY"] == "test_key"
    assert (settings["GRAFANA_ADMIN_USER"], settings["GRAFANA_ADMIN_PASSWORD"]) == ("admin", "admin")
    used = {name for file in DEVELOPERS for name in re.findall(r"\$\{(\w+)", (ROOT / file).read_text())}
    assert used == set(settings)


def test_git_does_not_see_the_real_keys() -> None:
    argv = ["git", "-c", "safe.directory=*", "check-ignore", "--no-index", ".env"]
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, check=False).returncode == 0


@EITHER
def test_every_service_is_hardened(files: tuple[str, ...]) -> None:
    for name, service in resolved(files)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert name == "grafana" or service["user"] == "65534:65534"
        sources = [each["source"] for each in service.get("volumes", [])]
        assert not [source for source in sources if "docker.sock" in source], name


@EITHER
def test_a_folder_of_ours_is_only_read_and_is_there(files: tuple[str, ...]) -> None:
    binds = [
        (name, each)
        for name, service in resolved(files)["services"].items()
        for each in service.get("volumes", [])
        if each["type"] == "bind"
    ]
    assert {name for name, _ in binds} >= {"exporter", "webhook", "prometheus", "alertmanager", "grafana"}
    assert [name for name, each in binds if not each.get("read_only")] == []
    assert [each["source"] for _, each in binds if not Path(each["source"]).is_dir()] == []


@EITHER
def test_ports_are_those_of_the_design_and_open_to_this_machine_alone(files: tuple[str, ...]) -> None:
    services = resolved(files)["services"]
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert {name: [each["target"] for each in found] for name, found in ports.items()} == {
        **{name: [port] for name, port in PORTS.items()}, "checkout": [8081], "search": [8082],
    }  # fmt: skip
    for [port] in ports.values():
        assert (port["published"], port["host_ip"]) == (str(port["target"]), "127.0.0.1")


def test_images_have_a_version_and_are_those_that_tests_run() -> None:
    named = {service["image"] for service in resolved()["services"].values()}
    tags = dict(image.split(":") for image in named)
    assert tags.pop("presagio") == "local"
    assert all(re.fullmatch(r"v?\d+\.\d+\.\d+", tag) for tag in tags.values())
    for name in ("prometheus", "alertmanager"):
        found = locate(name, "forky")
        if found is None:
            pytest.skip(f"{name} of generation forky is not on this machine; `make servers` gets it")
        tested, _, _ = version(found).rpartition(".")
        assert tags[f"prom/{name}"].startswith(f"v{tested}."), f"tests run {tested}"


def test_every_service_that_stays_has_a_health_check_without_a_shell() -> None:
    for name, service in resolved()["services"].items():
        if name == "keys":
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_the_key_reaches_only_who_needs_it() -> None:
    services = resolved()["services"]
    readers = {
        name for name, service in services.items()
        if any(each["source"] == "keys" for each in service.get("volumes", []))
    }  # fmt: skip
    assert readers == {"keys", "exporter", "webhook", "alertmanager"}
    assert [name for name, service in services.items() if "test_key" in str(service)] == ["keys"]
    assert services["keys"]["network_mode"] == "none"


# What is mounted


def test_the_configuration_of_both_servers_is_right_and_nothing_acts() -> None:
    exporter = EXPORTER.load(DEPLOY / "presagio/exporter.yml")
    assert exporter.api is not None
    webhook = WEBHOOK.load(DEPLOY / "presagio/webhook.yml")
    assert webhook.policies
    assert {policy.mode for policy in webhook.policies} == {Mode.DRY_RUN}


def test_the_limit_of_the_demo_is_said_alike() -> None:
    exporter = EXPORTER.load(DEPLOY / "presagio/exporter.yml")
    [threshold] = [each for signal in exporter.signals for each in signal.thresholds]
    assert threshold.value == float(resolved()["services"]["checkout"]["mem_limit"])


def test_prometheus_takes_its_file(promtool: Path, tmp_path: Path) -> None:
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/rules/", f"{ROOT}/rules/"))
    answer = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert f"{len(list((ROOT / 'rules').glob('presagio.*.yml')))} rule files found" in answer.stdout


def check_alertmanager(amtool: Path, folder: Path, config: Any) -> None:
    """Check a configuration of Alertmanager, its templates where the repository has them."""
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config).replace("/rules/", f"{ROOT}/rules/"))
    argv: list[str | Path] = [amtool, "check-config", folder / "alertmanager.yml"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert " - 1 templates" in answer.stdout


def test_alertmanager_takes_its_file(amtool: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    check_alertmanager(amtool, tmp_path, config)
    [templates] = config["templates"]
    mounts = {each["target"]: Path(each["source"]) for each in resolved()["services"]["alertmanager"]["volumes"]}
    assert mounts["/rules"] / Path(templates).name == ROOT / "rules" / "presagio.tmpl"


def test_alertmanager_takes_what_the_page_says_of_slack_and_has_each_template(amtool: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    people = block("alertmanager.yml: receiver people")
    config["receivers"] = [people if one["name"] == "people" else one for one in config["receivers"]]
    check_alertmanager(amtool, tmp_path, config)
    named = set(re.findall(r'template "([\w.]+)"', str(people)))
    defined = set(re.findall(r'define "([\w.]+)"', (ROOT / "rules" / "presagio.tmpl").read_text()))
    assert len(named) >= 4
    assert named <= defined


def test_git_does_not_see_what_the_page_says_to_write() -> None:
    files = ("deploy/compose/alertmanager/slack.url", "deploy/compose/tls/server.key", "docker-compose.override.yml")
    for file in files:
        argv = ["git", "-c", "safe.directory=*", "check-ignore", "--no-index", file]
        assert subprocess.run(argv, cwd=ROOT, capture_output=True, check=False).returncode == 0, file


def test_the_override_of_the_page_changes_commands_and_checks_alone(tmp_path: Path) -> None:
    """Both flags and all that is mounted stay; the real parser takes what is new."""
    (tmp_path / "override.yml").write_text(yaml.safe_dump(block("docker-compose.override.yml")))
    usual, merged = resolved(), resolved((*USUAL, str(tmp_path / "override.yml")))
    for name, port in (("exporter", 8000), ("webhook", 3001)):
        before, after = usual["services"][name], merged["services"][name]
        assert after["command"] == [*before["command"], "--web.config.file=/tls/web.yml"]
        program, *words = after["healthcheck"]["test"][1:]
        assert program == "presagio"
        assert _parser().parse_args(words).urls == [f"https://localhost:{port}/-/healthy"]
        same = {"test": before["healthcheck"]["test"]}
        assert after["healthcheck"] | same == before["healthcheck"]
        assert [each["target"] for each in after["volumes"]] == [
            *(each["target"] for each in before["volumes"]),
            "/tls",
        ]


def routes(amtool: Path, *labels: str) -> list[str]:
    path = DEPLOY / "alertmanager/alertmanager.yml"
    argv: list[str | Path] = [amtool, "config", "routes", "test", f"--config.file={path}", *labels]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [name.partition(" ")[0] for name in re.split(r"[,\n]", told) if name]


def test_presagios_alerts_go_to_the_webhook_and_to_people_and_others_to_people_alone(amtool: Path) -> None:
    assert routes(amtool, "alertname=PresagioAnomaly") == ["presagio", "people"]
    assert routes(amtool, "alertname=DiskFull") == ["people"]


def provisioned(kind: str) -> Any:
    [file] = (DEPLOY / "grafana" / kind).glob("*.yml")
    found = yaml.safe_load(file.read_text())
    assert found["apiVersion"] == 1
    return found


def test_grafanas_source_is_the_prometheus_of_the_file() -> None:
    """The form that Grafana documents; Grafana itself is not run."""
    [source] = provisioned("datasources")["datasources"]
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    assert source["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]
    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]


def test_grafanas_dashboards_are_the_files_of_the_repository() -> None:
    """The path inside of the container, followed through the mount, is grafana/dashboards."""
    [provider] = provisioned("dashboards")["providers"]
    assert provider["type"] == "file"
    inside = Path(provider["options"]["path"])
    mounts = {Path(each["target"]): Path(each["source"]) for each in resolved()["services"]["grafana"]["volumes"]}
    [target] = [target for target in mounts if target in inside.parents]
    assert mounts[target] / inside.relative_to(target) == ROOT / "grafana" / "dashboards"
    kinds = {f"/etc/grafana/provisioning/{kind}" for kind in ("datasources", "dashboards")}
    assert kinds <= {str(target) for target in mounts}


# The keys


def keys(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    argv: list[str | Path] = [sys.executable, DEPLOY / "presagio/keys.py", folder]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)


def test_the_key_and_those_of_people_become_files_for_their_owner_alone(tmp_path: Path) -> None:
    people = "k2 alice read,operate,approve"
    assert keys(tmp_path, PRESAGIO_API_KEY="test_key", PRESAGIO_PEOPLE=people).returncode == 0
    assert (tmp_path / "api.key").read_text() == "test_key\n"
    assert (tmp_path / "api.keys").read_text() == f"test_key\n{people}\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o400}
    assert {path.name for path in tmp_path.iterdir()} == {"api.key", "api.keys"}


def test_keys_are_replaced_when_they_change(tmp_path: Path) -> None:
    assert keys(tmp_path, PRESAGIO_API_KEY="one").returncode == 0
    assert keys(tmp_path, PRESAGIO_API_KEY="two").returncode == 0
    assert (tmp_path / "api.keys").read_text() == "two\n"


@pytest.mark.parametrize("key", ["", " ", "two words"])
def test_what_is_no_key_is_refused(key: str, tmp_path: Path) -> None:
    answer = keys(tmp_path, PRESAGIO_API_KEY=key)
    assert answer.returncode == 1
    assert answer.stderr == "PRESAGIO_API_KEY: expected one word, got something else; set it in .env\n"
    assert list(tmp_path.iterdir()) == []
