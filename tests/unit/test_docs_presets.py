"""docs/presets.md says what the presets hold."""

import re
from pathlib import Path

import pytest

from presagio.exporter.config import Signal
from presagio.exporter.presets import catalogue
from presagio.toolkit.units import format_duration

PAGE = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
SIGNALS = {name: [Signal.model_validate(one) for one in catalogue.signals(name)] for name in catalogue.names()}


def section(preset: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {preset}\n")[1], flags=re.MULTILINE)[0]


def band(signal: Signal) -> str:
    share = f"{signal.dead_band.relative * 100:g} %" if signal.dead_band.relative else ""
    return " and ".join(filter(None, [share, f"{signal.dead_band.absolute:g}"]))


@pytest.mark.parametrize("preset", SIGNALS)
def test_each_signal_of_a_preset_is_documented_as_it_is(preset: str) -> None:
    rows = re.findall(r"^\| (`[a-z0-9_]+` \| [^|]+ \| (?:both|above|below) \|.*) \|$", section(preset), re.MULTILINE)
    documented = [[cell.strip("` ") for cell in row.split(" | ")] for row in rows]
    assert [cells[:-1] for cells in documented] == [
        [one.name, one.unit, one.direction, band(one), one.missing, format_duration(one.adapt_after)]
        for one in SIGNALS[preset]
    ]
    assert all(len(cells[-1]) > 5 for cells in documented)


@pytest.mark.parametrize("preset", SIGNALS)
def test_each_preset_says_how_many_series_it_makes(preset: str) -> None:
    assert re.search(rf"^\| \[{preset}\]\(#{preset}\) \| .* \| .*\d+ .* \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("preset", SIGNALS)
def test_a_target_that_vanishes_is_told_by_a_signal_of_its_preset(preset: str) -> None:
    """And by few of them: one outage is no ten anomalies."""
    telling = [one.name for one in SIGNALS[preset] if one.missing != "skip"]
    assert 1 <= len(telling) <= 2


@pytest.mark.parametrize("signal", [one for group in SIGNALS.values() for one in group], ids=lambda one: one.name)
def test_each_signal_has_a_unit_a_dead_band_and_windows_of_four_scrapes(signal: Signal) -> None:
    assert signal.unit
    assert signal.dead_band.absolute > 0
    assert set(re.findall(r"\[([^\]$]+)\]", signal.query)) <= {"4m", "10m", "1h", "^-"}
    assert "${" not in signal.query
    if signal.unit == "ratio":
        assert signal.dead_band.absolute <= 0.2
