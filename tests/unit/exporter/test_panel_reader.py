"""The panel of a failure: worst instances, who can have the failure, and the same numbers live as in training."""

from collections.abc import Iterator

import numpy as np
import pytest

from presagio.exporter.config import ExporterConfig
from presagio.exporter.failures import configured_failures
from presagio.exporter.panel_reader import PanelReader, Subject, subject
from presagio.toolkit.prometheus import Matrix, Vector

STEP = 300.0
RNG = np.random.default_rng(4)
SERIES = {
    "memory": [({"job": "web", "instance": "a"}, 0.1), ({"job": "web", "instance": "b"}, 0.2), ({"job": "db"}, 0.5)],
    "free": [({"job": "web", "instance": "a"}, 9.0), ({"job": "web", "instance": "b"}, 4.0), ({"job": "queue"}, 7.0)],
}


class Told:
    """Answers each query with its series, each a constant and the number of the step; counts what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, float]] = []

    def instant(self, query: str, time: float) -> Vector:
        raise NotImplementedError

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        raise NotImplementedError

    def history(self, query: str, start: float, end: float, step: float, series: int = 1) -> Iterator[Matrix]:
        assert series
        self.asked.append((query, start, end))
        times = start + step * np.arange(round((end - start) / step) + 1, dtype=np.float64)
        rows = SERIES.get(query, [])
        values = [base + 1e-4 * (times / step % 1000) for _, base in rows]
        yield Matrix([labels for labels, _ in rows], times, np.array(values).reshape(len(rows), len(times)))


def config(**failure: object) -> ExporterConfig:
    return ExporterConfig.model_validate(
        {
            "signals": [
                {"name": "memory", "query": "memory", "unit": "ratio"},
                {"name": "free", "query": "free", "direction": "below"},
            ],
            "failures": [{"name": "oom", **failure}],
        }
    )


def of(told: ExporterConfig) -> Subject:
    return subject(told, configured_failures(told)[0])


def column(reader: PanelReader, name: str, time: float = 100 * STEP) -> dict[str, float]:
    panel = reader.read(time)
    number = [channel.name for channel in panel.channels].index(name)
    return dict(zip(panel.services, panel.values[:, -1, number].tolist(), strict=True))


def test_the_worst_instance_is_the_highest_or_the_lowest_by_the_direction() -> None:
    told = config(alert="Oom")
    reader = PanelReader(Told(), told, of(told), 20 * STEP)
    assert column(reader, "memory")["web"] == pytest.approx(0.21, abs=1e-6)
    assert column(reader, "free")["web"] == pytest.approx(4.01, abs=1e-6)


def test_without_a_limit_everybody_can_fail_and_with_one_who_has_its_signal() -> None:
    told = config(alert="Oom")
    assert PanelReader(Told(), told, of(told), 20 * STEP).read(100 * STEP).services == ("db", "queue", "web")
    told = config(query="memory > 0.9")
    assert PanelReader(Told(), told, of(told), 20 * STEP).read(100 * STEP).services == ("db", "web")


def test_named_signals_are_read_and_the_limits_own_beside_them() -> None:
    told = config(query="memory > 0.9", signals=["free"])
    assert {channel.signal for channel in of(told).channels} == {"memory", "free"}
    told = config(alert="Oom", signals=["free"])
    assert {channel.signal for channel in of(told).channels} == {"free"}


def test_what_was_read_bit_by_bit_is_what_is_read_at_once() -> None:
    told = config(alert="Oom")
    live, training = (PanelReader(Told(), told, of(told), 20 * STEP) for _ in range(2))
    for number in range(100, 131, 3):
        live.read(number * STEP)
    bit_by_bit, at_once = live.read(131 * STEP), training.read(131 * STEP)
    assert bit_by_bit.services == at_once.services
    np.testing.assert_array_equal(bit_by_bit.times, at_once.times)
    np.testing.assert_array_equal(bit_by_bit.values, at_once.values)


def test_only_what_is_new_is_asked_for() -> None:
    told, source = config(alert="Oom"), Told()
    reader = PanelReader(source, told, of(told), 200 * STEP)
    reader.read(1000 * STEP)
    first = len(source.asked)
    reader.read(1001 * STEP)
    assert all(end - start <= 3 * STEP for _, start, end in source.asked[first:])


def test_another_query_horizon_or_parameter_is_another_definition() -> None:
    told = config(query="memory > 0.9")
    one = of(told).definition(3600.0)
    assert of(config(query="memory > 0.9")).definition(3600.0) == one
    others = [
        of(told).definition(7200.0), of(config(query="memory > 0.8")).definition(3600.0),
        of(config(query="memory > 0.9", gap="5m")).definition(3600.0),
        of(config(query="memory > 0.9", predictor="forecast")).definition(3600.0),
    ]  # fmt: skip
    assert len({one, *others}) == 5
