"""Check and test the rules with the promtool, and the Alertmanager example with the amtool, of both generations.

    python demo/check_rules.py

An absent tool is skipped with the remedy; in CI that is a failure.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from packages import GENERATIONS, locate, version

ROOT = Path(__file__).resolve().parent.parent

# what a tool is asked, and the files that it is asked about
CHECKS = (
    ("promtool", ("check", "rules"), ROOT / "rules", "presagio.*.yml"),
    ("promtool", ("test", "rules"), ROOT / "tests" / "rules", "*.test.yml"),
    ("amtool", ("check-config",), ROOT / "rules", "alertmanager.*.yml"),
)


def run(tool: str, words: Sequence[str], files: Sequence[Path], generation: str) -> bool:
    """Run one check with one generation, print a line of it, or all of its output if it fails; tell if it passed."""
    binary = locate(tool, generation)
    if binary is None:
        print(f"{tool} of generation {generation}: skipped, it is not on this machine; `make servers` gets it")
        return os.environ.get("CI") != "true"
    answer = subprocess.run([binary, *words, *files], capture_output=True, text=True, check=False)
    verdict = "failed" if answer.returncode else "ok"
    print(f"{tool} {version(binary)} {' '.join(words)}, {len(files)} files: {verdict}")
    if answer.returncode:
        print(answer.stdout, answer.stderr, sep="\n")
    return answer.returncode == 0


def results() -> Iterator[bool]:
    """Run every check that has files, with every generation."""
    for generation in GENERATIONS:
        for tool, words, folder, pattern in CHECKS:
            if files := sorted(folder.glob(pattern)):
                yield run(tool, words, files, generation)


if __name__ == "__main__":
    sys.exit(0 if all(list(results())) else 1)
