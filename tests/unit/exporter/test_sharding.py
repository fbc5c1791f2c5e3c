"""Several exporters that share the services: together they publish what one does, and no service twice."""

import argparse
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from fake_source import STEP, FakeSource, steady
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from presagio.exporter import sharding, wiring
from presagio.exporter.commands import ExporterCommand
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.panel_reader import live_reader, subject
from presagio.exporter.server import ExporterWing
from presagio.exporter.sharding import WHOLE, Shard, ShardError, ordinal
from presagio.toolkit import positions
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.log import get_log
from presagio.toolkit.reloading import ReloadState
from presagio.toolkit.serve import Context, _Server

SERVICES = [f"shop/service-{number}" for number in range(40)]
CONFIG = """
warm_start: {lookback: 30m}
signals: [{name: load, query: load, forecast: true}, {name: memory, query: memory}]
failures: [{name: full, query: load > 1000, horizons: [15m]}]
"""
NOW = 900 * STEP


def parse(text: str) -> ExporterConfig:
    return FILE.validate(positions.parse(text), "exporter.yml")


def source() -> FakeSource:
    rows = np.random.default_rng(7).normal(100, 5, size=(len(SERVICES), 1000))
    noisy = {name: dict(enumerate(row.tolist())) for name, row in zip(SERVICES, rows, strict=True)}
    return FakeSource(load=noisy | {"": steady()}, memory={name: steady() for name in SERVICES[::2]})


def page(shard: Shard, folder: Path) -> tuple[list[tuple[object, ...]], dict[str, float]]:
    """Return the samples that one exporter publishes after a warm start, and what it refused of each reason."""
    registry = CollectorRegistry()
    made, loop = wiring.loop(parse(CONFIG), folder, registry, ManualClock(NOW + 5), shard)
    asked = source()
    for one in loop.evaluations:
        one.source = asked
    loop.tick(NOW)
    loop.save()
    loop.pool.shutdown()
    families = text_string_to_metric_families(made.text(NOW + 5).decode())
    found = [(one.name, *sorted(one.labels.items()), one.value) for family in families for one in family.samples]
    refused = {
        reason: registry.get_sample_value("presagio_series_refused_total", {"signal": "load", "reason": reason}) or 0
        for reason in ("no_service_id", "duplicate")
    }
    return found, refused


def services(samples: list[tuple[object, ...]]) -> set[str]:
    labels = [tuple(part for part in sample if isinstance(part, tuple)) for sample in samples]
    return {str(value) for pairs in labels for name, value in pairs if name == "service_id"}


@pytest.mark.parametrize("count", [2, 5])
def test_the_shards_together_publish_exactly_what_one_exporter_does(count: int, tmp_path: Path) -> None:
    whole, refused = page(WHOLE, tmp_path / "whole")
    shards = [page(Shard(index, count), tmp_path / str(index)) for index in range(count)]
    together = [sample for samples, _ in shards for sample in samples]
    assert sorted(together, key=str) == sorted(whole, key=str)
    assert len(together) == len(set(map(str, together))) > 0
    parts = [services(samples) for samples, _ in shards]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(SERVICES)
    for reason, times in refused.items():  # a series without a service is counted by one of them, too
        assert sum(one[reason] for _, one in shards) == times
    assert refused["no_service_id"] > 0


def test_forecasts_and_predictions_are_of_the_shard_s_services() -> None:
    config, asked, shards = parse(CONFIG), source(), [Shard(index, 3) for index in range(3)]
    [failure] = config.failures
    of = subject(config, failure)
    found = [live_reader(asked, config, of, shard).read(NOW).services for shard in shards]
    assert sorted(name for part in found for name in part) == sorted(SERVICES)
    for shard, part in zip(shards, found, strict=True):
        assert all(shard.owns(name) for name in part)


def test_turns_of_forecasts_are_of_the_shard_s_services(tmp_path: Path) -> None:
    config, asked = parse(CONFIG), source()
    found: list[str] = []
    for index in range(3):
        shard = Shard(index, 3)
        made = wiring.forecasting(config, asked, tmp_path, CollectorRegistry(), ManualClock(NOW), shard)
        [load] = [turn for turn in made.turns if turn.reader.naming.signal.name == "load"]
        found += [key.service_id for key in load.reader.read(NOW).keys]
    assert sorted(found) == sorted(SERVICES)


