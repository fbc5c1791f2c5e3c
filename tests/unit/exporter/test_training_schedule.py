"""When the next training is due: across restarts and crashes, sooner after one that failed, never twice at once."""

from pathlib import Path

import pytest

from presagio.exporter.training_schedule import Schedule
from presagio.toolkit.clock import ManualClock

DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000.0)


def schedule(folder: Path, clock: ManualClock, every: float = DAY) -> Schedule:
    """Return it as after a restart: it knows what is in the folder."""
    return Schedule(folder, every, clock)


def test_the_first_training_is_due_at_once(tmp_path: Path, clock: ManualClock) -> None:
    assert schedule(tmp_path / "models", clock).due() <= clock.time()


def test_after_one_that_went_well_the_next_is_due_a_day_after_it_began(tmp_path: Path, clock: ManualClock) -> None:
    one = schedule(tmp_path / "models", clock)
    one.begin()
    begun = clock.time()
    clock.advance(1000.0)
    one.succeeded()
    assert schedule(tmp_path / "models", clock).due() == begun + DAY


def test_one_that_failed_is_tried_again_ever_more_seldom_up_to_every(tmp_path: Path, clock: ManualClock) -> None:
    waits = []
    for _ in range(11):
        one = schedule(tmp_path, clock)
        one.begin()
        clock.advance(1000.0)
        one.failed()
        waits.append(one.due() - clock.time())
        clock.advance(waits[-1])
    assert waits == [*(300.0 * 2**number for number in range(9)), DAY, DAY]


def test_one_that_went_well_ends_a_row_of_failures(tmp_path: Path, clock: ManualClock) -> None:
    one = schedule(tmp_path, clock)
    for end in (one.failed, one.failed, one.succeeded, one.failed):
        one.begin()
        end()
    assert one.due() == clock.time() + 300.0


def test_one_that_ended_with_us_counts_as_failed(tmp_path: Path, clock: ManualClock) -> None:
    """Out of memory, it may have taken the exporter with it: that must not happen again and again at once."""
    for wait in (300.0, 600.0):
        schedule(tmp_path, clock).begin()
        assert schedule(tmp_path, clock).due() == clock.time() + wait


def test_one_that_is_broken_off_is_as_due_as_before(tmp_path: Path, clock: ManualClock) -> None:
    one = schedule(tmp_path, clock)
    one.begin()
    one.failed()
    due = clock.time() + 300.0
    clock.advance(400.0)
    one.begin()
    one.broken_off()
    assert schedule(tmp_path, clock).due() == due
    one.begin()
    assert one.due() == clock.time() + 600.0


def test_nothing_is_due_later_than_every(tmp_path: Path, clock: ManualClock) -> None:
    """A clock that was wrong, or an `every` that was longer."""
    one = schedule(tmp_path, clock)
    one.begin()
    one.succeeded()
    clock.advance(-50 * DAY)
    assert one.due() == clock.time() + DAY
    assert schedule(tmp_path, clock, every=60.0).due() == clock.time() + 60.0


def test_a_file_that_cannot_be_read_is_as_good_as_none(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "next-training").write_text("soon\n")
    assert schedule(tmp_path, clock).due() <= clock.time()
