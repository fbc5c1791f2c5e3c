"""Every command that a page shows works: taken by the real parser; target, path and file are there; or it is run."""

import argparse
import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from shell_blocks import PAGES, ROOT, Command, blocks, commands, mentioned
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map
from werkzeug.routing.exceptions import RequestRedirect

from presagio.toolkit.cli import _parser
from presagio.webhook.chain import make_key
from presagio.webhook.database import open_sqlite
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger
from presagio.webhook.moves import Arrival

ALL = [command for page in PAGES for command in commands(page)]
BIN = Path(sys.executable).parent

OTHERS = frozenset((
    ".", "amtool", "apk", "apt-get", "cat", "cd", "chmod", "chown", "cp", "createdb", "curl", "docker", "echo",
    "export", "grafana-cli", "grep", "head", "helm", "htpasswd", "id", "install", "jq", "kill", "kubectl",
    "ls", "mkdir", "mv", "npm", "openssl", "pg_dump", "pg_restore", "pip", "prometheus", "promtool", "psql",
    "rm", "sed", "set", "sleep", "source", "sqlite3", "sudo", "systemctl", "tail", "tar", "tee", "test",
    "umask", "useradd", "wait",
))  # fmt: skip
"""Programs of others: what they are given is held by other tests, or by whoever makes them."""

FOREIGN = {
    9090: r"/(-/(reload|healthy|ready)|metrics|api/v1/[a-z_/.-]+)(\?.*)?",
    9093: r"/(-/(reload|healthy|ready)|metrics|api/v2/[a-z_/.-]+)(\?.*)?",
    3000: r"/(api/[\w/.-]+|login|d/.*)?(\?.*)?",
    # demo/service.py
    8081: r"/(metrics|restart|fault/(leak|outage))",
    8428: r"/(api/v1/[a-z_/.-]+|health|metrics)(\?.*)?",
}
"""Ports of others, and the paths that they have."""


def of(*programs: str) -> list[Any]:
    return [pytest.param(command, id=str(command)) for command in ALL if command.program in programs]


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


# What each command is made of


def test_there_are_commands_of_every_kind() -> None:
    programs = [command.program for command in ALL]
    least = {"presagio": 25, "make": 8, "curl": 8, "pip": 4, "pytest": 4}
    assert {name: count for name, count in least.items() if programs.count(name) < count} == {}


def test_every_program_is_known() -> None:
    known = OTHERS | {"presagio", "make", "pytest", "python", "python3"}
    assert sorted({str(command) for command in ALL if command.program not in known}) == []


@pytest.mark.parametrize("command", of("presagio"))
def test_presagio_takes_it(command: Command) -> None:
    assert refusal(command.words[1:]) is None