def test_a_service_s_shard_is_the_same_everywhere_and_for_ever() -> None:
    """Written down: another hash would move services while one exporter is updated and the next is not."""
    assert [Shard(0, 4).of(name) for name in SERVICES[:8]] == [2, 3, 3, 1, 3, 3, 2, 0]


def test_shards_are_about_equal() -> None:
    names = [f"namespace-{number % 30}/deployment-{number}" for number in range(3000)]
    counts = np.bincount([Shard(0, 5).of(name) for name in names])
    assert counts.min() > 500
    assert counts.max() < 700


def test_another_number_of_exporters_learns_in_another_folder(tmp_path: Path) -> None:
    """What was learnt of services that are another's now must not be published again."""
    assert WHOLE.folder(tmp_path) == tmp_path
    page(Shard(1, 3), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"shard-1-of-3"}
    _, loop = wiring.loop(parse(CONFIG), tmp_path, CollectorRegistry(), ManualClock(NOW + 5), Shard(1, 2))
    loop.pool.shutdown()
    assert loop.page.text(NOW + 5) == b""


class TestFlags:
    def arguments(self, *words: str) -> Namespace:
        parser = argparse.ArgumentParser(exit_on_error=False)
        ExporterCommand().add_arguments(parser)
        return parser.parse_args(words)

    def test_without_them_there_is_one_exporter_for_all(self) -> None:
        assert sharding.of(self.arguments()) == WHOLE
        assert sharding.of(Namespace()) == WHOLE

    @pytest.mark.parametrize("index", ["2", "presagio-exporter-2", "a-1-b-2"])
    def test_a_pod_is_known_by_the_end_of_its_name(self, index: str) -> None:
        assert sharding.of(self.arguments("--shard.count=3", f"--shard.index={index}")) == Shard(2, 3)

    @pytest.mark.parametrize("text", ["", "-1", "presagio-exporter", "presagio-exporter-", "pod2x", "pod2"])
    def test_what_is_no_ordinal_is_refused(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError, match=r"such as presagio-exporter-2, got '.*'"):
            ordinal(text)

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--shard.count=3"], r"--shard.index: expected a number from 0 to 2 beside --shard.count=3"),
            (
                ["--shard.count=3", "--shard.index=3"],
                r"--shard.index: expected less than --shard.count \(3\), got 3",
            ),
            (["--shard.index=1"], r"--shard.index: expected less than --shard.count \(1\), got 1"),
        ],
    )
    def test_a_shard_that_is_not_there_is_refused_before_anything_starts(self, words: list[str], told: str) -> None:
        arguments = self.arguments(*words)
        with pytest.raises(ShardError, match=told):
            ExporterCommand().run(arguments)


def test_who_asks_the_wrong_shard_is_told_the_right_one() -> None:
    Shard(2, 4).check(SERVICES[0])
    with pytest.raises(ShardError, match=r"service 'shop/service-0' belongs to shard 2 of 4, and this is shard 1"):
        Shard(1, 4).check(SERVICES[0])


def test_the_api_names_the_shard_that_knows_a_service(tmp_path: Path) -> None:
    server = cast(_Server, SimpleNamespace(state=ReloadState()))
    arguments = Namespace(storage_path=tmp_path, shard_count=4, shard_index=1)
    context = Context(arguments, _Server._registry(server), ManualClock(NOW), get_log("test"), lambda: None)
    exporter = ExporterWing().build(parse(f"{CONFIG}\napi: {{api_key: secret}}"), context)
    exporter.loop.ready = True
    client, headers = exporter.app.test_client(), {"X-API-Key": "secret"}
    body = {"service_id": SERVICES[0], "kind": "fault", "begin": NOW - 600, "end": NOW - 300}
    for answer in (
        client.get(f"/api/v1/scores/{SERVICES[0]}", headers=headers),
        client.post("/api/v1/feedback", json=body, headers=headers),
    ):
        told = answer.get_json()
        assert (answer.status_code, "belongs to shard 2 of 4" in told["error"]) == (404, True), told
    # its own service it only does not know yet
    answer = client.get(f"/api/v1/scores/{SERVICES[3]}", headers=headers)
    assert "has no score now" in answer.get_json()["error"]
