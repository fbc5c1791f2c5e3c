"""What waits is counted, and for how long."""

from fake_world import START, World

from presagio.webhook.moves import Arrival, Move
from presagio.webhook.queues import Queue, Waiting, waiting
from presagio.webhook.states import Outcome, Reason, State


def test_known_queues_begin_empty(world: World) -> None:
    assert waiting(world.engine) == dict.fromkeys(Queue, Waiting(0, None))
    for queue in Queue:
        assert world.metric("queue_length", queue=queue) == 0
        assert world.metric("queue_wait_seconds", queue=queue) == 0


def test_the_inbox_counts_alerts_and_the_oldest_waits_longest(world: World) -> None:
    world.fire("a")
    world.clock.advance(30)
    world.fire("b")
    assert waiting(world.engine)[Queue.INBOX] == Waiting(2, START)
    assert world.metric("queue_wait_seconds", queue="inbox") == 30
    world.run()
    assert world.metric("queue_length", queue="inbox") == 0


def test_what_a_person_has_not_been_told_is_in_the_outbox(world: World) -> None:
    world.fire()
    world.ledger.open([(world.inbox.waiting()[0], [Arrival("f", START - 60, {"labels": {}})])], START)
    escalated = Move(State.ESCALATED, Reason.DEADLINE, outcome=Outcome.ESCALATED)
    world.ledger.move(world.case(), escalated, START)
    assert waiting(world.engine)[Queue.OUTBOX] == Waiting(1, START)
    world.clock.advance(120)
    assert world.metric("queue_wait_seconds", queue="outbox") == 120
    assert world.courier.deliver(world.clock.now) == 1
    assert world.metric("queue_length", queue="outbox") == 0


def test_an_alert_that_was_not_looked_at_yet_is_pending(world: World) -> None:
    world.fire()
    arrivals = [Arrival("f", START - 60, {"labels": {}})]
    world.ledger.open([(world.inbox.waiting()[0], arrivals)], START)
    assert waiting(world.engine) == {
        Queue.INBOX: Waiting(0, None), Queue.PENDING: Waiting(1, START), Queue.OUTBOX: Waiting(0, None),
    }  # fmt: skip
