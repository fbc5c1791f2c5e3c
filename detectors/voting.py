"""Several detectors, of which some must agree (k of n; all of them is unanimous).

The score is the k-th largest of the members': as strange as k of them say at least. So it is never noisier than the
noisiest member, and as a rule quieter than the score promises. A member without a score agrees to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from presagio.detectors.base import Detector, DetectorParams, Floats, Ints, State, Verdict
from presagio.toolkit import plugins
from presagio.toolkit.errors import PluginError
from presagio.toolkit.labels import Name
from presagio.toolkit.schema import Model

OURSELVES = "voting"


class Member(Model):
    """One of those that vote."""

    name: Name = Field(description="the detector's name; not voting itself")
    params: Mapping[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        description="its parameters; direction, dead_band and adapt_after are the signal's unless they stand here",
    )

    @field_validator("name")
    @classmethod
    def _installed(cls, name: str) -> str:
        if name == OURSELVES:
            raise ValueError(f"a detector that does not vote itself, got {name!r}")
        try:
            plugins.load(plugins.DETECTORS, name)
        except PluginError as error:
            raise ValueError(f"an installed detector, got {error}") from None
        return name

    @field_validator("params")
    @classmethod
    def _valid(cls, params: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        if "name" in info.data:
            plugins.load(plugins.DETECTORS, info.data["name"]).Params.model_validate(dict(params))
        return params


class VotingParams(DetectorParams):
    """Parameters of `voting`."""

    detectors: list[Member] = Field(
        default_factory=lambda: [Member(name=name) for name in ("profile", "mad", "seasonal_quantile")],
        min_length=2,
        description="those that vote; expected value and bounds are the first one's",
    )
    at_least: int | Literal["all"] = Field(2, description="how many must agree; all is unanimous")

    @model_validator(mode="after")
    def _enough(self) -> VotingParams:
        if self.at_least != "all" and not 1 <= self.at_least <= len(self.detectors):
            raise ValueError(f"at_least of 1 to {len(self.detectors)} or all, got {self.at_least}")
        return self

    @property
    def needed(self) -> int:
        """Return how many must agree."""
        return len(self.detectors) if self.at_least == "all" else self.at_least


class Voting:
    """The members, each with all n rows."""

    Params: ClassVar[type[DetectorParams]] = VotingParams

    def __init__(self, params: VotingParams) -> None:
        self.params = params
        self.members = [_made(member, params) for member in params.detectors]

    def step(self, time: float, values: Floats, trust: Floats | None = None) -> Verdict:
        """Ask all members for values[n] at `time` (Unix seconds); each learns for itself."""
        asked = [one.step(time, values) if trust is None else one.step(time, values, trust) for one in self.members]
        scores = np.stack([one.score for one in asked])
        absent = np.isnan(scores)
        agreed = np.sort(np.where(absent, 0.0, scores), axis=0)[-self.params.needed]
        known = np.stack([one.confidence for one in asked])
        first = asked[0]
        return Verdict(
            score=np.where(absent.all(axis=0), np.nan, agreed),
            expected=first.expected,
            lower=first.lower,
            upper=first.upper,
            confidence=np.where(absent & ~np.isnan(values), 0.0, known).mean(axis=0),
        )

    def reindex(self, rows: Ints) -> None:
        """Follow churn: new row i was row rows[i]; -1 is a series never seen."""
        for one in self.members:
            one.reindex(rows)

    def state(self) -> State:
        """Return what all members have learnt."""
        return {
            f"{_prefix(number)}{field}": array
            for number, one in enumerate(self.members)
            for field, array in one.state().items()
        }

    def restore(self, state: State) -> None:
        """Take what `state` returned. Raises ValueError if it is of other members."""
        for number, one in enumerate(self.members):
            prefix = _prefix(number)
            one.restore({name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)})


def _prefix(number: int) -> str:
    return f"member{number}_"


def _made(member: Member, params: VotingParams) -> Detector:
    kind = plugins.load(plugins.DETECTORS, member.name)
    common = {field: getattr(params, field) for field in DetectorParams.model_fields}
    return cast(Detector, kind(kind.Params.model_validate({**common, **member.params})))
