"""Two `presagio webhook` on one PostgreSQL: they share the work, and one that is killed is replaced by the other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import PostgresBinaries, PostgreSQL, free_port, wait_until
from webhook_town import Town, Webhook, town

from presagio.webhook.states import LIVE, State

# what is new here is the database: once is enough
pytestmark = pytest.mark.parametrize("generation", ["system"], indirect=True)

SERVICES = tuple(f"service-{number}" for number in range(16))

BEGUN = tuple(state for state in LIVE if state is not State.BLOCKED)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def here(
    stack: ExitStack, workdir: Path, prometheus_binary: Path, alertmanager_binary: Path,
    postgres_binaries: PostgresBinaries,
) -> Town:  # fmt: skip
    server = stack.enter_context(PostgreSQL(postgres_binaries, workdir / "postgresql"))
    key = workdir / "ledger.key"
    key.write_text("5a" * 32)
    ledger = f'{{url: "{server.url}", key_file: {key}}}'
    return town(stack, workdir, (prometheus_binary, alertmanager_binary), ledger=ledger, seconds=2)


def second(stack: ExitStack, here: Town, folder: Path) -> Webhook:
    folder.mkdir()
    return stack.enter_context(Webhook(folder, free_port(), **here.webhook.settings))


def closed(webhook: Webhook) -> bool:
    outcomes = [one["outcome"] for one in webhook.remediations(State.CLOSED) if one["service_id"] in SERVICES]
    return outcomes == ["verified"] * len(SERVICES)


def test_both_work_on_what_either_was_sent_and_tell_the_same(stack: ExitStack, workdir: Path, here: Town) -> None:
    other = second(stack, here, workdir / "second")
    here.leak(*SERVICES)
    here.fire(*SERVICES)
    wait_until(lambda: closed(other), "closed remediations", 120)
    assert len(here.fleet.attempts()) == len(SERVICES)
    acted = [webhook.output().count("target=intent") for webhook in (here.webhook, other)]
    assert sum(acted) == len(SERVICES)
    assert min(acted) > 0, "one of them did nothing"
    assert "the ledger is whole" in other.audit("verify")
    here.webhook.decide("pause", "--note", "both of you")
    assert "both of you" in other.decide("status")


def test_what_a_killed_one_leaves_the_other_brings_to_its_end(stack: ExitStack, workdir: Path, here: Town) -> None:
    here.webhook.kill9()
    other = second(stack, here, workdir / "second")
    here.webhook.start()
    here.webhook.wait_ready()
    here.leak(*SERVICES)
    here.fire(*SERVICES)
    wait_until(here.fleet.attempts, "first action", 30)
    here.webhook.kill9()
    wait_until(lambda: not other.remediations(*BEGUN), "end of all", 150)
    assert len(here.fleet.attempts()) == len(set(here.fleet.attempts())) >= len(SERVICES)
    outcomes = [one["outcome"] for one in other.remediations() if one["service_id"] in SERVICES]
    # what was cut in the middle of a command cannot be told, and goes to a person
    assert set(outcomes) <= {"verified", "escalated"}
    assert outcomes.count("verified") >= len(SERVICES) - 4
    assert "the ledger is whole" in other.audit("verify")
