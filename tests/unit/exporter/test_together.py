"""From the series of signals to the score of a service: cells, churn, restart."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from presagio.detectors.base import score_of
from presagio.detectors.joint import ProfileTogether, ProfileTogetherParams
from presagio.detectors.robust_pca import RobustPca, RobustPcaParams
from presagio.exporter import together as module
from presagio.exporter.cells import Seen, seen
from presagio.exporter.engine import Scores
from presagio.exporter.publish_services import text
from presagio.exporter.signals import Key
from presagio.exporter.store import pack_services, unpack_services
from presagio.exporter.together import ServiceScores, Together

NAN = math.nan
HOUR = 3600.0


def keys(signal: str, services: str) -> list[Key]:
    """Return keys of services named by letters; a letter twice is a service with two pods."""
    return [Key(service, signal, (("pod", str(number)),)) for number, service in enumerate(services)]


def said(of: Sequence[Key], *scores: float) -> Seen:
    array = np.array(scores)
    return Seen(of, array, array, np.full(len(scores), 0.8))


def blank() -> Together:
    return Together(ProfileTogether(ProfileTogetherParams()), {"load": HOUR, "cpu": HOUR}, "profile_together")


def score(scores: ServiceScores, service: str) -> float:
    return float(scores.score[list(scores.services).index(service)])


def contribution(scores: ServiceScores, service: str) -> dict[str, float]:
    row = scores.contribution[list(scores.services).index(service)].tolist()
    return {name: share for name, share in zip(scores.signals, row, strict=True) if not math.isnan(share)}


def confidence(scores: ServiceScores, service: str) -> float:
    return float(scores.confidence[list(scores.services).index(service)])


LOAD, CPU = keys("load", "ab"), keys("cpu", "ab")


class TestCells:
    def test_a_value_below_what_was_expected_surprises_downwards_and_so_does_a_vanished_one(self) -> None:
        value, expected, scores = np.array([5.0, 1.0, NAN]), np.full(3, 3.0), np.full(3, 0.5)
        none = np.zeros(3)
        found = seen(Scores(0, keys("load", "abc"), value, scores, expected, none, none, np.ones(3)))
        assert found.surprise.tolist() == [0.5, -0.5, -0.5]

    def test_of_several_pods_the_worst_counts_for_their_number(self) -> None:
        """p = 1e-6 is the worst of two: it comes twice as often."""
        result = blank().step(0, {"load": said(keys("load", "aab"), 0.1, 0.6, 0.6)})
        assert score(result, "a") == pytest.approx(float(score_of(np.array([2e-6]))[0]), rel=1e-5)
        assert score(result, "b") == pytest.approx(0.6)

    def test_a_pod_without_a_score_does_not_count(self) -> None:
        result = blank().step(0, {"load": said(keys("load", "aa"), NAN, 0.6)})
        assert score(result, "a") == pytest.approx(0.6)

    def test_ten_calm_pods_make_no_more_false_alarms_than_one(self) -> None:
        rng, together = np.random.default_rng(0), blank()
        pods = keys("load", "".join(service * 10 for service in "abcdefghijklmnopqrst"))
        found = [together.step(t, {"load": said(pods, *score_of(rng.uniform(size=200)))}).score for t in range(3000)]
        assert 0.0005 <= np.mean(np.array(found) >= 0.3) <= 0.002


class TestStep:
    def test_services_are_rows_and_signals_are_columns(self) -> None:
        result = blank().step(0, {"load": said(LOAD, 0.6, 0.0), "cpu": said(CPU, 0.2, 0.0)})
        assert score(result, "a") == pytest.approx(0.53, abs=0.01)
        assert contribution(result, "a") == pytest.approx({"load": 0.9, "cpu": 0.1})
        assert contribution(result, "b") == {"load": 0.5, "cpu": 0.5}
        assert confidence(result, "a") == pytest.approx(0.8)

    def test_one_signal_alone_is_its_own_score(self) -> None:
        result = blank().step(0, {"load": said(LOAD, 0.6, 0.1)})
        assert result.score.tolist() == pytest.approx([0.6, 0.1])
        assert contribution(result, "a") == {"load": 1.0}

    def test_a_signal_that_is_missing_lowers_the_confidence_until_it_is_forgotten(self) -> None:
        together = blank()
        both = {"load": said(LOAD, 0.1, 0.1), "cpu": said(CPU, 0.1, 0.1)}
        assert confidence(together.step(0, both), "a") == pytest.approx(0.8)
        one = {"load": said(LOAD, 0.6, 0.1)}
        result = together.step(15, one)
        assert [score(result, "a"), confidence(result, "a")] == pytest.approx([0.6, 0.4])
        assert contribution(result, "a") == {"load": 1.0}
        assert confidence(together.step(HOUR, one), "a") == pytest.approx(0.4)
        assert confidence(together.step(HOUR + 15, one), "a") == pytest.approx(0.8)

    def test_a_signal_that_a_service_never_had_is_not_missing(self) -> None:
        result = blank().step(0, {"load": said(LOAD, 0.1, 0.1), "cpu": said(CPU[:1], 0.1)})
        assert confidence(result, "b") == pytest.approx(0.8)
        assert contribution(result, "b") == {"load": 1.0}

    def test_a_service_of_which_nothing_is_there_has_no_score(self) -> None:
        together = blank()
        together.step(0, {"load": said(LOAD, 0.1, 0.1)})
        assert math.isnan(score(together.step(15, {"load": said(LOAD, 0.1, NAN)}), "b"))

    def test_names_of_submitted_values_are_signals_of_their_own(self) -> None:
        together = Together(ProfileTogether(ProfileTogetherParams()), {"submitted": HOUR}, "")
        pushed = [Key("a", "queue", ()), Key("a", "lag", ()), Key("b", "lag", ())]
        result = together.step(0, {"submitted": said(pushed, 0.4, 0.0, 0.0)})
        assert contribution(result, "a") == {"queue": 1.0, "lag": 0.0}
        assert contribution(result, "b") == {"lag": 1.0}

    def test_services_times_signals_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_MOST_CELLS", 6)
        together = Together(ProfileTogether(ProfileTogetherParams()), {"submitted": HOUR}, "")
        many = [Key(service, f"name{number}", ()) for number in range(50) for service in "ab"]
        result = together.step(0, {"submitted": said(many, *[0.1] * 100)})
        assert (len(result.services), len(result.signals)) == (2, 3)
        assert not np.isnan(result.score).any()


class TestChurn:
    def test_new_services_and_signals_come_and_the_old_ones_stay(self) -> None:
        together = blank()
        together.step(0, {"load": said(LOAD, 0.1, 0.1)})
        result = together.step(15, {"load": said(keys("load", "cab"), 0.3, 0.2, 0.1), "cpu": said(CPU, 0.0, 0.0)})
        assert [score(result, name) > 0 for name in "abc"] == [True] * 3
        assert contribution(result, "c") == {"load": 1.0}
        assert contribution(result, "a") == {"load": 1.0, "cpu": 0.0}

    def test_a_service_that_is_gone_is_swept_when_its_series_are(self) -> None:
        together = blank()
        together.step(0, {"load": said(LOAD, 0.1, 0.1), "cpu": said(CPU, 0.1, 0.1)})
        remaining = {"load": said(LOAD[:1], 0.1)}
        together.step(HOUR, remaining)
        together.sweep()
        assert (together.services, together.signals) == (["a", "b"], ["cpu", "load"])
        together.step(HOUR + 15, {**remaining, "cpu": said(CPU[:1], NAN)})
        together.sweep()
        assert (together.services, together.signals) == (["a"], ["cpu", "load"])
        assert score(together.step(HOUR + 30, remaining), "a") == pytest.approx(0.1, abs=0.01)

    def test_whether_it_was_swept_or_not_a_service_that_comes_back_is_a_new_one(self) -> None:
        rng = np.random.default_rng(1)
        draws = score_of(rng.uniform(size=(600, 2, 2)))
        found = []
        for swept in (False, True):
            together = Together(RobustPca(RobustPcaParams()), {"load": HOUR, "cpu": HOUR}, "")
            for t, (load, cpu) in enumerate(draws):
                names = "ab" if t < 200 or t > 500 else "a"
                some = len(names)
                results = {"load": said(LOAD[:some], *load[:some]), "cpu": said(CPU[:some], *cpu[:some])}
                last = together.step(t * 15.0, results)
                if swept:
                    together.sweep()
            found.append([score(last, name) for name in "ab"])
        assert found[0] == found[1]


class TestSnapshot:
    def after(self, together: Together, first: int, last: int) -> list[list[float]]:
        draws = score_of(np.random.default_rng(2).uniform(size=(800, 4)))
        return [
            together.step(
                t * 15.0, {"load": said(LOAD, *draws[t, :2]), "cpu": said(CPU, *draws[t, 2:])}
            ).score.tolist()
            for t in range(first, last)
        ]

    def made(self, definition: str = "robust_pca") -> Together:
        return Together(
            RobustPca(RobustPcaParams.model_validate({"refit_every": "10m"})), {"load": HOUR, "cpu": HOUR}, definition
        )

    def test_it_goes_on_to_the_bit(self) -> None:
        whole, half, other = self.made(), self.made(), self.made()
        expected = self.after(whole, 0, 800)
        self.after(half, 0, 500)
        assert unpack_services(pack_services(half), other)
        assert (other.time, other.services, other.signals) == (half.time, half.services, half.signals)
        assert self.after(other, 500, 800) == expected[500:]

    def test_one_that_never_stepped_is_restored_as_new(self) -> None:
        other = self.made()
        assert unpack_services(pack_services(self.made()), other)
        assert other.time == -math.inf

    def test_another_combiner_or_other_parameters_begin_anew(self) -> None:
        half, other = self.made(), self.made("robust_pca {samples: 300}")
        self.after(half, 0, 50)
        assert not unpack_services(pack_services(half), other)
        assert other.services == []

    def test_what_cannot_be_used_leaves_it_as_new(self) -> None:
        half, other = self.made(), self.made()
        self.after(half, 0, 50)
        state = half.state()
        for broken in (
            {**state, "last_seen": np.zeros((1, 1))},
            {**state, "combiner_version": np.zeros(2)},
            {name: array for name, array in state.items() if name != "patience"},
        ):
            with pytest.raises((ValueError, KeyError)):
                other.restore(1.0, half.services, half.signals, broken)
            assert (other.time, other.services, other.last_seen.shape) == (-math.inf, [], (0, 0))
        assert self.after(other, 0, 5) == self.after(self.made(), 0, 5)


class TestPage:
    def test_services_signals_and_values(self) -> None:
        scores = ServiceScores(
            0, ["a", 'sh"op', "gone"], ["load", "cpu"], np.array([0.5, 0.25, NAN]),
            np.array([[0.75, 0.25], [NAN, 1.0], [NAN, NAN]]), np.array([0.9, 0.45, 0.0]),
        )  # fmt: skip
        lines = [line for line in text(scores).splitlines() if not line.startswith("#")]
        assert lines == [
            'presagio_service_anomaly_score{service_id="a"} 0.5',
            'presagio_service_anomaly_score{service_id="sh\\"op"} 0.25',
            'presagio_service_anomaly_contribution{service_id="a",signal="load"} 0.75',
            'presagio_service_anomaly_contribution{service_id="a",signal="cpu"} 0.25',
            'presagio_service_anomaly_contribution{service_id="sh\\"op",signal="cpu"} 1.0',
            'presagio_service_anomaly_confidence{service_id="a"} 0.9',
            'presagio_service_anomaly_confidence{service_id="sh\\"op"} 0.45',
        ]

    def test_without_a_service_there_is_nothing(self) -> None:
        assert text(ServiceScores(0, [], [], np.zeros(0), np.zeros((0, 0)), np.zeros(0))) == ""
