"""The commands that the documents name are there."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def named(document: Path) -> set[str]:
    """Return the targets that a document names in its code."""
    code = "\n".join(CODE.findall(document.read_text()))
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", code))


def test_every_make_target_that_a_document_names_exists() -> None:
    unknown = {str(path.relative_to(ROOT)): named(path) - targets() for path in documents()}
    assert {path: names for path, names in unknown.items() if names} == {}


def test_help_lists_the_targets_that_a_newcomer_needs() -> None:
    argv = ["make", "--no-print-directory", "help"]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make ([a-z-]+)", answer.stdout, re.MULTILINE))
    assert {"demo", "test", "check", "servers", "clean", "help"} <= listed


def test_every_target_that_is_no_file_is_phony() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == targets()


def test_ci_can_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
