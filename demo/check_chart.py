"""Lint the chart and render it with each of its ci/ values.

    python demo/check_chart.py

Without helm it is skipped with the remedy; in CI that is a failure.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helm_tools import ToolsError, install, locate, version

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "presagio"


def run(helm: Path, values: Path) -> bool:
    """Lint and render with one file of values; print a line, or what is wrong; tell if it passed."""
    for words in (["lint", "--strict"], ["template", "presagio"]):
        argv: list[str | Path] = [helm, *words, CHART, "--values", values, "--namespace", "monitoring"]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        if answer.returncode:
            print(
                f"helm {words[0]} --values {values.relative_to(ROOT)}: failed", answer.stdout, answer.stderr, sep="\n"
            )
            return False
    print(f"helm {version('helm', helm)} lint, template, {values.name}: ok")
    return True


def results() -> Iterator[bool]:
    """Get helm if it is not there, and check each file of values."""
    try:
        install()
    except ToolsError as error:
        print(error, file=sys.stderr)
    helm = locate("helm")
    if helm is None:
        print("helm: skipped, it is not on this machine; `make chart` gets it")
        yield os.environ.get("CI") != "true"
        return
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        yield run(helm, values)


if __name__ == "__main__":
    sys.exit(0 if all(list(results())) else 1)
