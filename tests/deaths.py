"""Lives that are ended by kill -9 at a moment that is chosen: for the tests of what survives them."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_world import FakeAction, World

from presagio.actions.base import Evidence, Plan, Probe

ENDED, BROKEN = 0, 1


class Death:
    """Comes at the n-th moment of those that a life has: before or after a commit, before or after an effect."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Note:
    """Lines in a file: written by one system call, so that a kill comes before it or after it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, line: str) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


class Surgery(FakeAction):
    """Effects that outlive us; its probe tells the truth, as that of a class C action does."""

    def __init__(self, name: str, done: Note, undone: Note, death: Death) -> None:
        super().__init__(name)
        self.done = done
        self.put_back = undone
        self.death = death

    def apply(self, plan: Plan, attempt_id: str) -> Evidence:
        self.death.pass_by()
        self.done.add(attempt_id)
        self.death.pass_by()
        return Evidence("done")

    def probe(self, plan: Plan, attempt_id: str) -> Probe:
        self.death.pass_by()
        return Probe.APPLIED if attempt_id in self.done.lines() else Probe.NOT_APPLIED

    def undo(self, plan: Plan) -> Evidence:
        self.death.pass_by()
        self.put_back.add(plan.summary)
        self.death.pass_by()
        return Evidence("undone")


def die_at_commits(world: World, death: Death) -> None:
    """Let death pass by before and after each commit."""
    dialect = world.engine.dialect
    commit = dialect.do_commit

    def deadly(connection: Any) -> None:
        death.pass_by()
        commit(connection)
        death.pass_by()

    dialect.do_commit = deadly  # type: ignore[method-assign, assignment]


def forked(live: Callable[[], object], log: Path) -> int:
    """Run in a process of its own, until it ends; return how, as `os.waitstatus_to_exitcode` does."""
    return ended(begun(live, log))


def begun(live: Callable[[], object], log: Path) -> int:
    """Run in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        live()
        os._exit(ENDED)
    except BaseException:
        traceback.print_exc()
        os._exit(BROKEN)


def ended(child: int) -> int:
    """Wait for a process that was begun; return how it ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