def refusal(words: tuple[str, ...]) -> str | None:
    """Return what the parser says against the words, or None; --help and --version end it well."""
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        try:
            _parser().parse_args(words)
        except SystemExit as ended:
            return told.getvalue() if ended.code else None
    return None


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def unknown(words: tuple[str, ...]) -> list[str]:
    """Return what `presagio WORDS` does not have: a command, or a flag."""
    parser, place = _parser(), 1
    while place < len(words) and (choices := commands_of(parser)) and re.fullmatch(r"[a-z][a-z-]*", words[place]):
        if words[place] not in choices:
            return [words[place]]
        parser, place = choices[words[place]], place + 1
    flags = [re.split(r"[=,.;]?$|=", word)[0] for word in words[place:] if re.match(r"--[a-z]", word)]
    return [flag for flag in flags if not any(option.startswith(flag) for option in parser._option_string_actions)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_presagio_has_what_a_sentence_names(page: Path) -> None:
    assert {" ".join(words): found for words in mentioned(page) if (found := unknown(words))} == {}


def test_what_presagio_has_not_is_found() -> None:
    assert unknown(("presagio", "audti", "list")) == ["audti"]
    assert unknown(("presagio", "audit", "verify", "--heads=3:a")) == ["--heads"]
    assert unknown(("presagio", "audit", "verify", "--head=3:a")) == []
    assert refusal(("audit", "show")) is not None


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("command", of("make"))
def test_make_has_the_target_and_the_variable(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in command.words[1:]:
        name, is_variable, _ = word.partition("=")
        assert (f"$({name}" in makefile) if is_variable else (name in targets()), word


@pytest.mark.parametrize("command", of("pytest", "python", "python3"))
def test_the_files_that_it_runs_are_there(command: Command) -> None:
    if command.words[1:2] == ("-c",):
        compile(command.words[2], str(command), "exec")
        return
    files = [word for word in command.words[1:] if word.endswith(".py")]
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert files or any(word.startswith("-") for word in command.words[1:])


@pytest.mark.parametrize("command", of("pip"))
def test_what_pip_installs_is_there(command: Command) -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    ours = [word for word in command.words[2:] if re.match(r"\.|presagio\b", word)]
    for word in ours:
        name, _, extras = word.strip("]").partition("[")
        # ./presagio-recent is made by the page itself
        assert name in (".", "presagio") or name.removeprefix("./") in command.page.read_text().replace("name = ", "")
        assert set(filter(None, extras.split(","))) <= set(config["options.extras_require"])
    assert ours or "--upgrade" in command.words or "-r" in command.words


@cache
def routes() -> dict[int, Map]:
    api = module(ROOT / "docs" / "api.py")
    return {api.PORTS[name]: app.url_map for name, app in api.apps().items()}


def addresses(command: Command) -> list[tuple[int, str]]:
    """Return port and path of each address in a command."""
    found = [re.fullmatch(r"(?:https?://)?[\w.${}-]+:(\d+)(/.*)?", word) for word in command.words[1:]]
    return [(int(match[1]), match[2] or "/") for match in found if match]


def method(command: Command) -> str:
    words = list(command.words)
    for flag in ("-X", "--request"):
        if flag in words:
            return words[words.index(flag) + 1]
    if {"-I", "--head"} & set(words):
        return "HEAD"
    has_body = any(word in ("-d", "--data", "--data-binary", "--json") or word.startswith("-d@") for word in words)
    return "POST" if has_body else "GET"


def is_there(port: int, path: str, method: str) -> bool:
    if port not in routes():
        return bool(re.fullmatch(FOREIGN[port], path)) if port in FOREIGN else False
    # a number where a page has $ID or the like
    path = re.sub(r"\$\{?\w+\}?", "1", path.partition("?")[0])
    try:
        routes()[port].bind("localhost").match(path, method)
    except RequestRedirect:
        return True
    except HTTPException:
        return False
    return True


@pytest.mark.parametrize("command", of("curl"))
def test_the_address_that_curl_asks_is_there(command: Command) -> None:
    if not addresses(command):
        pytest.fail(f"no address with a port in {command}")
    assert [each for each in addresses(command) if not is_there(*each, method(command))] == []


def test_an_address_that_is_not_there_is_found() -> None:
    assert is_there(3001, "/api/v1/remediations/42", "GET")
    assert not is_there(3001, "/api/v1/remediation", "GET")
    assert not is_there(3001, "/api/v1/alerts", "GET")
    assert not is_there(9090, "/api/v2/query", "GET")


# Those that need no server are run


RUN_PAGES = [ROOT / "README.md", ROOT / "README.es.md"] + [
    ROOT / "docs" / name for name in ("getting-started.md", "audit.md", "policies.md", "actions.md")
]
SANDBOXED = frozenset({"mkdir", "openssl"})
FREE = {("check-config",), ("audit", "list"), ("audit", "show"), ("audit", "verify"), ("audit", "export")}
FREE |= {("remediation", "roles"), ("--version",), ("--help",)}


def runs_alone(command: Command) -> bool:
    if command.program == "presagio":
        return command.words[1:2] in FREE or command.words[1:3] in FREE
    return command.program in SANDBOXED


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """Return a folder with what the pages take for given: a ledger with remediations, and its key."""
    for place in (tmp_path / "data" / "webhook", tmp_path / "var" / "lib" / "presagio" / "webhook"):
        engine = open_sqlite(place / "ledger.db")
        key = make_key(place / "ledger.key")
        names = [f"Alert{number}" for number in range(42)]
        inbox = Inbox(engine)
        inbox.store(",".join(names), len(names), "alertmanager", 1000.0)
        arrivals = [Arrival(name, 990.0, {"labels": {"alertname": name}}) for name in names]
        Ledger(engine, key).open([(inbox.waiting()[0], arrivals)], 1000.0)
        engine.dispose()
    (tmp_path / "etc" / "presagio").mkdir(parents=True)
    return tmp_path


def prepared(page: Path, sandbox: Path) -> None:
    """Write the files that the page, or else the README, shows, by the name in their first line."""
    for source in (ROOT / "README.md", page):
        for text in re.findall(r"^```yaml\n(.*?)^```$", source.read_text(), re.MULTILINE | re.DOTALL):
            if found := re.match(r"# ((?:exporter|webhook)\.yml)\n", text):
                for folder in (sandbox, sandbox / "etc" / "presagio"):
                    (folder / found[1]).write_text(inside(text, sandbox))
    shutil.copy(ROOT / "tests/unit/webhook/files/documented.good.json", sandbox / "action_policies.json")


def inside(text: str, sandbox: Path) -> str:
    """Return the text with the machine's folders as folders of the sandbox."""
    return re.sub(r"(?<![\w.])/(etc|var/lib)/presagio", rf"{sandbox}/\1/presagio", text)


def head(sandbox: Path) -> str:
    line = subprocess.run(
        [BIN / "presagio", "audit", "export", "--storage.path=data/webhook"],
        cwd=sandbox, capture_output=True, text=True, check=True,
    ).stdout.splitlines()[-1]  # fmt: skip
    row = yaml.safe_load(line)
    return f"{row['seq']}:{row['hmac']}"


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.name)
def test_what_needs_no_server_runs(page: Path, sandbox: Path) -> None:
    prepared(page, sandbox)
    mine = [command for command in commands(page) if runs_alone(command)]
    assert mine
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for command in mine:
        words = [inside(word, sandbox) for word in command.words]
        # the head of a ledger that only the reader has
        words = [head(sandbox) if "…" in word else word for word in words]
        done = subprocess.run(words, cwd=sandbox, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_every_shell_block_is_shell() -> None:
    texts = [text for page in PAGES for text in blocks(page)]
    assert len(texts) > 20
    for text in texts:
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
