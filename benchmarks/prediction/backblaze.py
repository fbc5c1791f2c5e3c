"""Disks of a data centre, and the days on which they failed: Backblaze's drive statistics.

DATA/backblaze_2013/drive_days.parquet   date, serial_number, model, capacity_bytes, failure, smart_*_raw
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from prediction.measures import SHARES, Lives, at_moments, caught, probabilities
from presagio.detectors.base import Floats
from presagio.exporter.episodes import Episodes
from presagio.exporter.features import Featuriser
from presagio.exporter.panel import Channel, Panel
from presagio.exporter.training import Moments, examples, labelled, sampled
from presagio.forecasters.base import Examples

SET, DAY = "backblaze_2013", 86400.0
HORIZONS = (3, 7, 14)
WINDOWS = (3.0, 7.0, 14.0)
RECENT, MOST = 14, 200_000
"""Steps that sequence models see; most moments learnt from."""

_SCORED = 1_500_000
"""Moments scored, about, at most: each has a hundred features and more."""


@dataclass(frozen=True)
class Drives:
    """What is known of all drives; moments before `border` (Unix seconds) are learnt from, later ones scored."""

    panel: Panel
    episodes: Episodes
    border: float

    @property
    def lives(self) -> Lives:
        """When each drive failed that did."""
        number = {service: row for row, service in enumerate(self.panel.services)}
        return Lives(np.array([number[one] for one in self.episodes.services], dtype=np.int64), self.episodes.begins)


def load(train: Path, data: Path) -> Drives:
    """Return the drives of two folders; the border is where DATA begins, or the middle if both are one."""
    later = _read(data)
    if train.resolve() == data.resolve():
        days = later["date"].to_numpy(np.float64)
        middle = days.min() + np.floor((days.max() - days.min()) / DAY / 2) * DAY
        return drives(later, float(middle))
    border = float(later["date"].min())
    earlier = _read(train)
    return drives(pd.concat([earlier[earlier["date"] < border], later], ignore_index=True), border)


def drives(frame: pd.DataFrame, border: float) -> Drives:
    """Return the drives of a table with a row for each drive and day (`date` in Unix seconds)."""
    rows, serials = pd.factorize(frame["serial_number"], sort=True)
    days = frame["date"].to_numpy(np.float64)
    columns = ((days - days.min()) / DAY).round().astype(np.int64)
    names = [*sorted(name for name in frame.columns if name.startswith("smart_")), "capacity_bytes"]
    values = np.full((len(serials), columns.max() + 1, len(names)), np.nan, dtype=np.float32)
    for number, name in enumerate(names):
        values[rows, columns, number] = frame[name].to_numpy(np.float32)
    models = np.full(len(serials), "", dtype=object)
    models[rows] = frame["model"].astype(str).to_numpy()
    times = days.min() + DAY * np.arange(values.shape[1])
    channels = tuple(Channel(name) for name in names)
    panel = Panel(tuple(map(str, serials)), tuple(map(str, models)), times, DAY, channels, values)
    failed = frame[frame["failure"] == 1].groupby("serial_number")["date"].min()
    begins = failed.to_numpy(np.float64)
    episodes = Episodes(
        [str(one) for one in failed.index], begins, np.full(len(begins), np.inf), float(times[0]), float(times[-1])
    )
    return Drives(panel, episodes, border)


def featuriser(panel: Panel) -> Featuriser:
    """Return what makes features: the product's own, on days."""
    kinds = sorted(set(panel.kinds))
    return Featuriser(panel.channels, DAY, [DAY * window for window in WINDOWS], RECENT, None, kinds)


def lesson(found: Drives, days: int, rng: np.random.Generator) -> Examples:
    """Return what is learnt from: moments of which all was known at the border."""
    known = found.episodes.begins <= found.border
    past = found.episodes.rows(np.flatnonzero(known))
    past = Episodes(past.services, past.begins, past.ends, past.known_from, found.border)
    moments = _told(found.panel, past, days)
    return examples(found.panel, sampled(moments, MOST, rng), featuriser(found.panel), days * DAY)


def exam(found: Drives, days: int, rng: np.random.Generator) -> Examples:
    """Return what is scored: all moments from the border on, of some of the healthy drives if there are too many."""
    moments = _told(found.panel, found.episodes, days)
    moments = _some_healthy(moments.rows(found.panel.times[moments.moments] >= found.border), found.lives, rng)
    return examples(found.panel, moments, featuriser(found.panel), days * DAY)


def _some_healthy(moments: Moments, lives: Lives, rng: np.random.Generator) -> Moments:
    """Return the moments of all drives that failed and, beyond so many, of some of the others, which weigh more."""
    drives = np.setdiff1d(moments.services, lives.groups)
    keep = int(len(drives) * min(1.0, _SCORED / max(len(moments.services), 1)))
    if keep == len(drives):
        return moments
    chosen = np.append(rng.choice(drives, keep, replace=False), lives.groups)
    heavier = np.where(np.isin(moments.services, lives.groups), 1.0, len(drives) / max(keep, 1))
    weighted = replace(moments, weights=moments.weights * heavier)
    return weighted.rows(np.isin(moments.services, chosen))


def figures(found: Drives, examined: Examples, said: Floats, days: int) -> dict[str, float]:
    """Return the measures of probabilities at one horizon, named by it."""
    measured = probabilities(examined.failed, said, examined.weights)
    for name, share in SHARES.items():
        part, lead = caught(examined, said, found.lives, share)
        measured |= {f"caught_at_{name}": part, f"lead_days_at_{name}": lead / DAY}
        measured[f"caught_at_{name}_of_days"] = at_moments(examined, said, share)
    return {f"h{days}_{name}": value for name, value in measured.items()}


def rule(examined: Examples) -> Floats:
    """Return how many of two counters are above 0: reallocated and pending sectors (SMART 5 and 197)."""
    wanted = [examined.inputs.names.index(f"smart_{number}_raw, now") for number in (5, 197)]
    with np.errstate(invalid="ignore"):
        share: Floats = (examined.inputs.features[:, wanted] > 0).mean(axis=1)
    return share


def _told(panel: Panel, episodes: Episodes, days: int) -> Moments:
    """Return the moments whose whole horizon is known: a failure known early must not count where health is not."""
    moments = labelled(panel, episodes, days * DAY, 0.0)
    return moments.rows(panel.times[moments.moments] + days * DAY <= episodes.known_to)


def _read(folder: Path) -> pd.DataFrame:
    frame = pd.read_parquet(folder / SET / "drive_days.parquet")
    return frame.assign(date=frame["date"].to_numpy("datetime64[s]").astype(np.float64))
