"""What mkdocs does besides for the site: pages outside of docs/, drawings, and a navigation without holes.

Pages link to files of the repository, such as ../CONTRIBUTING.md: these become pages of the site, under repository/.
Drawings in mermaid become pictures when the site is made, so that a reader's browser runs and fetches nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = "docs"
OUTSIDE = "repository"
"""The folder of the site that holds what is not in docs/."""

LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".cfg": "ini", ".toml": "toml"}

_LINK = re.compile(r"(\]\()([^()\s#]+)((?:#[^()\s]*)?\))")
_DRAWING = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


# Where a file of the repository is in the site


def site_path(path: str) -> str:
    """Return where a file or folder, relative to the root, is in the site; a link names a page, never a folder."""
    if path == DOCS or path.startswith(f"{DOCS}/"):
        inside = path.removeprefix(DOCS).lstrip("/")
        return f"{inside}/README.md".lstrip("/") if (ROOT / path).is_dir() else inside
    if (ROOT / path).is_dir():
        return f"{OUTSIDE}/{path}/README.md"
    return f"{OUTSIDE}/{path}" if path.endswith(".md") else f"{OUTSIDE}/{path}.md"


def linked(text: str, source: str) -> Iterator[str]:
    """Yield the files of the repository that a page links to, relative to the root."""
    for prose in _CODE.split(text)[::2]:
        for _, link, _ in _LINK.findall(prose):
            if not re.match(r"[a-z]+:", link):
                yield normpath(f"{os.path.dirname(source)}/{link}".lstrip("/"))  # noqa: PTH120 # a path within the site


def rewritten(text: str, source: str) -> str:
    """Return the text of a page with its links as they are in the site."""
    here = os.path.dirname(site_path(source))  # noqa: PTH120 # a path within the site

    def link(match: re.Match[str]) -> str:
        before, path, after = match.groups()
        if re.match(r"[a-z]+:", path):
            return match[0]
        target = normpath(f"{os.path.dirname(source)}/{path}".lstrip("/"))  # noqa: PTH120 # the same
        return f"{before}{relpath(site_path(target), here or '.')}{after}"

    parts = _CODE.split(text)
    parts[::2] = [_LINK.sub(link, prose) for prose in parts[::2]]
    return "".join(parts)


# Pages of what is outside


def outside(texts: dict[str, str]) -> dict[str, str]:
    """Return the pages that pages link to and docs/ has not, by their files; and those that these link to."""
    found: dict[str, str] = {}
    left = [path for source, text in texts.items() for path in linked(text, source)]
    while left:
        path = left.pop()
        if path in found or path == DOCS or path.startswith(f"{DOCS}/") or not (ROOT / path).exists():
            continue  # what is nowhere, mkdocs warns of
        found[path] = _page_of(path)
        if path.endswith(".md") or (ROOT / path).is_dir():
            left.extend(linked(found[path], path if path.endswith(".md") else f"{path}/README.md"))
    return found


def _page_of(path: str) -> str:
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name for each in file.iterdir() if each.suffix in LANGUAGES or each.suffix == ".md")
        return f"# {path}/\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    text = file.read_text()
    if path.endswith(".md"):
        return text
    return f"# {path}\n\n````{LANGUAGES.get(file.suffix, 'text')}\n{text}\n````\n"


# Drawings


def drawing_path(source: str) -> str:
    """Return where the picture of a drawing is in the site."""
    return f"drawings/{hashlib.sha256(source.encode()).hexdigest()[:16]}.svg"


@cache
def picture(source: str) -> str:
    """Return a drawing in mermaid as SVG."""
    import mermaidx

    return str(mermaidx.render(source).svg())


# The navigation


def navigation(nav: Sequence[Any], pages: Sequence[str]) -> list[Any]:
    """Return the navigation of mkdocs.yml without what is not there, folders in full, all others under More."""
    named: set[str] = set()
    sections = [{title: _present(items, pages, named)} for section in nav for title, items in section.items()]
    more = [page for page in pages if page not in named]
    return [section for section in sections if any(section.values())] + ([{"More": more}] if more else [])


def _present(items: Sequence[str], pages: Sequence[str], named: set[str]) -> list[str]:
    found = [page for item in items for page in pages if page == item or (item[-1] == "/" and page.startswith(item))]
    found.sort(key=lambda page: _place(page, items))
    named.update(found)
    return found


def _place(page: str, items: Sequence[str]) -> tuple[int, bool, str]:
    place = next(at for at, item in enumerate(items) if page == item or (item[-1] == "/" and page.startswith(item)))
    return place, not page.endswith("README.md"), page


def pages_of_docs() -> list[str]:
    """Return the pages of docs/."""
    folder = ROOT / DOCS
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))


# What mkdocs calls


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation."""
    config.nav = navigation(config.nav or [], pages_of_docs())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of what is outside of docs/, and the pictures of the drawings."""
    texts = {f"{DOCS}/{page}": (ROOT / DOCS / page).read_text() for page in pages_of_docs()}
    for path, text in outside(texts).items():
        source = f"{path}/README.md" if (ROOT / path).is_dir() else path
        content = rewritten(text, source) if source.endswith(".md") else text
        files.append(_generated(config, site_path(path), content))
    for drawing in {drawing for text in texts.values() for drawing in _DRAWING.findall(text)}:
        files.append(_generated(config, drawing_path(drawing), picture(drawing)))
    return files


def _generated(config: MkDocsConfig, path: str, content: str) -> File:
    file = File.generated(config, path, content=content)
    # reached by links alone: in the navigation it would be noise
    file.inclusion = type(file.inclusion).NOT_IN_NAV
    return file


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where things are in the site, and show drawings as pictures."""
    del config, files
    path = page.file.src_uri
    if path.startswith(f"{OUTSIDE}/"):
        return markdown
    here = os.path.dirname(path) or "."  # noqa: PTH120 # a path within the site

    def shown(match: re.Match[str]) -> str:
        link = relpath(drawing_path(match[1]), here)
        return f"[![drawing: click to enlarge]({link})]({link})"

    return _DRAWING.sub(shown, rewritten(markdown, f"{DOCS}/{path}"))
