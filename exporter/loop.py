"""When: evaluates all signals at each multiple of the interval, publishes, and saves from time to time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from presagio.exporter.config import EvaluationConfig
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.lockstep import Rendezvous, Turn, pauses
from presagio.exporter.metrics import INTERNAL
from presagio.exporter.publish import Page
from presagio.exporter.relearn import Relearning
from presagio.exporter.store import Store
from presagio.exporter.together import ServiceScores
from presagio.toolkit.clock import Clock
from presagio.toolkit.errors import SourceError
from presagio.toolkit.log import Log

_SAVE_EVERY = 60.0
_TELL_EVERY = 5.0


class Progress:
    """Log lines while history is read: a start over two weeks of it takes a while."""

    def __init__(self, total: int, clock: Clock, log: Log) -> None:
        self.total, self.done = total, 0
        self.clock, self.log = clock, log
        self._told = clock.time()
        self._lock = threading.Lock()

    def advance(self) -> None:
        """Count one moment; log every few seconds."""
        with self._lock:
            self.done += 1
            now = self.clock.time()
            if now - self._told >= _TELL_EVERY:
                self._told = now
                self.log.info("reading history", percent=round(100 * self.done / self.total, 1), moments=self.done)


class Loop:
    """Drives the evaluations; `ready` once all signals were evaluated up to the present."""

    def __init__(
        self, evaluations: Sequence[Evaluation], timing: Timing, settings: EvaluationConfig, page: Page,
        store: Store, lock: Callable[[], AbstractContextManager[None]], clock: Clock, log: Log,
        rendezvous: Rendezvous | None = None, relearning: Relearning | None = None,
    ) -> None:  # fmt: skip
        self.evaluations = evaluations
        self.rendezvous = rendezvous
        self.relearning = relearning
        for one in evaluations:  # all of them hold history at once, and share the room that those of one turn had
            one.beside = -(-len(evaluations) // settings.concurrency)
        self.timing = timing
        self.delay = settings.delay
        self.page = page
        self.store = store
        self.lock = lock
        self.clock = clock
        self.log = log
        self.ready = False
        self.results: dict[str, Scores] = {}
        self.services: ServiceScores | None = None
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="evaluation")
        self._failing: set[str] = set()

    def run(self) -> None:
        """Evaluate until `stop` is set. Waits first until an older worker has let go of the storage."""
        with ExitStack() as held:
            self._hold(held)
            self.store.load_profiles([one.engine for one in self.evaluations])
            if self.rendezvous:
                self.store.load_services(self.rendezvous.together)
            saved = self.clock.time()
            while not self.stop.is_set():
                self._turn()
                if abs(self.clock.time() - saved) >= _SAVE_EVERY:  # a clock may be set back
                    saved = self.clock.time()
                    self.save()
                self._wait()
            self.pool.shutdown()
            self.save()

    def _turn(self) -> None:
        """Tick; a mistake of ours is logged and makes us not ready, and the next turn may go well."""
        try:
            self.tick(self.timing.at_or_before(self.clock.time() - self.delay))
        except Exception:
            self.ready = False
            self.log.exception("evaluation failed by a mistake of ours, please report it")

    def _hold(self, held: ExitStack) -> None:
        try:
            held.enter_context(self.lock())
        except OSError as error:
            self.log.error("storage cannot be locked, nothing will survive a restart", error=error)

    def save(self) -> None:
        """Write a snapshot; a full disk must not end the loop."""
        try:
            if self.rendezvous:  # before the profiles: moments that it has combined already it does not combine again
                self.store.save_services(self.rendezvous.together)
            self.store.save([one.engine for one in self.evaluations], self.page)
        except OSError as error:
            self.log.error("snapshot not written", error=str(error))

    def tick(self, time: float) -> None:
        """Evaluate all signals up to `time`, which is a moment of evaluation, and publish."""
        self._heed()
        missed = sum(evaluation.missed(time) for evaluation in self.evaluations)
        progress = Progress(max(missed, 1), self.clock, self.log)
        reached = self._together(time, progress)
        self.page.publish(self.results, self.clock.time(), self.services)
        if reached and not self.ready:
            self.ready = True
            self.log.info("ready", signals=len(self.evaluations), series=self.series(), moments=progress.done)

    def _heed(self) -> None:
        """Take up what people said; here no signal is being evaluated."""
        try:
            if self.relearning:
                self.relearning.prepare(self.results)
        except Exception:
            # The signals are scored and published all the same.
            self.log.exception("feedback not heeded by a mistake of ours, please report it")

    def _together(self, time: float, progress: Progress) -> bool:
        """Let all signals go from pause to pause up to `time`; return whether all got there."""
        turns = [Turn(one, time) for one in self.evaluations]
        for pause in pauses(turns, self.series):
            list(self.pool.map(partial(self._advance, pause=pause, progress=progress), turns))
            self._combine(pause)
            if self.stop.is_set():
                break
        return all(turn.has_arrived for turn in turns)

    def _combine(self, pause: float) -> None:
        """Combine the moments up to `pause`: who has not said anything of one by now is missing from it."""
        if self.rendezvous is None:
            return
        try:
            for services in self.rendezvous.combine(pause):
                self.services = services
        except Exception:
            # The signals are scored and published all the same.
            self.log.exception("services not scored by a mistake of ours, please report it")

    def relearn(self) -> None:
        """Learn anew what people judged otherwise, until `stop` is set: for a thread of its own."""
        if self.relearning:
            self.relearning.run(self.stop)

    def series(self) -> int:
        """Return how many series have a profile."""
        return sum(len(one.engine.keys) for one in self.evaluations)

    def _advance(self, turn: Turn, pause: float, progress: Progress) -> None:
        """Evaluate one signal up to `pause`. No error ends the loop."""
        evaluation, name = turn.evaluation, turn.evaluation.signal.name
        if turn.has_failed:
            return
        try:
            for scores in turn.until(pause):
                progress.advance()
                self._take(name, scores)
        except SourceError as error:
            self._fails(name, error)
        except Exception:
            # A mistake of ours in one signal must not take the others with it.
            evaluation.metrics.failures.labels(name, INTERNAL).inc()
            self.log.exception("evaluation failed by a mistake of ours, please report it", signal=name)
        if turn.has_arrived:
            self._recovers(name)
            evaluation.engine.sweep(turn.time)
            evaluation.metrics.series.labels(name).set(len(evaluation.engine.keys))
            evaluation.metrics.last.labels(name).set(evaluation.engine.time)

    def _take(self, name: str, scores: Scores | None) -> None:
        if scores is not None:
            self.results[name] = scores
            if self.rendezvous:
                self.rendezvous.note(name, scores)

    def _fails(self, name: str, error: SourceError) -> None:
        """Log the first failure of a signal in a row: the counter tells of the others."""
        if name not in self._failing:
            self._failing.add(name)
            self.log.warning("evaluation failed, will be made up for", signal=name, reason=error.reason, error=error)

    def _recovers(self, name: str) -> None:
        if name in self._failing:
            self._failing.discard(name)
            self.log.info("evaluation works again", signal=name)

    def _wait(self) -> None:
        now = self.clock.time()
        due = self.timing.at_or_before(now - self.delay) + self.timing.interval + self.delay
        self.clock.wait(due - now, self.stop)
