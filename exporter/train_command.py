"""`presagio train` as it is run from a terminal, and by the exporter on its schedule."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson

from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.failure_config import Failure
from presagio.exporter.failures import configured_failures
from presagio.exporter.models import MODELS, ModelError, Shelf, load
from presagio.exporter.panel_reader import subject
from presagio.exporter.quality import Quality
from presagio.exporter.trainer import Outcome, Result, Trainer
from presagio.toolkit.clock import Clock, SystemClock
from presagio.toolkit.durable import locked
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.log import get_log
from presagio.toolkit.progress import progress
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.table import columns
from presagio.toolkit.units import format_duration

_PARTS = 1000
_QUALITY = ("FAILURES", "BASE RATE", "AVG PRECISION", "BRIER SKILL", "CAUGHT", "MEDIAN LEAD")
_LEARNT = ("FAILURE", "HORIZON", "OUTCOME", "PREDICTOR", "LEARNT FROM", *_QUALITY[1:], "WHY")
_KEPT = ("FAILURE", "HORIZON", "MODEL", "IN USE", "PREDICTOR", "LEARNT FROM", *_QUALITY[1:], "FIT FOR USE")


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """Do what was asked for and print the answer; 1 if a training failed. Raises PresagioError."""
    config = FILE.load(arguments.config_file)
    failures = _chosen(configured_failures(config), arguments.failures)
    shelf = Shelf(arguments.storage_path / MODELS)
    if arguments.list:
        return _print(
            arguments, list(_kept(config, failures, shelf)), _KEPT, "no models yet: presagio train makes them"
        )
    if arguments.rollback:
        return _rollback(_chosen(configured_failures(config), [arguments.rollback])[0], shelf)
    if not failures:
        raise PresagioError("there are no failures to learn; name some under failures: or add a preset that has some")
    with locked(shelf.folder / "lock"):  # the exporter's own training and this one must not write at once
        outcomes = _trained(config, failures, shelf, arguments, clock or SystemClock())
    code = 1 if any(one.result is Result.FAILED for one in outcomes) else 0
    _print(arguments, [_row(one) for one in outcomes], _LEARNT, "", [asdict(one) for one in outcomes])
    return code


def _chosen(failures: Sequence[Failure], names: Sequence[str]) -> list[Failure]:
    known = {failure.name: failure for failure in failures}
    for name in names:
        if name not in known:
            raise PresagioError(f"there is no failure {name!r}; there are: {', '.join(known) or 'none'}")
    return [known[name] for name in names] if names else list(known.values())


def _trained(
    config: ExporterConfig, failures: Sequence[Failure], shelf: Shelf, arguments: argparse.Namespace, clock: Clock
) -> list[Outcome]:
    log = get_log("exporter.training")
    source = Prometheus(config.prometheus)
    trainer = Trainer(config, source, shelf, arguments.config_file.parent, clock, log)
    found: list[Outcome] = []
    with progress("training", _PARTS * len(failures), clock, log) as advance:
        for number, failure in enumerate(failures):
            done = [0]

            def tell(share: float, done: list[int] = done) -> None:
                steps = round(_PARTS * share) - done[0]
                if steps > 0:
                    done[0] += steps
                    advance(steps)

            log.info("training", failure=failure.name, number=number + 1, of=len(failures))
            found += trainer.train(failure, tell, arguments.dry_run)
            tell(1.0)
    return found


def _rollback(failure: Failure, shelf: Shelf) -> int:
    if not shelf.horizons(failure.name):
        raise ModelError(f"there is no model of {failure.name!r}; presagio train --list shows what there is")
    with locked(shelf.folder / "lock"):
        for horizon in failure.horizons:
            if shelf.current(failure.name, horizon) is not None:
                path = shelf.rollback(failure.name, horizon)
                sys.stdout.write(f"{failure.name} within {format_duration(horizon)}: {path.name} is in use now\n")
    return 0


def _kept(config: ExporterConfig, failures: Sequence[Failure], shelf: Shelf) -> Iterator[tuple[str, ...]]:
    for failure in failures:
        of = subject(config, failure)
        for horizon in failure.horizons:
            current = shelf.current(failure.name, horizon)
            for path in shelf.paths(failure.name, horizon):
                yield _file(path, failure.name, horizon, path == current, of.definition(horizon))


def _file(path: Path, failure: str, horizon: float, is_current: bool, definition: str) -> tuple[str, ...]:
    begin = (failure, format_duration(horizon), path.name, "yes" if is_current else "")
    try:
        header = load(path).header
        load(path, definition)
    except ModelError as error:
        return (*begin, *("-",) * (len(_KEPT) - len(begin) - 1), f"no: {error}")
    return (*begin, header.used, f"{header.failures}", *_told(header.quality), "yes")


def _row(one: Outcome) -> tuple[str, ...]:
    quality = _told(one.new) if one.new else ("-",) * (len(_QUALITY) - 1)
    head = (one.failure, format_duration(one.horizon), one.result.value, one.used or "-", f"{one.failures}")
    return (*head, *quality, one.why)


def _told(quality: Quality) -> tuple[str, ...]:
    lead = format_duration(quality.median_lead) if np.isfinite(quality.median_lead) else "-"
    numbers = (quality.base_rate, quality.average_precision, quality.brier_skill, quality.caught)
    return (*("-" if np.isnan(one) else f"{one:.3f}" for one in numbers), lead)


def _print(
    arguments: argparse.Namespace, rows: Sequence[Sequence[str]], head: Sequence[str], nothing: str,
    whole: object = None,
) -> int:  # fmt: skip
    if arguments.json:
        told = whole if whole is not None else [dict(zip(head, row, strict=True)) for row in rows]
        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        sys.stdout.write(orjson.dumps(told, default=_plain, option=options).decode() + "\n")
    else:
        sys.stdout.write((columns([head, *rows]) if rows else nothing) + "\n")
    return 0


def _plain(value: object) -> object:
    if isinstance(value, Quality):
        return value.model_dump()
    raise TypeError(f"cannot be written as JSON: {value!r}")
