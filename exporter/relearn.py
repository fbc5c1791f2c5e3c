"""Learning anew: when people judge the past otherwise, the rows concerned read it again.

A thread of its own replays the history of a service through a small engine, with the feedback in force, while the
live engine goes on. Between two turns of the loop the rows are then grafted into the live engine, at one and the same
moment: no moment is scored twice. What is due is told by the marks of the rows, which are part of every snapshot, so
that neither a kill nor a failing Prometheus loses it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry

from presagio.exporter.engine import Engine, Scores
from presagio.exporter.evaluation import Evaluation
from presagio.exporter.feedback import Kind
from presagio.exporter.in_force import InForce
from presagio.exporter.metrics import FeedbackMetrics, Metrics
from presagio.exporter.narrow import Narrow
from presagio.exporter.signals import Key
from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import Log

_MOST_ROWS = 10_000
_RETRY_AFTER, _IDLE, _TELL_EVERY = 60.0, 1.0, 5.0
_LEAST_SHARE = 0.5
"""Of the confidence that a row has: below it the history at hand knows too little, and the old profile stays."""


@dataclass(frozen=True)
class Job:
    """The rows of a service in one signal are to learn anew."""

    signal: str
    service_id: str


@dataclass
class Learnt:
    """What a replay has come to: an evaluation of its own, and its newest scores."""

    job: Job
    evaluation: Evaluation
    newest: Scores | None = None


class Relearning:
    """Finds what is due and grafts what is ready (in the loop's thread); replays (in a thread of its own).

    make: returns a new engine of the same signal.
    """

    def __init__(
        self, evaluations: Sequence[Evaluation], force: InForce, make: Callable[[Engine], Engine],
        metrics: FeedbackMetrics, clock: Clock, log: Log,
    ) -> None:  # fmt: skip
        self.evaluations = {one.signal.name: one for one in evaluations}
        self.force = force
        self.make = make
        self.metrics = metrics
        self.clock = clock
        self.log = log
        self._lock = threading.Lock()
        self._due: dict[Job, float] = {}
        self._ready: dict[Job, Learnt] = {}
        for name in self.evaluations:
            metrics.know(name)

    def prepare(self, results: dict[str, Scores]) -> None:
        """Between two turns: let the engines know what is in force, graft what has been learnt, find what is due."""
        self.force.tell([one.engine for one in self.evaluations.values()])
        self._count(results)
        with self._lock:
            ready = list(self._ready.values())
        for one in ready:
            self._graft(one, results.get(one.job.signal))
        self._find_due()

    def _count(self, results: dict[str, Scores]) -> None:
        kinds = Counter(one.kind for one in self.force.book.in_force())
        for kind in Kind:
            self.metrics.feedback.labels(kind.value).set(kinds[kind])
        for name, scores in results.items():
            for number in self.force.note(scores):
                self.log.info("score kept low: a person expects this", signal=name, feedback=number)

    def names(self) -> dict[str, set[str]]:
        """Return the services that are scored, and the signals of each."""
        found: dict[str, set[str]] = {}
        for evaluation in self.evaluations.values():
            for key in evaluation.engine.keys:
                found.setdefault(key.service_id, set()).add(key.signal)
        return found

    def run(self, stop: threading.Event) -> None:
        """Replay what is due until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.work(stop)
            except Exception:
                busy = False
                self.log.exception("relearning failed by a mistake of ours, please report it")
            if not busy:
                self.clock.wait(_IDLE, stop)

    def work(self, stop: threading.Event) -> bool:
        """Replay for one service that is due; return whether there was one."""
        job = self._next()
        if job is None:
            return False
        evaluation = self.evaluations[job.signal]
        try:
            learnt = self._replay(job, evaluation, stop)
        except SourceError as error:
            self._postpone(job)
            self.metrics.relearns.labels(job.signal, "failed").inc()
            self.log.warning(
                "relearning failed, will be tried again", **_named(job), reason=error.reason, error=error
            )
            return True
        except Exception:
            self._postpone(job)
            self.metrics.relearns.labels(job.signal, "failed").inc()
            raise
        if learnt is not None:
            with self._lock:
                self._due.pop(job, None)
                self._ready[job] = learnt
        return True

    def _next(self) -> Job | None:
        now = self.clock.time()
        with self._lock:
            return next(
                (job for job, when in self._due.items() if abs(when - now) > _RETRY_AFTER or when <= now), None
            )

    def _postpone(self, job: Job) -> None:
        with self._lock:
            self._due[job] = self.clock.time() + _RETRY_AFTER

    def _find_due(self) -> None:
        found = {}
        for name, evaluation in self.evaluations.items():
            engine = evaluation.engine
            stale = self.force.stale(engine)
            for service_id in dict.fromkeys(engine.keys[row].service_id for row in np.flatnonzero(stale).tolist()):
                if self.force.is_over(service_id, engine.time):
                    found[Job(name, service_id)] = -np.inf
        with self._lock:
            self._due = {job: self._due.get(job, when) for job, when in found.items() if job not in self._ready}

    def _replay(self, job: Job, live: Evaluation, stop: threading.Event) -> Learnt | None:
        """Return what the history of a service teaches under the feedback in force; None if told to stop."""
        keys = [key for key in live.engine.keys if key.service_id == job.service_id]
        source = Narrow(live.source, live.naming, job.service_id, keys)
        self.force.draw(keys, live.signal, source, live.timing)
        engine = self.make(live.engine)
        self.force.tell([engine])
        evaluation = Evaluation(
            engine, live.naming, source, live.timing, _room(engine), Metrics(CollectorRegistry()), self.log
        )
        learnt = Learnt(job, evaluation)
        self.log.info("relearning", **_named(job), series=len(keys))
        told = self.clock.time()
        # The live engine has gone on meanwhile: the second round is short.
        for _ in range(2):
            end = live.engine.time
            total = max(1, evaluation.missed(end))
            for done, scores in enumerate(evaluation.advance(end), 1):
                learnt.newest = scores or learnt.newest
                if stop.is_set():
                    return None
                if self.clock.time() - told >= _TELL_EVERY:
                    told = self.clock.time()
                    self.log.info("relearning", **_named(job), percent=round(100 * done / total, 1))
        return learnt

    def _graft(self, learnt: Learnt, newest: Scores | None) -> None:
        """Hand over rows, at the moment that the live engine has reached."""
        job, live = learnt.job, self.evaluations[learnt.job.signal].engine
        if newest is None:
            return
        try:
            for scores in learnt.evaluation.advance(live.time):
                learnt.newest = scores or learnt.newest
        except SourceError as error:
            self.log.warning(
                "relearning failed, will be tried again", **_named(job), reason=error.reason, error=error
            )
            return
        except Exception:
            with self._lock:
                self._ready.pop(job, None)
            self._postpone(job)
            raise
        with self._lock:
            self._ready.pop(job, None)
        if learnt.evaluation.engine.time != live.time:
            return  # the clock was set back: the rows are still marked, and begin anew
        self._hand_over(learnt, live, newest)

    def _hand_over(self, learnt: Learnt, live: Engine, newest: Scores) -> None:
        small = learnt.evaluation.engine
        wanted, stale = self.force.wanted(live), self.force.stale(live)
        rows = [row for row in np.flatnonzero(stale).tolist() if live.keys[row].service_id == learnt.job.service_id]
        service = learnt.job.service_id
        before, after = _confidence(newest, service), _confidence(learnt.newest, service)
        good, short = [], []
        for row in rows:
            other = small.index.get(live.keys[row], -1)
            if other >= 0 and small.marks[other] != wanted[row]:
                continue  # judged otherwise meanwhile: it is still due
            known = after.get(live.keys[row], 0.0)
            good.append((row, other)) if known >= _LEAST_SHARE * before.get(live.keys[row], 0.0) else short.append(
                row
            )
        if good:
            live.graft(small, *(np.array(column, dtype=np.int64) for column in zip(*good, strict=True)))
        live.marks[short] = wanted[short]
        self._tell(learnt.job, len(good), len(short))

    def _tell(self, job: Job, good: int, short: int) -> None:
        if good:
            self.metrics.relearns.labels(job.signal, "done").inc()
            self.log.info("relearnt", **_named(job), series=good)
        if short:
            self.metrics.relearns.labels(job.signal, "short").inc()
            self.log.warning(
                "history too short to relearn, the old profile stays; raise warm_start.lookback", **_named(job),
                series=short,
            )  # fmt: skip


def _named(job: Job) -> dict[str, str]:
    return {"service_id": job.service_id, "signal": job.signal}


def _confidence(scores: Scores | None, service_id: str) -> dict[Key, float]:
    if scores is None:
        return {}
    found = enumerate(scores.keys)
    return {key: float(scores.confidence[row]) for row, key in found if key.service_id == service_id}


def _room(engine: Engine) -> Callable[[], AbstractContextManager[int]]:
    @contextmanager
    def room() -> Iterator[int]:
        yield _MOST_ROWS - len(engine.keys)

    return room
