"""How long a remediation may take for each step of its life; every number has a default that suits most."""

from __future__ import annotations

from pydantic import Field

from presagio.toolkit.schema import Model
from presagio.toolkit.units import Duration


class Timers(Model):
    """Durations and counts that hold for all policies."""

    evaluation_deadline: Duration = Field(
        3600.0, gt=0, description="a remediation not decided for so long goes to a person"
    )
    self_resolved_samples: int = Field(
        3, ge=1, le=1000, description="samples in a row without the condition that count as self-resolved"
    )
    sample_interval: Duration = Field(30.0, gt=0, description="time between those samples")
    retry: Duration = Field(
        30.0,
        gt=0,
        description="first wait when Prometheus, Alertmanager or the target cannot be asked; grows with time",
    )
    attempt_deadline: Duration = Field(
        900.0, gt=0, description="an action, probe or undo without an answer for so long has an unknown outcome"
    )
    back_off: Duration = Field(60.0, gt=0, description="wait after an attempt that had no effect, doubled each time")
    back_offs: int = Field(5, ge=0, le=20, description="so many times; then a person is told")
    approval: Duration = Field(900.0, gt=0, description="a plan not approved for so long is cancelled")
    ready_patience: Duration = Field(
        60.0, gt=0, description="a plan that waited so long to be carried out is made again"
    )
    hold: Duration = Field(
        600.0, ge=0, description="a recurrence so soon after the end is the same problem: next rung of the ladder"
    )
    workers: int = Field(16, ge=1, le=64, description="actions carried out at once")

    def backed_off(self, attempts: int) -> float:
        """Return the wait after so many attempts (from 1): back_off, twice that, four times that..."""
        return self.back_off * 2.0 ** (attempts - 1)
