"""All signals side by side: each is evaluated up to a pause, then what they said is combined moment by moment.

History of one signal after the other would have to be kept whole until the last one is read. With pauses a few
moments are kept, and warm start, catching up and backtest give a service the scores that live evaluation gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from presagio.exporter.cells import Seen, seen
from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation, Timing
from presagio.exporter.together import ServiceScores, Together

_MOST_SERIES_MOMENTS = 200_000
_MOST_MOMENTS = 32


class Turn:
    """One signal on its way to `time`, which can stop at a pause and go on."""

    def __init__(self, evaluation: Evaluation, time: float) -> None:
        self.evaluation = evaluation
        self.time = time
        self.next = evaluation.timing.first(evaluation.engine.time, time)
        self.has_arrived = self.has_failed = False
        self._results = evaluation.advance(time)

    def until(self, pause: float) -> Iterator[Scores | None]:
        """Yield the results up to `pause`, as `Evaluation.advance` does. Raises SourceError."""
        try:
            yield from self._until(pause)
        except Exception:
            self.has_failed = True
            raise

    def _until(self, pause: float) -> Iterator[Scores | None]:
        if pause >= self.time:
            yield from self._results
            self.has_arrived = True
            return
        timing, engine = self.evaluation.timing, self.evaluation.engine
        beyond = pause + timing.interval / 2
        if self.next >= beyond:
            return
        for scores in self._results:
            self.next = timing.first(engine.time, self.time)
            yield scores
            if self.next >= beyond:
                return


def pauses(turns: Sequence[Turn], series: Callable[[], int]) -> Iterator[float]:
    """Yield where all turns stop together: the first moment, then so many at once as memory allows, then the end."""
    if not turns:
        return
    timing, end = turns[0].evaluation.timing, turns[0].time
    pause = min(turn.next for turn in turns)
    while pause < end:
        yield pause
        moments = min(max(_MOST_SERIES_MOMENTS // max(series(), 1), 1), _MOST_MOMENTS)
        pause = timing.ahead(pause, moments, end)
    yield end


class Rendezvous:
    """Holds what the signals said until all have reached the moment, then combines it in the order of time.

    names: the signals that take part. A signal whose evaluation failed is missing from a moment; once the moment is
    combined it is not gone back to.
    """

    def __init__(self, together: Together, timing: Timing, names: Collection[str]) -> None:
        self.together = together
        self.timing = timing
        self.names = names
        self._noted: dict[float, dict[str, Seen]] = {}

    def note(self, name: str, scores: Scores) -> None:
        """Keep what a signal said. Called by many threads, each with a signal of its own."""
        if name in self.names and self._is_due(scores.time):
            self._noted.setdefault(scores.time, {})[name] = seen(scores)

    def combine(self, pause: float) -> Iterator[ServiceScores]:
        """Combine all moments up to `pause`; yield the services' scores of each."""
        for time in sorted(time for time in self._noted if time <= pause):
            results = self._noted.pop(time)
            if self._is_due(time):
                yield self.together.step(time, results)
        self.together.sweep()

    def _is_due(self, time: float) -> bool:
        return self.timing.first(self.together.time, time) <= time


def run(
    evaluations: Sequence[Evaluation], rendezvous: Rendezvous, end: float
) -> Iterator[Scores | ServiceScores | None]:
    """Evaluate all signals up to `end`, without threads; yield what each said, and the services between two pauses.

    For a past span as backtest looks at it. Raises SourceError.
    """
    turns = [Turn(one, end) for one in evaluations]
    for pause in pauses(turns, lambda: sum(len(one.engine.keys) for one in evaluations)):
        for turn in turns:
            for scores in turn.until(pause):
                if scores is not None:
                    rendezvous.note(turn.evaluation.signal.name, scores)
                yield scores
        yield from rendezvous.combine(pause)
