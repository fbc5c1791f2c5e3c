"""The recorder of faults: its plans, and the real things that it drives."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faults import learnt
from faults.__main__ import told
from faults.plan import FAULTS, HEALTHY, Spell, spells
from faults.score import LIMITS, alarms, kept, linear, measures, static
from faults.subjects import Memory, Redis
from servers import RedisServer, wait_until


@pytest.mark.parametrize("shape", FAULTS)
def test_a_fault_ends_beyond_the_limit(shape: str) -> None:
    assert Spell(0, 60, shape, 0.0).share(60, np.random.default_rng(0)) > 1.0


@pytest.mark.parametrize("shape", HEALTHY)
def test_a_healthy_spell_stays_well_below_the_limit(shape: str) -> None:
    spell = Spell(0, 60, shape, 0.0)
    assert max(spell.share(at / 10, np.random.default_rng(0)) for at in range(601)) <= 0.8


def test_spells_follow_each_other_without_a_gap() -> None:
    made = list(spells(1800, np.random.default_rng(1)))
    ends = [one.begin + one.seconds for one in made]
    assert [one.begin for one in made[1:]] == pytest.approx(ends[:-1])
    assert {one.is_fault for one in made} == {True, False}
    assert ends[-1] <= 1800


def test_an_episode_fails_at_the_first_sample_at_the_limit_within_its_own_spell() -> None:
    samples = {"a": [(99.0, "9"), (101.0, "1"), (102.0, "5"), (103.0, "7")]}
    spell = Spell(0, 10, "linear", 0.0)
    assert told("a", "disk", spell, 5.0, 100.0, samples) == ("a", "disk", "linear", 100.0, 102.0, 110.0)
    assert told("a", "disk", spell, 8.0, 100.0, samples)[4] is None


@pytest.fixture
def memory() -> Iterator[Memory]:
    made = Memory()
    yield made
    made.close()


def test_a_real_process_grows_when_it_is_told_to(memory: Memory) -> None:

    memory.drive(1.1)
    assert wait_until(lambda: memory.measure() >= memory.limit, "memory at its limit")
    assert Path(f"/proc/{memory.process.pid}").exists()


def test_an_alarm_is_a_condition_that_held_three_looks_in_a_row() -> None:
    values = np.concatenate([np.zeros(60), np.full(30, 9.0), np.zeros(30), np.full(3, 9.0), np.zeros(20)])
    found = alarms(values, 10.0, static(0.8))
    assert 66 <= found[0] <= 69
    assert found[-1] <= 90


def test_predict_linear_sees_a_straight_line_coming_and_no_flat_one() -> None:
    rising = np.arange(100.0)
    assert linear(30)(rising[None], 150.0).tolist() == [True]
    assert linear(30)(np.full((1, 100), 99.0), 150.0).tolist() == [False]


def test_measures_tell_early_late_missed_and_false_apart() -> None:
    spells = [(True, 0.0, 100.0), (True, 0.0, 100.0), (True, 0.0, 100.0), (False, 0.0, 3600.0)]
    got = measures(spells, [np.array(at, dtype=np.int64) for at in ([20], [90], [], [5, 6])])
    assert (got["failures"], got["false_alarms"], got["healthy_hours"]) == (3, 1, 1.0)
    assert got["recall"] == got["precision"] == pytest.approx(2 / 3)
    assert got["predicted_by_half"] == pytest.approx(1 / 3)
    assert got["median_lead_share"] == pytest.approx(0.45)


def test_a_real_redis_reaches_its_limit(redis_server_binary: Path, workdir: Path) -> None:
    with RedisServer(redis_server_binary, workdir) as server, closing(Redis(server)) as redis:
        redis.drive(1.1)
        assert redis.measure() >= redis.limit
        redis.drive(0.5)
        assert redis.measure() < 0.7 * redis.limit


def test_what_failed_after_the_border_is_not_known_to_what_learns() -> None:
    times = np.arange(100.0)
    told = pd.DataFrame({"service": ["a-0", "a-0", "a-1"], "failed": [30.0, 80.0, np.nan], "end": [40.0, 90.0, 95.0]})
    known = learnt.failed(times, told, 50)
    assert (list(known.services), known.begins.tolist(), known.known_to) == (["a-0"], [30.0], 50.0)


def test_services_stand_side_by_side_in_shares_of_their_limits() -> None:
    values = pd.DataFrame({"disk-0": [5.0, 10.0], "redis-0": [1.0, 2.0]}, index=[0.0, 1.0])
    panel = learnt.whole(values, {"disk": 10.0, "redis": 4.0})
    assert panel.kinds == ("disk", "redis")
    np.testing.assert_allclose(panel.values[:, :, 0], [[0.5, 1.0], [0.25, 0.5]])


def test_the_recorded_set_can_be_replayed() -> None:
    folder = Path(learnt.__file__).with_name("recorded")
    values = pd.read_parquet(folder / "samples.parquet").pivot(index="time", columns="service", values="value")
    spells, services = kept(pd.read_csv(folder / "episodes.csv"), values.index[0], len(values) / 2)
    assert set(services) <= set(values.columns)
    assert sum(is_fault for is_fault, _, _ in spells) > 40
    assert all(onset < end for is_fault, onset, end in spells if is_fault)
    assert {service.partition("-")[0] for service in services} == set(LIMITS)
