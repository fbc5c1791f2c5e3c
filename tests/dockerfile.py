"""A Dockerfile as data: its stages, and what each says in which instruction."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Stage:
    """One stage: its name, what it begins from, and its instructions as (word, rest)."""

    name: str
    base: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        return [rest for each, rest in self.instructions if each == word]

    def last(self, word: str) -> str:
        return self.all(word)[-1]

    def words(self, word: str) -> list[str]:
        """Return an instruction in exec form as a list. Raises ValueError for the shell's form."""
        found: list[str] = json.loads(self.last(word))
        return found

    @property
    def env(self) -> Mapping[str, str]:
        env = {"PATH": PATH}
        for rest in self.all("ENV"):
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                env[name] = Template(value).substitute(env)
        return env


def stages(path: Path) -> list[Stage]:
    found: list[tuple[str, str, list[tuple[str, str]]]] = []
    arguments: dict[str, str] = {}
    for word, rest in _instructions(path.read_text()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append((name, Template(base).substitute(arguments), []))
        elif not found:
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            found[-1][2].append((word, rest))
    return [Stage(name, base, tuple(instructions)) for name, base, instructions in found]


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", code).splitlines():
        if line.strip():
            word, rest = line.split(maxsplit=1)
            yield word, rest


def context(root: Path) -> list[Path]:
    """Return the files that .dockerignore lets go to the engine, relative to `root`: what git has, or would add.

    The file has the one form that is read here: `*`, then `!NAME` for each name in the root, then what is left out.
    """
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    first, *names, last = lines
    assert (first, last) == ("*", "**/__pycache__"), lines
    assert all(name.startswith("!") and "/" not in name for name in names), names
    allowed = {name.removeprefix("!") for name in names}
    argv = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True)
    files = (Path(name) for name in answer.stdout.split("\0") if name)
    return [file for file in files if file.parts[0] in allowed and (root / file).is_file()]
