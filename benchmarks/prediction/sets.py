"""The sets, each from its files to the measures of one method after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from prediction import alpi, backblaze, cmapss
from prediction.measures import expected_life, macro, micro, probabilities, rmse
from prediction.methods import METHODS, Method, there
from presagio.detectors.base import Bools, Floats
from presagio.forecasters.base import Examples, Progress, TooFewFailuresError

Figures = Mapping[str, float]
Told = Iterator[tuple[str, Figures]]
"""Methods and their measures, as soon as they are known; one method may come several times, with more measures."""


def backblaze_2013(train: Path, data: Path, methods: Sequence[str], progress: Progress) -> Told:
    """Yield the measures of drives that fail within days."""
    found = backblaze.load(train, data)
    for days in backblaze.HORIZONS:
        rng = np.random.default_rng(0)
        learnt, asked = backblaze.lesson(found, days, rng), backblaze.exam(found, days, rng)
        if not learnt.distinct or not asked.distinct:
            print(f"{backblaze.SET}: too short a time to learn and to score failures within {days} days, skipped")
            continue
        print(
            f"{backblaze.SET} {days} d: {_described(learnt)} to learn from, {_described(asked)} to score", flush=True
        )
        if "two_smart_rule" in methods:
            yield "two_smart_rule", backblaze.figures(found, asked, backblaze.rule(asked), days)
        for name in _learning(methods):
            said = _said(METHODS[name], learnt, [asked], progress)
            yield name, backblaze.figures(found, asked, said, days)


def alpi_alarms(train: Path, data: Path, methods: Sequence[str], progress: Progress) -> Told:
    """Yield the measures of alarms that come within eight hours."""
    first, second = alpi.load(train, "train"), alpi.load(data, "test")
    if first is None:
        raise FileNotFoundError(f"expected alpi_train.parquet in {str(train / alpi.SET)!r}")
    known = alpi.codes([first] if second is None else [first, second])
    earlier = alpi.windows(first, known)
    earlier, later = alpi.split(earlier) if second is None else (earlier, alpi.windows(second, known))
    shares = alpi.rates(earlier)
    learnt = alpi.sample(earlier, shares, np.random.default_rng(0))
    print(f"{alpi.SET}: {len(earlier.machines)} windows to learn from, {len(later.machines)} to score", flush=True)
    rare = earlier.came.mean(axis=0) < alpi.RARE
    plain = {"persistence": (later.counts > 0).astype(np.float64), "rate_of_machine": shares[later.machines]}
    for name in methods:
        if name in plain:
            yield name, _of_codes(later.came, plain[name], rare)
    for name in _learning(methods):
        if name in alpi.BY_CODE:
            said = _by_code(METHODS[name], earlier, later, shares, progress)
        else:
            said = _said(METHODS[name], learnt, alpi.every(later, shares), progress).reshape(later.came.shape)
        yield name, _of_codes(later.came, said, rare)


def _by_code(
    method: Method, earlier: alpi.Windows, later: alpi.Windows, shares: Floats, progress: Progress
) -> Floats:
    """Return what a method says of each window and code, learnt code by code: each is a failure of its own.

    Of a code that too few windows were followed by, the rate of the machine is said.
    """
    known, asked = alpi.inputs(earlier), alpi.inputs(later)
    said = shares[later.machines].copy()
    for column in range(said.shape[1]):
        if alpi.FEWEST <= earlier.came[:, column].sum() < len(earlier.came):
            with suppress(TooFewFailuresError):
                said[:, column] = method(alpi.of_code(earlier, known, column), lambda _: None)(asked)
        progress((column + 1) / said.shape[1])
    return said


def engines(train: Path, data: Path, methods: Sequence[str], progress: Progress) -> Told:
    """Yield the measures of engines and what life they have left."""
    found = cmapss.load(train, "train")
    if found is None:
        raise FileNotFoundError(f"expected engines with split train in {str(train / cmapss.SET)!r}")
    held = cmapss.load(data, "test")
    if held is None:
        exams = list(cmapss.folds(found, np.random.default_rng(0)))
    else:
        found, count = cmapss.joined(found, held), len(found.subsets)
        exams = [cmapss.last(found, count)]
    lessons = [cmapss.lesson(found, exam, np.random.default_rng(0)) for exam in exams]
    asked = [cmapss.asked(found, exam.services, exam.moments) for exam in exams]
    print(f"{cmapss.SET}: {len(found.subsets)} engines, {sum(map(len, asked))} moments to score", flush=True)
    for name in _learning(methods):
        yield name, _of_engines(found, lessons, asked, METHODS[name], progress)
    yield from ((name, figures) for name, figures in cmapss.PUBLISHED.items() if name in methods)


SETS: Mapping[str, Callable[[Path, Path, Sequence[str], Progress], Told]] = {
    backblaze.SET: backblaze_2013, alpi.SET: alpi_alarms, cmapss.SET: engines,
}  # fmt: skip
ALL = ("two_smart_rule", "persistence", "rate_of_machine", *METHODS, *cmapss.PUBLISHED)
"""The methods of all sets, in the order of the table."""


def _of_engines(
    found: cmapss.Engines, lessons: Sequence[Examples], asked: Sequence[Examples], method: Method, progress: Progress
) -> Figures:
    figures: dict[str, float] = {}
    lives, failing = [], []
    for number, (learnt, exam) in enumerate(zip(lessons, asked, strict=True)):
        said = {}
        left = cmapss.remaining(found, learnt)
        for part, horizon in enumerate(cmapss.HORIZONS):
            said[horizon] = _said(method, cmapss.within(learnt, left, horizon), [exam], lambda _: None)
            progress((number + (part + 1) / len(cmapss.HORIZONS)) / len(lessons))
        lives.append(expected_life(said))
        failing.append(said[cmapss.FAILING])
    left = np.concatenate([cmapss.remaining(found, exam) for exam in asked])
    subsets = np.concatenate([np.array(found.subsets)[exam.groups] for exam in asked])
    for subset in np.unique(subsets):
        rows = subsets == subset
        figures[f"{subset}_rmse"] = rmse(left[rows], np.concatenate(lives)[rows])
        told = probabilities(left[rows] <= cmapss.FAILING, np.concatenate(failing)[rows], np.ones(int(rows.sum())))
        figures |= {f"{subset}_within_30_{name}": value for name, value in told.items()}
    return figures


def _of_codes(came: Bools, said: Floats, rare: Bools) -> Figures:
    return {
        "micro_average_precision": micro(came, said), "rare_average_precision": macro(came[:, rare], said[:, rare]),
        "rare_micro_average_precision": micro(came[:, rare], said[:, rare]), "base_rate": float(came.mean()),
        "rare_base_rate": float(came[:, rare].mean()), "rare_codes": float(came[:, rare].any(axis=0).sum()),
    }  # fmt: skip


def _said(method: Method, learnt: Examples, asked: Iterable[Examples], progress: Progress) -> Floats:
    """Return what a method says of all moments asked for; the base rate where it says nothing, or cannot learn."""
    rate = float(np.average(learnt.failed, weights=learnt.weights))
    if rate in (0.0, 1.0):
        return np.concatenate([np.full(len(one), rate) for one in asked])
    try:
        fitted = method(learnt, progress)
    except TooFewFailuresError as error:
        print(f"{error}: the base rate stands in", flush=True)
        return np.concatenate([np.full(len(one), rate) for one in asked])
    said = np.concatenate([fitted(one.inputs) for one in asked])
    return np.where(np.isnan(said), rate, said)


def _learning(methods: Sequence[str]) -> Iterator[str]:
    for name in methods:
        if name in METHODS and there(name):
            yield name
        elif name in METHODS:
            print(f"{name}: not installed here, skipped")


def _described(found: Examples) -> str:
    return f"{len(found)} moments with {found.distinct} failures"
