"""Why a query was refused, from what Prometheus and those that answer like it say."""

from __future__ import annotations

import re

from presagio.toolkit.errors import SourceReason

_BY_STATUS = {
    400: SourceReason.BAD_QUERY,
    401: SourceReason.REFUSED,
    403: SourceReason.REFUSED,
    413: SourceReason.TOO_LARGE,
    422: SourceReason.BAD_QUERY,
    429: SourceReason.RATE_LIMITED,
}

# Those who answer 400 or 422 for everything say it in words: Amazon's service and VictoriaMetrics for time,
_LATE = re.compile(r"timed out|timeout exceeded|maxQueryDuration")
# and for size Prometheus (samples, resolution), Mimir, Cortex and Amazon's service (length, chunks), Thanos (limits
# of a store) and VictoriaMetrics (its flags).
_LARGE = re.compile(
    r"too many (samples|points)|maximum resolution|time range exceeds the limit|err-mimir-max-|number of chunks limit"
    r"|exceeded (series|chunks?|samples?) limit|limit \S+ violated|-search\.max"
)


def reason_of(status: int, kind: str, text: str) -> SourceReason:
    """Return the reason of a refusal: its HTTP status, its `errorType`, and its words."""
    if kind == "timeout":
        return SourceReason.TIMEOUT
    reason = _BY_STATUS.get(status, SourceReason.SERVER_ERROR)
    if reason is SourceReason.BAD_QUERY and _LATE.search(text):
        return SourceReason.TIMEOUT
    if reason is SourceReason.BAD_QUERY and _LARGE.search(text):
        return SourceReason.TOO_LARGE
    return reason
