"""The table of states against the contract, word for word: shared by docs/remediation.md."""

from collections.abc import Iterator

import pytest

from presagio.webhook.states import BLOCKING, LIVE, TERMINAL, TRANSITIONS, Reason, State, allowed

# From the contract: "from -> to, to". `any -> ESCALATED` is the last test's subject.
CONTRACT = """
RECEIVED -> DROPPED ATTACHED EVALUATING
EVALUATING -> CLOSED BLOCKED PLANNED
BLOCKED -> EVALUATING ESCALATED
PLANNED -> CLOSED AWAITING_APPROVAL READY
AWAITING_APPROVAL -> READY EVALUATING CANCELLED
READY -> INTENT
INTENT -> APPLIED NOT_APPLIED UNKNOWN
UNKNOWN -> APPLIED NOT_APPLIED ESCALATED
APPLIED -> SETTLING
SETTLING -> VERIFYING ROLLING_BACK
VERIFYING -> VERIFIED INEFFECTIVE INCONCLUSIVE SUPERSEDED
INEFFECTIVE -> ROLLING_BACK NEXT_RUNG ESCALATED
ROLLING_BACK -> ROLLED_BACK ESCALATED
VERIFIED -> HOLDDOWN
ROLLED_BACK -> HOLDDOWN
HOLDDOWN -> CLOSED
"""

# What the contract leaves open, because it follows: a state that has an entry has a way out.
OURS = """
PLANNED -> EVALUATING
READY -> EVALUATING
NOT_APPLIED -> EVALUATING ESCALATED
NEXT_RUNG -> EVALUATING
HOLDDOWN -> NEXT_RUNG
SUPERSEDED -> CLOSED
CLOSED -> CLOSED
"""


def ways(text: str) -> Iterator[tuple[State, State]]:
    for line in text.strip().splitlines():
        source, targets = line.split(" -> ")
        yield from ((State[source], State[target]) for target in targets.split())


def test_every_way_of_the_contract_is_in_the_table() -> None:
    missing = [way for way in ways(CONTRACT) if not allowed(*way)]
    assert missing == []


def test_the_table_has_no_other_way() -> None:
    known = {*ways(CONTRACT), *ways(OURS), *((state, State.ESCALATED) for state in LIVE)}
    assert {(way.source, way.target) for way in TRANSITIONS} == known


def test_every_way_stands_once() -> None:
    pairs = [(way.source, way.target) for way in TRANSITIONS]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("state", State)
def test_an_end_has_no_way_out_and_all_others_lead_to_one(state: State) -> None:
    leads_on = any(way.source is state and way.target is not state for way in TRANSITIONS)
    assert leads_on is (state not in TERMINAL)
    assert state in TERMINAL or allowed(state, State.ESCALATED)


def test_every_state_but_the_first_can_be_reached() -> None:
    reached, edge = {State.RECEIVED}, {State.RECEIVED}
    while edge:
        edge = {way.target for way in TRANSITIONS if way.source in edge} - reached
        reached |= edge
    assert reached == set(State)


def test_what_blocks_is_a_reason() -> None:
    assert set(BLOCKING) < set(Reason)
