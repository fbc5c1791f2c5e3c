"""The one command, as a process."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

PRESAGIO = Path(sys.executable).with_name("presagio")
HEAVY = {
    "flask", "pydantic", "numpy", "sqlalchemy", "requests", "gunicorn", "pandas", "orjson", "kubernetes", "yaml",
    "prometheus_client", "jinja2",
}  # fmt: skip
LOADED = """
import sys
from presagio.toolkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), sep="\\n")
"""
EXPORTER = "signals:\n  - {name: cpu, query: cpu}\n"
POLICIES = """{"web": {"actions": {"restart": {
  "command": "systemctl restart ${service_id}", "conditions": {"metrics": {"cpu": "> 80"}}}}}}
"""


def run(*arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "118", **({"PYTHONPATH": str(path)} if path else {})}
    argv = [str(PRESAGIO), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


def install(folder: Path, group: str, *points: str) -> Path:
    """Make a folder that looks like an installed package with entry points of its own."""
    (folder / "strangers.py").write_text(
        "class Works:\n"
        "    help = 'answer'\n"
        "    def add_arguments(self, parser): pass\n"
        "    def run(self, arguments): print('works'); return 3\n"
        "class Talks(Works):\n"
        "    def add_arguments(self, parser):\n"
        "        from presagio.toolkit.cli import add_log_flags\n"
        "        add_log_flags(parser)\n"
        "    def run(self, arguments):\n"
        "        from presagio.toolkit.log import get_log\n"
        "        get_log('talk').info('heard', n=1)\n"
        "        get_log('talk').error('heard', n=2)\n"
        "        return 0\n"
        "class Interrupted(Works):\n"
        "    def run(self, arguments): raise KeyboardInterrupt\n"
        "class Unread(Works):\n"
        "    def run(self, arguments): raise BrokenPipeError\n"
        "class Unmade(Works):\n"
        "    def __init__(self): raise RuntimeError('not today')\n"
    )
    info = folder / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join((f"[{group}]", *points)) + "\n")
    return folder


def test_help_lists_every_command_with_what_it_does() -> None:
    answer = run("--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("usage: presagio [-h] [--version] COMMAND ...\n")
    for command in ("check-config", "exporter", "backtest", "webhook", "audit"):
        assert re.search(rf"^ +{command}\s+\w", answer.stdout, re.MULTILINE)
    assert "not available" not in answer.stdout


@pytest.mark.parametrize("command", ["check-config", "exporter", "backtest", "webhook", "audit"])
def test_every_command_has_its_own_help(command: str) -> None:
    answer = run(command, "--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"usage: presagio {command} ")


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    argv = [sys.executable, "-c", LOADED, argument]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.splitlines())
    assert "argparse" in loaded
    assert loaded & HEAVY == set()


def test_version_is_that_of_the_package() -> None:
    answer = run("--version")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"presagio {version('presagio')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "presagio: error: the following arguments are required: COMMAND\n"),
        (("exporte",), "presagio: error: argument COMMAND: invalid choice: 'exporte' (choose from "),
        (("exporter", "--log.level=loud"), "presagio exporter: error: argument --log.level: invalid choice: 'loud'"),
    ],
)
def test_what_it_does_not_know_is_told_with_what_it_knows(arguments: tuple[str, ...], told: str) -> None:
    answer = run(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert told in answer.stderr


def test_a_mistake_of_the_user_s_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    answer = run("backtest", f"--config.file={tmp_path}/none.yml")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert (
        answer.stderr == f"presagio: {tmp_path}/none.yml:1: expected a readable file, got No such file or directory\n"
    )


def test_good_files_of_every_kind_are_told_by_their_keys(tmp_path: Path) -> None:
    contents = {
        "exporter.yml": EXPORTER,
        "webhook.yml": "alertmanager: {}\napi: {authentication: none}\n",
        "action_policies.json": POLICIES,
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    answer = run("check-config", *(tmp_path / name for name in contents))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.replace(f"{tmp_path}/", "").splitlines() == [
        "exporter.yml: valid exporter configuration",
        "webhook.yml: valid webhook configuration",
        "action_policies.json: valid action_policies configuration",
    ]


def test_bad_files_are_told_with_all_their_mistakes_and_good_ones_beside_them(tmp_path: Path) -> None:
    contents = {
        "good.yml": EXPORTER,
        "exporter.yml": "signals:\n  - {nam: cpu, query: cpu}\n",
        "policies.json": '{"web": {"actions": {"restart": {"command": "x"}}}}',
        "list.yml": "- a\n",
        "stranger.yml": "a: 1\nb: 2\n",
        "empty.yml": "",
        "broken.yml": "signals: [",
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    answer = run("check-config", *(tmp_path / name for name in contents), tmp_path / "none.yml")
    assert answer.returncode == 1
    assert answer.stdout == f"{tmp_path}/good.yml: valid exporter configuration\n"
    known = "the keys of a file that presagio reads (action_policies, exporter, web, webhook)"
    assert answer.stderr.replace(f"{tmp_path}/", "").splitlines() == [
        "exporter.yml:2: signals[0].name: expected a value for 'name', got nothing",
        "exporter.yml:2: signals[0].nam: expected 'name', got unknown key 'nam'",
        "policies.json:1: web.actions.restart.conditions: expected a value for 'conditions', got nothing",
        "list.yml:1: expected a mapping of keys to values, got a list",
        f"stranger.yml:1: expected {known}, got 'a', 'b'",
        "empty.yml:1: expected a mapping of keys to values, got nothing",
        "broken.yml:1: expected the node content, got '<stream end>'",
        "none.yml:1: expected a readable file, got No such file or directory",
    ]


def test_a_stranger_s_command_is_one_like_ours(tmp_path: Path) -> None:
    path = install(tmp_path, "presagio.commands", "works = strangers:Works")
    answer = run("works", path=path)
    assert (answer.returncode, answer.stdout) == (3, "works\n")


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ([], ["level=info logger=presagio.talk msg=heard n=1", "level=error logger=presagio.talk msg=heard n=2"]),
        (["--log.level=error"], ["level=error logger=presagio.talk msg=heard n=2"]),
        (["--log.level=error", "--log.format=json"],
         ['"level": "error", "logger": "presagio.talk", "msg": "heard", "n": 2}']),
    ],
)  # fmt: skip
def test_a_command_logs_as_its_flags_say(tmp_path: Path, flags: list[str], lines: list[str]) -> None:
    path = install(tmp_path, "presagio.commands", "talks = strangers:Talks")
    answer = run("talks", *flags, path=path)
    assert [line.partition(" ")[2] if not flags[1:] else line[line.index('"level') :]
            for line in answer.stderr.splitlines()] == lines  # fmt: skip


@pytest.mark.parametrize(("kind", "code"), [("Interrupted", 130), ("Unread", 141)])
def test_what_ends_a_command_from_outside_is_its_exit_code(tmp_path: Path, kind: str, code: int) -> None:
    path = install(tmp_path, "presagio.commands", f"ends = strangers:{kind}")
    answer = run("ends", path=path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, "", "")


@pytest.mark.parametrize("command", ["exporter", "webhook"])
def test_flags_of_a_server_are_named_as_prometheus_names_them(command: str) -> None:
    text = run(command, "--help").stdout
    for flag in (
        "--config.file FILE", "--web.listen-address HOST:PORT", "--storage.path DIR",
        "--log.level {debug,info,warn,error}", "--log.format {logfmt,json}",
    ):  # fmt: skip
        assert f"  {flag}\n" in text or f"  {flag} " in text, flag


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("broken = not_there:Command",
         "presagio.commands 'broken' (not_there:Command) cannot be loaded: No module named 'not_there'"),
        ("broken = strangers:Unmade", "presagio.commands 'broken' cannot be made: not today"),
    ],
)  # fmt: skip
def test_a_broken_command_says_why_and_takes_no_other_down(tmp_path: Path, point: str, told: str) -> None:
    path = install(tmp_path, "presagio.commands", point, "works = strangers:Works")
    assert run("works", path=path).returncode == 3
    answer = run("--help", path=path)
    assert answer.returncode == 0
    assert "not available: it cannot be loaded" in answer.stdout
    for arguments in (["broken"], ["broken", "--config.file=x", "more", "-v"]):
        answer = run(*arguments, path=path)
        assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", f"presagio: {told}\n")


def test_a_broken_kind_of_file_takes_no_other_down(tmp_path: Path) -> None:
    path = install(tmp_path, "presagio.config_files", "broken = not_there:FILE")
    for name, text in (("exporter.yml", EXPORTER), ("stranger.yml", "a: 1\n")):
        (tmp_path / name).write_text(text)
    assert run("check-config", tmp_path / "exporter.yml", path=path).returncode == 0
    answer = run("check-config", tmp_path / "stranger.yml", tmp_path / "exporter.yml", path=path)
    assert answer.returncode == 1
    assert answer.stdout == f"{tmp_path}/exporter.yml: valid exporter configuration\n"
    assert answer.stderr == (
        f"{tmp_path}/stranger.yml: presagio.config_files 'broken' (not_there:FILE) cannot be loaded: "
        "No module named 'not_there'\n"
    )
