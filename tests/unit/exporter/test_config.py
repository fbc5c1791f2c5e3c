"""Each `*.good.yml` loads; each `*.bad.yml` is refused with exactly the words of the `*.bad.txt` beside it."""

import math
from pathlib import Path

import pytest

from presagio.detectors.calendar import Calendar
from presagio.exporter.config import FILE, ExporterConfig
from presagio.exporter.presets import catalogue
from presagio.exporter.signals import configured
from presagio.exporter.wiring import detector, timing
from presagio.toolkit import positions
from presagio.toolkit.errors import ConfigError
from presagio.toolkit.filekinds import check

FILES = Path(__file__).parent / "config"


def named(path: Path) -> str:
    return path.name


def parse(text: str) -> ExporterConfig:
    return FILE.validate(positions.parse(text), "exporter.yml")


@pytest.mark.parametrize("path", sorted(FILES.glob("*.good.yml")), ids=named)
def test_good_files_are_known_by_their_keys_and_load(path: Path) -> None:
    FILE.load(path)
    assert check(path) == "exporter"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.bad.yml")), ids=named)
def test_bad_files_are_refused_with_all_their_mistakes(path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        FILE.load(path)
    assert str(error.value).replace(f"{path.parent}/", "") + "\n" == path.with_suffix(".txt").read_text()


def test_there_are_good_and_bad_files_to_test() -> None:
    assert len(list(FILES.glob("*.good.yml"))) >= 3
    assert {path.with_suffix("").stem for path in FILES.glob("*.bad.yml")} == {
        path.with_suffix("").stem for path in FILES.glob("*.bad.txt")
    }


def test_what_a_file_says_is_what_is_loaded() -> None:
    config = FILE.load(FILES / "full.good.yml")
    assert config.prometheus.url == "http://prometheus.test:9090/prefix"
    when = timing(config)
    assert (when.interval, when.lookback, when.control) == (30.0, 14 * 86400.0, "")
    assert (config.evaluation.delay, config.evaluation.stale_after, config.evaluation.concurrency) == (10.0, 600.0, 2)
    assert config.services.id.names == ("namespace", "deployment")
    assert (config.labels, config.outputs.bounds, config.outputs.value) == (["zone"], False, True)
    assert config.api is not None
    assert (config.api.max_services, config.api.max_metrics_per_service) == (10, 100)
    latency, pushed = config.signals
    assert latency.service_id is not None
    assert latency.service_id.names == ("instance",)
    assert (latency.missing, latency.forget_after, latency.adapt_after) == ("previous", 7200.0, 3600.0)
    assert latency.outputs is not None
    assert (latency.outputs.value, latency.outputs.bounds) == (False, True)
    assert pushed.signal_label == "metric"


def test_a_signal_tells_its_detector_direction_dead_band_and_adapt_after() -> None:
    latency = FILE.load(FILES / "full.good.yml").signals[0]
    params = detector(latency, Calendar()).params  # type: ignore[attr-defined]
    assert (params.direction, params.adapt_after, params.warm_up) == ("above", 3600.0, 100)
    assert (params.dead_band.absolute, params.dead_band.relative) == (0.01, 0.1)


def test_without_anything_said_the_defaults_are_those_of_the_design() -> None:
    config = parse("presets: []")
    assert config.prometheus.url == "http://localhost:9090"
    assert (config.evaluation.interval, config.evaluation.control) == (15.0, "count(up)")
    assert (config.warm_start.lookback, config.services.id.text) == (14 * 86400.0, "{job}")
    assert config.api is None
    assert [signal.name for signal in configured(config)] == ["submitted"]


def test_every_default() -> None:
    """A default that changes makes other alarms for all who said nothing: let it be done on purpose."""
    config = parse("signals: [{name: load, query: load}]\napi: {authentication: none}")
    plain = config.model_dump(mode="json", exclude={"services", "signals", "prometheus"})
    assert plain == {
        "evaluation": {
            "interval": 15.0, "delay": 5.0, "stale_after": 300.0, "control": "count(up)", "concurrency": 4,
        },
        "warm_start": {"lookback": 1_209_600.0, "fine": 21600.0, "coarse": 300.0},
        "calendar": {"time_zone": "UTC", "holidays": ""},
        "presets": [],
        "labels": [],
        "outputs": {"value": True, "expected": True, "bounds": True, "confidence": True, "service": True},
        "together": {"combiner": "profile_together", "params": {}},
        "forecasts": {
            "enabled": True, "every": 900.0, "choose_every": 86400.0, "lookback": 1_209_600.0, "step": 300.0,
            "horizons": [3600.0, 21600.0, 86400.0], "lower": 0.1, "upper": 0.9, "forecaster": "quick", "params": {},
            "cpu": 0.25, "series": 5000, "engine": "local",
        },
        "failures": [],
        "training": {
            "enabled": True, "every": 86400.0, "lookback": 2_592_000.0, "step": 300.0,
            "windows": [3600.0, 21600.0, 86400.0], "recent": 48, "examples": 200_000, "memory": 4 << 30, "keep": 3,
            "engine": "local",
        },
        "predictions": {"enabled": True, "every": 60.0, "explain_above": 0.5},
        "limits": {"series": 100_000, "soft_series": 80_000},
        "api": {
            "authentication": "none", "api_key": None, "api_key_file": None, "users": {},
            "max_services": 1000, "max_metrics_per_service": 100, "max_feedback": 1000,
            "expire_after": 300.0,
        },
    }  # fmt: skip
    assert config.prometheus.model_dump() == {
        "url": "http://localhost:9090", "bearer_token": None, "bearer_token_file": None, "basic_auth": None,
        "tls": {"ca_file": None, "cert_file": None, "key_file": None, "insecure_skip_verify": False},
        "tenant": None, "headers": {}, "sigv4": None, "timeout": 10.0, "kind": "prometheus", "parameters": {},
    }  # fmt: skip
    assert config.signals[0].model_dump() == {
        "name": "load", "query": "load", "unit": "", "service_id": None, "signal_label": None, "direction": "both",
        "dead_band": {"absolute": 0.0, "relative": 0.0}, "missing": "anomalous", "forget_after": 21600.0,
        "adapt_after": 28800.0, "range": {"min": -math.inf, "max": math.inf}, "season": "auto",
        "detector": "profile", "detector_params": {}, "outputs": None, "forecast": None, "thresholds": [],
    }  # fmt: skip


def test_a_lookback_of_nothing_learns_only_from_now_on() -> None:
    when = timing(parse("warm_start: {lookback: 0s}"))
    assert when.first(float("-inf"), 300.0) == 300.0


def test_an_unknown_preset_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as error:
        parse("presets: [node, nod]")
    expected = f"expected presets of {', '.join(catalogue.names())}, got 'nod'"
    assert str(error.value) == f"exporter.yml:1: presets: {expected}"


@pytest.mark.parametrize("preset", catalogue.names())
def test_each_preset_passes_what_a_user_s_own_signals_must(preset: str) -> None:
    """Its signals stand in a file of their own here, so that every lint rule looks at them."""
    signals = catalogue.signals(preset)
    document = positions.parse("signals: []")
    document.data["signals"] = signals
    names = [signal.name for signal in FILE.validate(document, f"{preset}.yml").signals]
    assert len(names) == len(set(names)) > 0


def test_dead_bands_are_numbers() -> None:
    with pytest.raises(ConfigError, match=r"dead_band\.absolute: expected greater than or equal to 0, got NaN"):
        parse("signals: [{name: a, query: a, dead_band: {absolute: .nan}}]")
