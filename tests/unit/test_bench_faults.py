"""The recorder of faults: its plans, and the real things that it drives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faults.__main__ import told
from faults.plan import FAULTS, HEALTHY, Spell, spells
from faults.subjects import Memory


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
    from servers import wait_until

    memory.drive(1.1)
    assert wait_until(lambda: memory.measure() >= memory.limit, "memory at its limit")
    assert Path(f"/proc/{memory.process.pid}").exists()
