"""The failures of a configuration, and which signals are forecast because of them."""

from typing import Any

import pytest

from presagio.exporter.config import ExporterConfig
from presagio.exporter.failure_config import Failure, Limit
from presagio.exporter.failures import configured_failures, forecast_signals
from presagio.exporter.forecast_config import ForecastsConfig
from presagio.exporter.presets import catalogue

SIGNALS: list[dict[str, Any]] = [
    {"name": "queue", "query": "sum by (q) (length)", "service_id": "{q}"},
    {"name": "free", "query": "free", "thresholds": [{"name": "low", "value": 5, "direction": "below"}]},
    {"name": "load", "query": "load"},
]


def config(*failures: dict[str, Any], **more: Any) -> ExporterConfig:
    return ExporterConfig.model_validate({"signals": SIGNALS, "failures": list(failures), **more})


def one(**failure: Any) -> Failure:
    (found,) = configured_failures(config({"name": "bad", **failure}))
    return found


@pytest.mark.parametrize(
    ("query", "direction"),
    [("queue > 100", "above"), ("queue >= 100", "above"), ("queue < 100", "below"), ("queue <= 100", "below")],
)
def test_a_signal_compared_with_a_number_stands_for_its_query_and_is_the_limit(query: str, direction: str) -> None:
    found = one(query=query)
    assert found.query == f"(sum by (q) (length)) {query.split()[1]} 100.0"
    assert found.limit == Limit.model_validate({"signal": "queue", "value": 100, "direction": direction})
    assert found.service_id is not None
    assert found.service_id.fill({"q": "mail"}) == "mail"


def test_what_the_failure_says_itself_goes_before() -> None:
    found = one(query="queue > 100", limit={"signal": "load", "value": 7}, service_id="{job}")
    assert found.limit == Limit(signal="load", value=7)
    assert found.service_id is not None
    assert found.service_id.names == ("job",)


@pytest.mark.parametrize("query", ["queue > load", "other > 100", "rate(queue[5m]) > 100", "queue == 100"])
def test_any_other_query_is_left_as_it_is(query: str) -> None:
    found = one(query=query)
    assert found.query == query
    assert found.limit is None


def test_a_preset_s_failures_follow_one_s_own_and_give_way_to_them() -> None:
    names = [failure["name"] for failure in catalogue.failures("node")]
    found = configured_failures(config({"name": names[0], "query": "queue > 1"}, presets=["node"]))
    assert [failure.name for failure in found] == names
    assert found[0].query == "(sum by (q) (length)) > 1.0"
    assert found[1].limit is not None


@pytest.mark.parametrize("preset", catalogue.names())
def test_every_failure_of_a_preset_that_names_a_signal_finds_it(preset: str) -> None:
    whole = ExporterConfig.model_validate({"presets": [preset]})
    for failure in configured_failures(whole):
        assert failure.comparison is None, failure.query
        if failure.limit:
            assert failure.limit.signal in {signal["name"] for signal in catalogue.signals(preset)}


class TestWhatIsForecast:
    def test_signals_with_thresholds_and_those_told_to_be(self) -> None:
        assert [signal.name for signal in forecast_signals(config(), [])] == ["free"]
        told = config(signals=[{**SIGNALS[2], "forecast": True}, {**SIGNALS[1], "forecast": False}])
        assert [signal.name for signal in forecast_signals(told, [])] == ["load"]

    def test_a_failure_s_limit_is_a_threshold_of_its_signal_named_as_the_failure(self) -> None:
        whole = config({"name": "stuck", "query": "queue > 100"}, {"name": "empty", "query": "free <= 1"})
        queue, free = forecast_signals(whole, configured_failures(whole))
        assert [(one.name, one.value, one.direction) for one in queue.thresholds] == [("stuck", 100.0, "above")]
        assert [(one.name, one.direction) for one in free.thresholds] == [("low", "below"), ("empty", "below")]

    def test_a_threshold_of_the_same_name_is_not_doubled(self) -> None:
        whole = config({"name": "low", "query": "free < 1"})
        (free,) = forecast_signals(whole, configured_failures(whole))
        assert [(one.name, one.value) for one in free.thresholds] == [("low", 5.0)]

    def test_nothing_where_forecasts_are_off(self) -> None:
        assert forecast_signals(config(forecasts={"enabled": False}), []) == []

    def test_the_node_preset_forecasts_its_disks_and_its_memory(self) -> None:
        whole = ExporterConfig.model_validate({"presets": ["node"]})
        names = {signal.name for signal in forecast_signals(whole, configured_failures(whole))}
        assert names == {
            "node_filesystem_utilisation", "node_filesystem_inodes_utilisation", "node_memory_utilisation"
        }  # fmt: skip


def test_an_unknown_forecaster_is_a_finding_with_the_nearest() -> None:
    (finding,) = ForecastsConfig(forecaster="quik").lint(("forecasts",))
    assert finding.path == ("forecasts", "forecaster")
    assert finding.got.endswith("did you mean 'quick'?")
