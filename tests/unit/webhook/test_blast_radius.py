"""How much may be taken away: counts, shares, rounding, nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from presagio.actions.base import Disruption
from presagio.webhook.blast_radius import Amount, fits, least, replicas, room

COUNTS = st.integers(0, 200)
SHARES = st.integers(0, 100).map(lambda share: f"{share}%")
AMOUNTS = st.one_of(COUNTS.map(str), SHARES)


@pytest.mark.parametrize(
    ("amount", "of", "most", "stay"),
    [
        ("25%", 10, 2, 3), ("25%", 3, 0, 1), ("100%", 3, 3, 3), ("0%", 3, 0, 0), ("33%", 3, 0, 1), ("34%", 3, 1, 2),
        ("2", 10, 2, 2), ("2", 0, 2, 2), ("50%", 0, 0, 0), ("99%", 1, 0, 1),
    ],
)  # fmt: skip
def test_what_may_go_is_rounded_down_and_what_must_stay_up(amount: str, of: int, most: int, stay: int) -> None:
    assert (replicas(amount, of), least(amount, of)) == (most, stay)


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_what_fits_leaves_as_many_as_must_stay(
    most: str, stay: str, wanted: int, available: int, taken: int, budget: int
) -> None:
    loss = Disruption(wanted, available, taken, budget)
    if taken and fits(loss, most, stay):
        left = available - taken
        assert wanted > 0
        assert left >= 0
        assert left >= budget
        assert wanted - left <= replicas(most, wanted)
        assert left >= least(stay, wanted)


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS)
def test_nothing_is_never_everything(most: str, stay: str, available: int, taken: int) -> None:
    empty = Disruption(0, available, taken)
    assert room(empty, most, stay) == 0
    assert fits(empty, most, stay) is (taken == 0)


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS)
def test_what_takes_nothing_away_always_fits(most: str, stay: str, wanted: int, available: int) -> None:
    assert fits(Disruption(wanted, available, 0), most, stay)
    assert fits(None, most, stay)


@given(COUNTS, COUNTS, COUNTS)
def test_more_missing_leaves_no_more_room(wanted: int, available: int, more: int) -> None:
    rooms = [room(Disruption(wanted, count, 1), "50%", "1") for count in (available, available + more)]
    assert rooms[0] <= rooms[1]


@pytest.mark.parametrize(("written", "read"), [(1, "1"), ("1", "1"), ("25%", "25%"), ("25 %", "25 %"), (0, "0")])
def test_amounts_are_counts_and_shares(written: Any, read: str) -> None:
    assert TypeAdapter(Amount).validate_python(written) == read


@pytest.mark.parametrize("written", [-1, "101%", "x", "", "%", True, None, 1.5, "1e3", "-5%", "1000%"])
def test_anything_else_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError, match="a count such as 1, or a share such as 25%, got"):
        TypeAdapter(Amount).validate_python(written)
