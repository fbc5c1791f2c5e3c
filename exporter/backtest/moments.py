"""A past span moment by moment: what all signals, and their services, said of each, in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from presagio.exporter.engine import Scores
from presagio.exporter.evaluation import Evaluation
from presagio.exporter.lockstep import Rendezvous, Turn, pauses
from presagio.exporter.together import ServiceScores
from presagio.toolkit.errors import SourceError


@dataclass(frozen=True)
class Moment:
    """All that was said at `time`, by the name of the signal; what the live page would show then."""

    time: float
    results: Mapping[str, Scores]
    services: ServiceScores | None


def moments(
    evaluations: Sequence[Evaluation],
    end: float,
    meeting: Rendezvous | None = None,
    told: Callable[[], object] = lambda: None,
) -> Iterator[Moment]:
    """Evaluate all signals side by side up to `end`; moments at which Prometheus had no data are left out.

    told: called after each moment of each signal. Raises SourceError, with the signal's name.
    """
    for one in evaluations:  # all of them hold history at once
        one.beside = len(evaluations)
    turns = [Turn(one, end) for one in evaluations]
    for pause in pauses(turns, lambda: sum(len(one.engine.keys) for one in evaluations)):
        held: dict[float, dict[str, Scores]] = {}
        for turn in turns:
            for scores in _until(turn, pause):
                told()
                if scores is not None:
                    held.setdefault(scores.time, {})[turn.evaluation.signal.name] = scores
                    if meeting:
                        meeting.note(turn.evaluation.signal.name, scores)
        services = {one.time: one for one in meeting.combine(pause)} if meeting else {}
        for time in sorted(held):
            yield Moment(time, held[time], services.get(time))


def _until(turn: Turn, pause: float) -> Iterator[Scores | None]:
    try:
        yield from turn.until(pause)
    except SourceError as error:
        raise SourceError(error.reason, f"signal {turn.evaluation.signal.name!r}: {error}") from error
