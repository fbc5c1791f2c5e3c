"""Check the site that was made: every link leads to a file and an anchor, and nothing is fetched from elsewhere.

python docs/check_links.py build/site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
"""What a browser loads by itself, and the attribute that names it."""

FETCHED_LINKS = frozenset({"stylesheet", "icon", "preload", "modulepreload"})


@dataclass
class Html:
    """The links, the loaded files and the anchors of one file."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = Html()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.found.anchors.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.found.links.append(values["href"])
        is_loaded = tag in FETCHED and (tag != "link" or values.get("rel", "") in FETCHED_LINKS)
        if is_loaded and FETCHED[tag] in values:
            self.found.loaded.append(values[FETCHED[tag]])


def read(file: Path) -> Html:
    """Return what a file of HTML links to and holds."""
    reader = _Reader()
    reader.feed(file.read_text())
    return reader.found


def mistakes(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, a line each."""
    pages = {file.resolve(): read(file) for file in sorted(site.rglob("*.html"))}
    for file, html in pages.items():
        if file.name == "404.html":
            continue  # it is served at any address, so its links begin at the root
        where = file.relative_to(site.resolve())
        yield from (f"{where}: {link} is fetched from elsewhere" for link in html.loaded if _is_elsewhere(link))
        for link in html.links + html.loaded:
            if not _is_elsewhere(link) and (why := _lost(file, link, pages)):
                yield f"{where}: {link}: {why}"


def _is_elsewhere(link: str) -> bool:
    parts = urlsplit(link)
    return bool(parts.netloc or parts.scheme not in ("", "file"))


def _lost(file: Path, link: str, pages: dict[Path, Html]) -> str | None:
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "no such file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "no such anchor"
    return None


def main() -> int:
    """Print what is wrong and return the exit code."""
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        print(f"{site} has no index.html; make the site first: make docs", file=sys.stderr)  # noqa: T201 # for a terminal
        return 1
    found = list(mistakes(site))
    print("\n".join(found) or f"{len(list(site.rglob('*.html')))} pages, no dead link")  # noqa: T201 # for a terminal
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
