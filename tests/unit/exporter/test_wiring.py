"""The exporter put together: one cap for all threads, counters that begin at 0, storage found again."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry

from presagio.exporter import wiring
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.engine import Engine
from presagio.exporter.evaluation import Evaluation
from presagio.exporter.signals import Key
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.durable import locked

NOW = 1_700_000_000.0
REASONS = {
    "timeout", "unreachable", "refused", "bad_query", "bad_answer", "server_error", "rate_limited", "too_large",
    "blind", "internal",
}  # fmt: skip


def parse(text: str) -> ExporterConfig:
    return FILE.validate(positions.parse(text), "exporter.yml")


def parts(text: str, source: FakeSource, registry: CollectorRegistry) -> Sequence[Evaluation]:
    config = parse(text)
    return wiring.evaluations(config, source, wiring.timing(config), registry)


def test_signals_evaluated_at_once_never_take_the_same_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each signal looks at the room that is left while the others are about to take it."""
    names = [f"signal{number}" for number in range(4)]
    source = FakeSource(**{name: {f"s{row}": steady() for row in range(5)} for name in names})
    signals = ", ".join(f"{{name: {name}, query: {name}}}" for name in names)
    text = f"limits: {{series: 12, soft_series: 12}}\nwarm_start: {{lookback: 0s}}\nsignals: [{signals}]"
    evaluations = parts(text, source, CollectorRegistry())
    admit, together = Engine.rows, threading.Barrier(4)

    def slowly(engine: Engine, keys: Sequence[Key], room: int) -> np.ndarray:
        time.sleep(0.05)
        return admit(engine, keys, room)

    def advance(evaluation: Evaluation) -> None:
        together.wait(10)
        list(evaluation.advance(10 * STEP))

    monkeypatch.setattr(Engine, "rows", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(advance, evaluations[:4]))
    assert sorted(len(one.engine.keys) for one in evaluations) == [0, 0, 2, 5, 5]


def test_every_counter_begins_at_0_for_every_signal_and_reason() -> None:
    registry = CollectorRegistry()
    parts("signals: [{name: load, query: load}]\nlimits: {series: 50, soft_series: 40}", FakeSource(), registry)
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    expected: dict[tuple[object, ...], float] = {
        ("presagio_series_limit",): 50.0,
        ("presagio_series_soft_limit",): 40.0,
    }
    for signal in (("signal", "load"), ("signal", "submitted")):
        expected |= {(f"presagio_{name}_total", signal): 0.0 for name in ("evaluations", "evaluation_warnings")}
        expected |= {("presagio_evaluation_failures_total", ("reason", reason), signal): 0.0 for reason in REASONS}
        for reason in ("no_service_id", "no_signal_name", "duplicate", "limit"):
            expected["presagio_series_refused_total", ("reason", reason), signal] = 0.0
        for stage in ("query", "score"):
            for name in ("count", "sum"):
                expected[f"presagio_evaluation_duration_seconds_{name}", signal, ("stage", stage)] = 0.0
    assert found == expected


def test_the_time_of_both_stages_is_measured() -> None:
    registry = CollectorRegistry()
    source = FakeSource(load={"a": steady()})
    load, _ = parts("signals: [{name: load, query: load}]\nwarm_start: {lookback: 0s}", source, registry)
    for step in (10, 11):
        list(load.advance(step * STEP))
    for stage in ("query", "score"):
        labels = {"signal": "load", "stage": stage}
        assert registry.get_sample_value("presagio_evaluation_duration_seconds_count", labels) == 2
        assert 0 < (registry.get_sample_value("presagio_evaluation_duration_seconds_sum", labels) or 0) < 10


def test_moments_lookback_and_control_are_those_of_the_file() -> None:
    when = wiring.timing(parse("evaluation: {interval: 30s, control: up}\nwarm_start: {lookback: 2h}"))
    assert (when.interval, when.lookback, when.control) == (30.0, 7200.0, "up")


def test_the_page_served_last_is_served_at_once_after_a_restart(tmp_path: Path) -> None:
    config = parse("signals: [{name: load, query: load}]")
    clock = ManualClock(900 * STEP + 5)
    page, loop = wiring.loop(config, tmp_path, CollectorRegistry(), clock)
    for one in loop.evaluations:
        one.source = FakeSource(load={"a": steady()})
    loop.tick(900 * STEP)
    loop.save()
    again, other = wiring.loop(config, tmp_path, CollectorRegistry(), clock)
    for made in (loop, other):
        made.pool.shutdown()
    assert again.text(clock.time()) == page.text(clock.time()) != b""
    assert not other.ready


def test_the_storage_is_locked_against_an_older_worker(tmp_path: Path) -> None:
    _, loop = wiring.loop(parse("presets: []"), tmp_path, CollectorRegistry(), ManualClock(NOW))
    loop.stop.set()
    thread = threading.Thread(target=loop.run)
    with locked(tmp_path / "lock"):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
    assert (tmp_path / "profiles.snapshot").exists()
