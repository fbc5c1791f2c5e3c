"""The documentation as a site: no page left out, nothing fetched from elsewhere, what code writes is up to date."""

import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from shell_blocks import blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@cache
def script(name: str) -> ModuleType:
    """Return a script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# What code writes


def test_the_api_reference_is_what_the_servers_say() -> None:
    for path, text in script("api").files().items():
        assert path.read_text() == text, f"{path.name} is out of date; run: python docs/api.py"


def test_every_operation_and_every_body_is_in_the_reference() -> None:
    page = (DOCS / "api.md").read_text()
    for name in ("exporter", "webhook"):
        document = json.loads((DOCS / f"openapi-{name}.json").read_text())
        operations = [f"{method.upper()} {path}" for path, told in document["paths"].items() for method in told]
        assert [each for each in operations if f"\n### {each}\n" not in page] == []
        assert [
            each for each in document["components"]["schemas"] if f"\n#### {each} of the {name}\n" not in page
        ] == []


# The navigation


def flat(nav: list[dict[str, list[str]]]) -> list[str]:
    return [page for section in nav for pages in section.values() for page in pages]


def configured() -> list[dict[str, list[str]]]:
    """Return `nav` of mkdocs.yml, which yaml.safe_load cannot read as a whole: it names a function."""
    text = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    found: list[dict[str, list[str]]] = []
    for title, page in re.findall(r"^  - (\w+):$|^      - (\S+)$", text, re.MULTILINE):
        if title:
            found.append({title: []})
        else:
            next(iter(found[-1].values())).append(page)
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    hooks = script("hooks")
    pages = flat(hooks.navigation(configured(), hooks.pages_of_docs()))
    assert sorted(pages) == hooks.pages_of_docs()


def test_what_is_not_there_yet_is_left_out_and_what_nobody_named_comes_last() -> None:
    nav = [{"Start": ["README.md", "later.md"]}, {"Later": ["much.md"]}, {"All": ["folder/"]}]
    pages = ["README.md", "folder/README.md", "folder/A.md", "new.md"]
    expected = [{"Start": ["README.md"]}, {"All": ["folder/README.md", "folder/A.md"]}, {"More": ["new.md"]}]
    assert script("hooks").navigation(nav, pages) == expected


# Links and drawings


def test_a_link_leads_to_the_page_of_what_is_outside_of_docs() -> None:
    rewritten = script("hooks").rewritten
    assert rewritten("[a](../CONTRIBUTING.md#commits)", "docs/README.md") == "[a](repository/CONTRIBUTING.md#commits)"
    assert rewritten("[a](../../rules/x.yml)", "docs/cases/a.md") == "[a](../repository/rules/x.yml.md)"
    assert rewritten("[a](cases) [b](actions.md#x)", "docs/README.md") == "[a](cases/README.md) [b](actions.md#x)"
    assert rewritten("`[a](../x)` [b](https://x/y)", "docs/README.md") == "`[a](../x)` [b](https://x/y)"


def test_every_drawing_becomes_a_picture_that_fetches_nothing() -> None:
    hooks = script("hooks")
    drawings = [text for page in DOCS.rglob("*.md") for text in hooks._DRAWING.findall(page.read_text())]
    assert drawings
    for drawing in drawings:
        picture = hooks.picture(drawing)
        assert picture.startswith("<svg")
        # names of XML's own, never fetched
        assert set(re.findall(r"https?://[\w.]+", picture)) == {"http://www.w3.org"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text('<h1 id="top">a</h1><a href="b.html#there">b</a><a href="#top">c</a>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="https://example.org/x">away</a><img src="a.svg">')
    (tmp_path / "a.svg").write_text("<svg/>")
    return tmp_path


def test_a_site_without_mistakes_has_none(site: Path) -> None:
    assert list(script("check_links").mistakes(site)) == []


@pytest.mark.parametrize(
    ("html", "mistake"),
    [
        ('<a href="c.html">x</a>', "no such file"),
        ('<a href="b.html#nowhere">x</a>', "no such anchor"),
        ('<a href="#nowhere">x</a>', "no such anchor"),
        ('<img src="b.svg">', "no such file"),
        ('<script src="https://cdn.example.org/x.js"></script>', "is fetched from elsewhere"),
        ('<link rel="stylesheet" href="//fonts.example.org/x.css">', "is fetched from elsewhere"),
    ],
)
def test_each_mistake_is_found(html: str, mistake: str, site: Path) -> None:
    (site / "index.html").write_text(html)
    [found] = script("check_links").mistakes(site)
    assert found.startswith("index.html: ")
    assert found.endswith(mistake)


# README.es.md


def code(text: str) -> str:
    """Return a script without its comments, which are translated."""
    return re.sub(r"\s+#.*$", "", text, flags=re.MULTILINE)


def test_both_readmes_show_the_same_commands_and_files() -> None:
    english, spanish = ROOT / "README.md", ROOT / "README.es.md"
    assert [code(text) for text in blocks(spanish)] == [code(text) for text in blocks(english)]
    yaml = [
        re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL) for page in (english, spanish)
    ]
    assert yaml[0] == yaml[1]
    assert len(yaml[0]) >= 2


def test_both_readmes_lead_to_each_other() -> None:
    assert "](README.es.md)" in (ROOT / "README.md").read_text()
    assert "](README.md)" in (ROOT / "README.es.md").read_text()
