"""Plug-ins are found by entry points, ours and a stranger's."""

import sys
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from presagio.toolkit import plugins
from presagio.toolkit.errors import PluginError

GROUPS = (plugins.DETECTORS, plugins.ACTIONS, plugins.COMMANDS, plugins.CONFIG_FILES)
ROOT = Path(__file__).parents[3]
Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that has entry points of one group found, name=value, and no others."""

    def install(**values: str) -> None:
        points = [EntryPoint(name, value, "presagio.detectors") for name, value in values.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: points)
        plugins._found.cache_clear()

    yield install
    plugins._found.cache_clear()


def test_names_are_sorted(install: Install) -> None:
    install(zscore="a:B", mad="c:D", profile="e:F")
    assert plugins.names("presagio.detectors") == ["mad", "profile", "zscore"]


def test_a_plug_in_is_imported_only_when_it_is_loaded(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("strangers_detector")
    module.Detector = object()  # type: ignore[attr-defined] # what the entry point names
    install(stranger="strangers_detector:Detector", lazy="a_module_that_is_not_there:X")
    assert "stranger" in plugins.names("presagio.detectors")
    monkeypatch.setitem(sys.modules, "strangers_detector", module)
    assert plugins.load("presagio.detectors", "stranger") is module.Detector


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a_module_that_is_not_there:X", "No module named 'a_module_that_is_not_there'"),
        ("json:not_there", "module 'json' has no attribute 'not_there'"),
    ],
)
def test_a_broken_one_says_which_and_why(install: Install, value: str, told: str) -> None:
    install(broken=value)
    with pytest.raises(PluginError) as caught:
        plugins.load("presagio.detectors", "broken")
    assert str(caught.value) == f"presagio.detectors 'broken' ({value}) cannot be loaded: {told}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("profil", "; did you mean 'profile'?"),
        ("nothing-like-it", ""),
    ],
)
def test_an_unknown_one_is_told_with_those_that_there_are(install: Install, name: str, told: str) -> None:
    install(profile="a:B", mad="c:D")
    with pytest.raises(PluginError) as caught:
        plugins.load("presagio.detectors", name)
    assert str(caught.value) == f"no presagio.detectors named {name!r} is installed; there are mad, profile{told}"


def test_a_group_without_any_says_none(install: Install) -> None:
    install()
    with pytest.raises(PluginError, match=r"no presagio\.actions named 'x' is installed; there are none$"):
        plugins.load(plugins.ACTIONS, "x")


def test_each_of_ours_loads() -> None:
    for group in GROUPS:
        for name in plugins.names(group):
            assert plugins.load(group, name) is not None


def test_what_setup_cfg_registers_is_installed() -> None:
    """Else an entry point was added after the last `make`: `pip install --editable .` again."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    for group in GROUPS:
        listed = {
            line.partition("=")[0].strip() for line in config["options.entry_points"][group].strip().splitlines()
        }
        assert listed <= set(plugins.names(group))
