"""The commands that a page shows, taken apart: from blocks of sh, from indented lines, from `code` within a line."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SHELLS = ("sh", "bash", "shell", "console")
OPERATORS = frozenset(("&&", "||", "|", ";", "&", "(", ")", ";;"))
KEYWORDS = frozenset(("if", "then", "else", "do", "while", "until", "!", "{", "time", "sudo", "exec"))
REDIRECTS = frozenset((">", ">>", "<", "<<<", ">&", ">|"))


@dataclass(frozen=True)
class Command:
    """A command as its words, and the page that it is on."""

    page: Path
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0].rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {shlex.join(self.words)}"


def blocks(page: Path) -> list[str]:
    """Return the blocks of shell of a page."""
    return [text for _, language, text in FENCE.findall(page.read_text()) if language in SHELLS]


def commands(page: Path) -> Iterator[Command]:
    """Yield what stands in blocks, and in indented lines that begin with a program of ours or curl."""
    for text in blocks(page):
        yield from (Command(page, words) for words in simple(text))
    bare = FENCE.sub("", page.read_text())
    for line in re.findall(r"^ {4,}((?:presagio|curl|make) [^\n]*)$", bare, re.MULTILINE):
        yield from (Command(page, words) for words in simple(line))


def mentioned(page: Path) -> Iterator[tuple[str, ...]]:
    """Yield the words of each `presagio ...` within a line of text; it may be cut short, or have NAMES for values."""
    bare = FENCE.sub("", page.read_text())
    for text in re.findall(r"`(presagio [^`]+)`", bare):
        yield tuple(" ".join(text.split()).split(" "))


def simple(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the simple commands of a script: words without operators, redirections, assignments and keywords."""
    text = re.sub(r"<<-?\s*'?\"?(\w+)'?\"?.*?^\s*\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in _lines(text):
        yield from _split(_tokens(line))


def _lines(text: str) -> Iterator[str]:
    """Yield lines, with those put together that a backslash or an open quote continues."""
    whole = ""
    for line in text.splitlines():
        whole += line.removesuffix("\\") if line.endswith("\\") else line + "\n"
        if line.endswith("\\"):
            continue
        try:
            list(_tokens(whole))
        except ValueError:
            continue  # a quote is open
        yield whole
        whole = ""
    assert not whole.strip(), f"a quote is never closed: {whole!r}"


def _tokens(line: str) -> list[str]:
    found = shlex.shlex(re.sub(r"\$\((\w)", r"; \1", line), posix=True, punctuation_chars="();<>|&")
    found.whitespace_split = True
    return list(found)


def _split(tokens: list[str]) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    skip = False
    for token in [*tokens, ";"]:
        if skip:
            skip = False
        elif token in OPERATORS:
            if words:
                yield tuple(words)
            words = []
        elif token in REDIRECTS:
            skip = True
            if words and words[-1] in ("1", "2"):
                words.pop()
        elif words or not (token in KEYWORDS or re.match(r"[A-Za-z_]\w*=", token)):
            words.append(token)
