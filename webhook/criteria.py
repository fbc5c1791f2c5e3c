"""What Prometheus is asked for a policy, and what its answer means. Pure: nothing here asks anyone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration, format_duration
from presagio.webhook import promql

if TYPE_CHECKING:
    from presagio.toolkit.prometheus import Floats, Vector

_OPERATORS: Mapping[str, Callable[[Floats, float], npt.NDArray[np.bool_]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Sample(StrEnum):
    """What one look at Prometheus says of a remediation."""

    GOOD = "good"
    BAD = "bad"
    NO_DATA = "no data"


def _condition(query: str) -> str:
    found = promql.comparison(promql.check(query))
    if found and found.is_bool:
        raise ValueError(f"a comparison without 'bool', whose answer is empty when it does not hold, got {query!r}")
    return query


Query = Annotated[str, Field(min_length=1), AfterValidator(promql.check)]
When = Annotated[str, Field(min_length=1), AfterValidator(_condition)]


class Verify(Model):
    """How the webhook tells that a remediation helped."""

    query: Query = Field(description="PromQL comparison that every series satisfies once all is well")
    data: Query | None = Field(
        None, description="PromQL of the series that are judged; only needed where `query` is no single comparison"
    )
    samples: int = Field(3, ge=1, le=1000, description="good samples in a row that count as success")
    interval: Duration = Field(30.0, gt=0, description="time between two samples")
    deadline: Duration = Field(900.0, gt=0, description="without success for so long, the action was ineffective")

    @model_validator(mode="after")
    def _possible(self) -> Verify:
        least = self.samples * self.interval
        if self.deadline < least:
            got = format_duration(self.deadline)
            raise ValueError(f"a deadline of at least samples x interval ({format_duration(least)}), got {got}")
        return self

    @model_validator(mode="after")
    def _judgeable(self) -> Verify:
        queries(self)
        return self


@dataclass(frozen=True)
class Condition:
    """PromQL with all placeholders filled; it holds if its answer has at least one number."""

    query: str

    def holds(self, answer: Vector) -> bool:
        """Return whether the condition holds, given Prometheus' answer to `query`."""
        return bool((~np.isnan(answer.values)).any())


@dataclass(frozen=True)
class Verification:
    """How this remediation is judged: ask each of `questions` for the same moment, then `judge`.

    `data[0]` are the series that must all be good; the others only have to be there. If `bound` is known, an operator
    and a number, the good ones are those that satisfy it, and `query` need not be asked. Times are seconds; `range`
    is how far the query looks back, so long after the action it still sees what was before.
    """

    query: str
    data: tuple[str, ...]
    samples: int
    interval: float
    deadline: float
    range: float
    bound: tuple[str, float] | None = None

    @property
    def questions(self) -> tuple[str, ...]:
        """Return the queries: of the series that are judged, of what has to be there, of those that are good."""
        return self.data if self.bound else (*self.data, self.query)

    def judge(self, answers: Sequence[Vector]) -> Judgement:
        """Return what the answers to `questions`, in their order, say."""
        data, rest = answers[: len(self.data)], answers[len(self.data) :]
        judged = data[0].values
        good = int(_satisfying(judged, self.bound).sum()) if self.bound else len(rest[0].values)
        if any(_silent(one) for one in data) or any(_doubtful(one) for one in rest):
            return Judgement(Sample.NO_DATA, good, len(judged))
        return Judgement(Sample.GOOD if good == len(judged) else Sample.BAD, good, len(judged))


@dataclass(frozen=True)
class Judgement:
    """Whether all series are good, some are not, or nobody can tell; and how many of how many are."""

    sample: Sample
    good: int
    of: int


def bound(query: str) -> tuple[str, float] | None:
    """Return the operator and the number that a query compares series with; None if it is no such comparison."""
    found = promql.comparison(query)
    if found is None:
        return None
    left, right = promql.number(found.left), promql.number(found.right)
    if right is not None:
        return found.operator, right
    return None if left is None else (_MIRRORED.get(found.operator, found.operator), left)


def queries(verify: Verify) -> tuple[str, ...]:
    """Return what is asked to judge: the series that are good, all that are judged, what they are compared with.

    Raises ValueError if the query is no single comparison and `data` does not say what is judged.
    """
    if verify.data:
        return verify.query, verify.data
    found = promql.comparison(verify.query)
    sides = [] if found is None else [side for side in (found.left, found.right) if promql.number(side) is None]
    if found is None or not sides:
        raise ValueError(f"one comparison such as 'x < 5' as query, or 'data' beside it, got {verify.query!r}")
    return found.text, *sides


def _satisfying(values: Floats, bound: tuple[str, float]) -> npt.NDArray[np.bool_]:
    compare, number = bound
    return _OPERATORS[compare](values, number)


def _doubtful(answer: Vector) -> bool:
    return answer.partial or bool(np.isnan(answer.values).any())


def _silent(answer: Vector) -> bool:
    return not len(answer.values) or _doubtful(answer)
