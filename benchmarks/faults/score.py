"""How early failures of a recorded set are predicted: our forecasts, predict_linear and static thresholds.

Replayed second by second, each method seeing only what came before. An alarm is a condition that held three times in
a row. A fault counts as predicted if an alarm stands between its onset and its failure; the lead is the share of the
time between them that was left at the first such alarm. Any alarm in a healthy spell is a false one.

Only the later half of the recording is scored; our trained predictors learn from the earlier one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from faults import learnt
from faults.plan import FAULTS
from presagio.forecasters.base import Floats, TooFewFailuresError
from presagio.forecasters.drift import Drift, DriftParams
from presagio.forecasters.quick import Quick
from presagio.forecasters.threshold import crossing

LIMITS = {"memory": 64.0 * 2**20, "latency": 0.2, "disk": 15.2 * 2**20, "redis": 30.4 * 2**20, "postgres": 38.0}
"""What faults.subjects has."""

HORIZON = 90.0
EVERY = 3
"""Seconds between two looks."""

SUSTAINED = 3
HISTORY = 600

SETTLING = 10.0
"""Seconds at the begin of a healthy spell that count for nothing: what failed before it is just being repaired."""

Method = Callable[[Floats, float], npt.NDArray[np.bool_]]


def static(share: float) -> Method:
    """Return the rule that the newest value is above a share of the limit."""
    return lambda history, limit: history[:, -1] > share * limit


def linear(window: int) -> Method:
    """Return predict_linear(x[window], HORIZON) > limit, the line of least squares that PromQL has."""

    def alarm(history: Floats, limit: float) -> npt.NDArray[np.bool_]:
        part = history[:, -window:]
        slope, level = np.polyfit(np.arange(1 - part.shape[1], 1), part.T, 1)
        return np.asarray(level + slope * HORIZON > limit)

    return alarm


def forecast(history: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return whether quick gives the crossing within the horizon a probability of a half."""
    return _crosses(Quick(Quick.Params(season="none"), 0), history, limit)


def drift(history: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return whether drift, one of those that quick weighs, does so alone."""
    return _crosses(Drift(DriftParams(season="none", window=24)), history, limit)


def _crosses(forecaster: Any, history: Floats, limit: float) -> npt.NDArray[np.bool_]:
    horizons = [HORIZON * part / 6 for part in range(1, 7)]
    found = forecaster.forecast(history, 1.0, horizons)
    limits = np.full(len(history), limit)
    chance = crossing(found, horizons, limits, "above", history[:, -1], [HORIZON])[:, 0]
    return np.asarray(chance >= 0.5)


METHODS: Mapping[str, Method] = {
    "forecast": forecast,
    "drift": drift,
    "predict_linear 30 s": linear(30),
    "predict_linear 60 s": linear(60),
    "static 80 %": static(0.8),
    "static 90 %": static(0.9),
}


def alarms(values: Floats, limit: float, method: Method) -> npt.NDArray[np.int64]:
    """Return the seconds [a] at which the condition had held SUSTAINED looks in a row."""
    looks = np.arange(30, len(values) + 1, EVERY)
    return sustained(looks, [bool(method(values[None, max(0, end - HISTORY) : end], limit)[0]) for end in looks])


def sustained(looks: npt.NDArray[np.int64], found: Sequence[bool]) -> npt.NDArray[np.int64]:
    """Return the seconds before those looks at which the condition had held SUSTAINED looks in a row."""
    held = np.array(found, dtype=np.bool_)
    lasting = [index for index in range(SUSTAINED - 1, len(held)) if held[index + 1 - SUSTAINED : index + 1].all()]
    return looks[lasting] - 1


def measures(spells: Sequence[tuple[bool, float, float]], found: Sequence[npt.NDArray[np.int64]]) -> dict[str, float]:
    """Return the measures of spells (is a fault; onset; failure or end, in seconds) and of their services' alarms."""
    leads, hours, false = [], 0.0, 0
    for (fault, onset, end), at in zip(spells, found, strict=True):
        within = at[(at > onset) & (at < end)]
        if fault:
            leads.append((end - within[0]) / (end - onset) if len(within) else np.nan)
        else:
            hours += (end - onset) / 3600
            false += len(within) > 0
    lead = np.array(leads)
    caught = int((~np.isnan(lead)).sum())
    return {
        "failures": len(lead),
        "recall": caught / max(1, len(lead)),
        "precision": caught / max(1, caught + false),
        "predicted_by_half": float((lead >= 0.5).mean()) if len(lead) else np.nan,
        "median_lead_share": float(np.nanmedian(lead)) if caught else 0.0,
        "healthy_hours": hours,
        "false_alarms": false,
    }


def score(folder: Path) -> dict[str, dict[str, float]]:
    """Return the measures of each method on the set in `folder`."""
    samples = pd.read_parquet(folder / "samples.parquet")
    episodes = pd.read_csv(folder / "episodes.csv")
    values = samples.pivot(index="time", columns="service", values="value").ffill().bfill()
    spells, services = kept(episodes, values.index[0], len(values) / 2)
    own = {name: _ruled(values, method) for name, method in METHODS.items()}
    for name in learnt.PREDICTORS:
        try:
            own[name] = learnt.alarms(values, episodes, LIMITS, HORIZON, name, len(values) // 2)
        except TooFewFailuresError as error:
            print(f"{name}: {error}", file=sys.stderr)
    return {name: measures(spells, [found[service] for service in services]) for name, found in own.items()}


def kept(episodes: pd.DataFrame, start: float, half: float) -> tuple[list[tuple[bool, float, float]], list[str]]:
    """Return the spells of the later half, in seconds from the start, and the service of each.

    A fault that was cut off before the limit is neither a failure nor healthy.
    """
    known = episodes[~episodes["shape"].isin(tuple(FAULTS)) | episodes["failed"].notna()]
    is_fault = known["shape"].isin(tuple(FAULTS))
    onset = known["onset"] - start + np.where(is_fault, 0.0, SETTLING)
    end = np.where(is_fault, known["failed"], known["end"]) - start
    later = (onset >= half).to_numpy()
    spells = [*zip(is_fault[later].tolist(), onset[later].tolist(), end[later].tolist(), strict=True)]
    return spells, known["service"][later].astype(str).tolist()


def _ruled(values: pd.DataFrame, method: Method) -> dict[str, npt.NDArray[np.int64]]:
    return {
        str(service): alarms(column.to_numpy(np.float64), LIMITS[str(service).partition("-")[0]], method)
        for service, column in values.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line: print the measures as JSON, or write them to --out."""
    parser = argparse.ArgumentParser(description="score predictions on a recorded set")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    text = json.dumps({"faults": score(arguments.folder)}, indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
