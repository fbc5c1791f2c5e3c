"""Which action comes first: by evidence, slowly, and never by that of one loud service."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.webhook.recommender import Arm, Judged, Ranking, Situation, rank

NOW = 1_700_000_000.0
DAY = 86_400.0
RESTART, SCALE, WAIT = Arm("restart#1", 0), Arm("scale#2", 1), Arm("wait#3", 2)
ARMS = [RESTART, SCALE, WAIT]


def situation(service: str = "shop", alert: str = "Leak", kind: str = "web") -> Situation:
    return Situation(alert, kind, "warning", service)


def seen(arm: Arm, good: int, bad: int, of: Situation | None = None, time: float = NOW) -> list[Judged]:
    where = of or situation()
    return [Judged(where, arm.name, float(number < good), time) for number in range(good + bad)]


def ranked(outcomes: list[Judged], arms: list[Arm] | None = None, frozen: bool = False) -> Ranking:
    random = None if frozen else np.random.default_rng(1)
    return rank(arms or ARMS, situation(), outcomes, NOW, random)


def means(found: Ranking) -> list[float]:
    return [float(value) for value in found.a / (found.a + found.b)]


class TestChoice:
    def test_without_evidence_the_order_of_the_policy_leads(self) -> None:
        first, second, waiting = ranked([]).propensity
        assert first > second > waiting > 0

    def test_what_helped_here_leads(self) -> None:
        found = ranked([*seen(SCALE, 18, 2), *seen(RESTART, 2, 18)])
        assert found.propensity[1] > 0.9

    def test_what_heals_by_itself_is_left_alone(self) -> None:
        """An action that is verified just as often as waiting has no merit of its own."""
        every = [judged for arm in ARMS for judged in seen(arm, 38, 2)]
        first, second, waiting = ranked(every).propensity
        assert waiting > max(first, second)

    def test_propensities_are_those_of_the_draw(self) -> None:
        found = ranked(seen(RESTART, 5, 5))
        assert found.propensity.sum() == pytest.approx(1)
        assert found.propensity.shape == found.a.shape == (3,)

    def test_frozen_explores_nothing(self) -> None:
        outcomes = [*seen(SCALE, 9, 1), *seen(RESTART, 1, 9)]
        assert list(ranked(outcomes, frozen=True).propensity) == [0, 1, 0]

    def test_nothing_to_choose_from(self) -> None:
        with pytest.raises(ValueError, match="at least one arm is needed to choose from, got none"):
            rank([], situation(), [], NOW, None)


class TestEvidence:
    def test_other_services_of_the_kind_are_believed_a_little(self) -> None:
        others = [one for name in "abcdefgh" for one in seen(SCALE, 5, 0, situation(name))]
        pooled, own = means(ranked(others))[1], means(ranked(seen(SCALE, 40, 0)))[1]
        assert 0.8 < pooled < own
        # two outcomes of its own turn what was only heard of
        assert means(ranked([*others, *seen(SCALE, 0, 8)]))[1] < 0.6

    def test_the_nearer_the_weightier(self) -> None:
        for nearer, farther in (
            (situation("b"), situation("b", kind="db")),
            (situation("b", kind="db"), situation("b", alert="Disk")),
        ):
            outcomes = [*seen(SCALE, 5, 0, nearer), *seen(SCALE, 0, 5, farther)]
            assert means(ranked(outcomes))[1] > 0.5

    def test_fewer_outcomes_than_the_support_change_nothing(self) -> None:
        assert means(ranked(seen(RESTART, 0, 4))) == means(ranked([]))
        assert means(ranked(seen(RESTART, 0, 6))) < means(ranked([]))

    def test_one_loud_service_cannot_poison_the_others(self) -> None:
        quiet = [one for name in "abcd" for one in seen(RESTART, 5, 0, situation(name))]
        flood = seen(RESTART, 0, 5000, situation("mallory"))
        assert means(ranked([*quiet, *flood]))[0] > 0.6

    def test_old_evidence_fades(self) -> None:
        old = seen(RESTART, 40, 0, time=NOW - 300 * DAY)
        assert means(ranked([*old, *seen(RESTART, 0, 6)]))[0] < 0.3

    @given(st.lists(st.tuples(st.sampled_from(ARMS), st.floats(0, 1), st.floats(-1e9, 2e9), st.sampled_from("ab"))))
    def test_any_history_gives_probabilities(self, rows: list[tuple[Arm, float, float, str]]) -> None:
        outcomes = [Judged(situation(service), arm.name, reward, time) for arm, reward, time, service in rows]
        found = ranked(outcomes)
        assert np.all(found.a > 0)
        assert np.all(found.b > 0)
        assert found.propensity.sum() == pytest.approx(1)
