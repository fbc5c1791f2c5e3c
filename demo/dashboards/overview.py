"""The fleet at a glance: who is not well, who will not be, and how long there is."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.frame import Section, board, services
from dashboards.parts import ALARM, graph, heat, number, rows
from dashboards.queries import (
    FILTER,
    PROBABILITY_THRESHOLD,
    SCORE_THRESHOLD,
    SCORES,
    at_least,
    chosen,
    firing,
    or_zero,
)

WORST = f"topk(20, max by (service_id) ({SCORES}))"
PROBABILITY = chosen("service_id_failure:presagio_failure_probability:max")
LIKELIEST = f"topk(20, {PROBABILITY})"
LEFT = f"presagio_time_to_threshold_seconds{{{FILTER}}} < +Inf"
EARLY = f"presagio_time_to_threshold_lower_bound_seconds{{{FILTER}}} < +Inf"
FIRING = firing('service_id=~"$service_id"')
SOONEST = f"bottomk(20, min by (service_id, signal, threshold) ({LEFT}))"
RECORD = 'service_id:presagio_anomaly_score:max{service_id=~"$service_id"}'

VARIABLES = services()
HEADS = {"service_id": "service"}


def _of_failures(times: str) -> str:
    """Return times to thresholds by the failure that each is the limit of: a limit is named as its failure."""
    named = f'label_replace({times}, "failure", "$1", "threshold", "(.+)")'
    return f"min by (service_id, failure) ({named}) and on (service_id, failure) {LIKELIEST}"


GLANCE = [
    number(
        "Services watched", "Services that have a score now.", f"count(count by (service_id) ({SCORES}))"
    ),
    number(
        "Not normal now", "Services with a signal whose score is at the threshold: once in a million samples.",
        or_zero(f"count({at_least(f'max by (service_id) ({SCORES})', SCORE_THRESHOLD)})"), steps=ALARM,
    ),
    number(
        "Failures likely", "Failures whose probability is at the threshold, within their longest horizon.",
        or_zero(f"count({at_least(PROBABILITY, PROBABILITY_THRESHOLD)})"), steps=ALARM,
    ),
    number(
        "Soonest limit", "Time until the first signal reaches a limit, as likely as not.", f"min({LEFT})", "s",
        steps=[(None, "red"), (4 * 3600, "orange"), (24 * 3600, "green")], none="none in sight",
    ),
    number(
        "Alerts firing", "Alerts of Presagio that fire for these services, of any severity.",
        or_zero(f"count({FIRING})"), steps=ALARM,
    ),
    number(
        "Waiting for a person", "Remediations of the whole fleet that wait for an approval.",
        or_zero('sum(presagio_remediations{state="awaiting_approval"})'),
        steps=[(None, "green"), (1, "orange")],
    ),
]  # fmt: skip

NOW = [
    rows(
        "Worst services", "The twenty with the highest score; click on one to see why. together: all its signals as "
        "one score. confidence: how much is known of the signal that is known least.",
        {
            "score": WORST,
            "together": f"max by (service_id) (presagio_service_anomaly_score) and on (service_id) {WORST}",
            "confidence": f"min by (service_id) (presagio_signal_confidence{{{FILTER}}}) and on (service_id) {WORST}",
        },
        sort="score", names=HEADS,
    ),
    rows(
        "Alerts firing", "Alerts of Presagio that fire now.",
        {"alerts": f"count by (alertname, severity, service_id, signal, failure) ({FIRING})"},
        names={**HEADS, "alertname": "alert"}, hidden=["alerts"],
    ),
    heat(
        "Scores of the worst services", "A row for each of the twenty services that had the highest score in this "
        "time. "
        "Green is 0, red is 1.", "{{service_id}}",
        f"{RECORD} and on (service_id) topk(20, max_over_time({RECORD}[$__range] @ end()) and on (service_id) "
        f"{SCORES} @ end())",
    ),
]  # fmt: skip

AHEAD = [
    rows(
        "Predicted failures", "The twenty likeliest. probability: that the failure begins within its longest "
        "horizon. time left: until its limit is reached, as likely as not; perhaps in: one time in ten. Empty: not "
        "within the longest horizon, or the failure has no limit.",
        {
            "probability": LIKELIEST,
            "time left": _of_failures(LEFT),
            "perhaps in": _of_failures(EARLY),
        },
        sort="probability", names=HEADS,
    ),
    rows(
        "Limits ahead", "The twenty signals that reach a limit soonest. time left: as likely as not; perhaps in: one "
        "time in ten.",
        {
            "time left": SOONEST,
            "perhaps in": f"min by (service_id, signal, threshold) ({EARLY}) and on (service_id, signal, threshold) "
            f"{SOONEST}",
        },
        sort="time left", descending=False, names=HEADS,
    ),
    graph(
        "Services not normal", "How many services were at the threshold, and of how many a failure was likely.",
        {
            "not normal": or_zero(f"count({at_least(f'max by (service_id) ({SCORES})', SCORE_THRESHOLD)})"),
            "failure likely": or_zero(f"count({at_least(PROBABILITY, PROBABILITY_THRESHOLD)})"),
        },
    ),
    graph(
        "Likeliest failures", "Probability of the failures that are likeliest at each moment. From the threshold on "
        "PresagioFailurePredicted fires.",
        {"{{service_id}}: {{failure}}": f"topk(10, {PROBABILITY})", "threshold": PROBABILITY_THRESHOLD},
        "percentunit", high=1,
    ),
]  # fmt: skip


def dashboard() -> Dashboard:
    """Return it."""
    says = "Which services are not normal, which will fail, and how much time is left."
    sections: list[Section] = [("At a glance", GLANCE), ("Now", NOW), ("Ahead", AHEAD)]
    return board("presagio-overview", "Presagio / Overview", says, VARIABLES, sections)
