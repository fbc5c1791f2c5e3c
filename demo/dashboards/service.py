"""One service: what is not normal, why, how it goes on, and what was done."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.frame import Event, Section, board, choice, services
from dashboards.parts import ALARM, graph, number, rows, unusual
from dashboards.queries import ONE, PROBABILITY_THRESHOLD, SCORE_THRESHOLD, firing, or_zero

WHOLE = 'service_id="$service_id"'
"""Of metrics of whole services: their job and namespace are those of the exporter."""
SIGNAL = f'{ONE}, signal="$signal"'
EACH = "{{pod}} {{container}} {{instance}}"
FIRING = firing(WHOLE)

VARIABLES = [
    *services(several=False),
    choice("signal", f"label_values(presagio_anomaly_score{{{ONE}}}, signal)", several=False),
    choice("horizon", f"label_values(presagio_forecast_value{{{SIGNAL}}}, horizon)"),
]

# A new ReplicaSet is a new pod template: a deploy, and no scaling. The service is found by the labels of its scores;
# those of the presets of Kubernetes have a namespace and a deployment.
DEPLOYS = f"""\
(
  time() - max by (namespace, replicaset) (kube_replicaset_created) < $__interval_ms / 1000
)
* on (namespace, replicaset) group_left (deployment)
label_replace(
  max by (namespace, replicaset, owner_name) (kube_replicaset_owner{{owner_kind="Deployment"}}),
  "deployment", "$1", "owner_name", "(.+)"
)
and on (namespace, deployment) presagio_anomaly_score{{{ONE}}}"""


def _happened(metric: str, by: str) -> str:
    """Return the moments that a metric tells, of those shown; replicas of the webhook all tell the same."""
    return f"max by ({by}) ({metric}{{{WHOLE}}}) * 1000 >= $__from"


EVENTS = [
    Event("Deploys", "blue", DEPLOYS, "deploy", "{{namespace}}/{{deployment}}: {{replicaset}}", "deployment"),
    Event(
        "Alerts", "red", f"max by (alertname, severity, signal, failure) ({FIRING})",
        "{{alertname}}", "{{signal}}{{failure}}", "severity",
    ),
    Event(
        "Remediations", "purple",
        _happened("presagio_remediation_last_action_timestamp_seconds", "policy, action"),
        "{{action}}", "policy {{policy}}", "policy", dated=True,
    ),
    Event(
        "Outcomes of remediations", "purple",
        _happened("presagio_remediation_last_outcome_timestamp_seconds", "policy, action, outcome"),
        "{{outcome}}: {{action}}", "policy {{policy}}", "policy, outcome", dated=True,
    ),
]  # fmt: skip

STATE = [
    unusual("Worst score", "The highest score of its signals: 0.3 is one sample in a thousand, 0.6 one in a million.",
            f"max(presagio_anomaly_score{{{ONE}}})", "none"),
    unusual("All signals together", "One score of all its signals, which knows how they usually move together.",
            f"max(presagio_service_anomaly_score{{{WHOLE}}})", "none"),
    number("Confidence", "How much is known of its signals, on average. Near 0: it is still being learnt.",
           f"avg(presagio_signal_confidence{{{ONE}}})", "percentunit", spark=True),
    unusual("Likeliest failure", "The highest probability of a failure within its longest horizon.",
            f"max(service_id_failure:presagio_failure_probability:max{{{WHOLE}}})"),
    number("Soonest limit", "Time until the first of its signals reaches a limit, as likely as not.",
           f"min(presagio_time_to_threshold_seconds{{{ONE}}} < +Inf)", "s",
           steps=[(None, "red"), (4 * 3600, "orange"), (24 * 3600, "green")], none="none in sight"),
    number("Alerts firing", "Alerts of Presagio that fire for it.", or_zero(f"count({FIRING})"), steps=ALARM),
]  # fmt: skip


def _worst(metric: str) -> str:
    """Return a metric of the series that has the highest score of its signal."""
    worst = f"topk by (signal) (1, presagio_anomaly_score{{{ONE}}})"
    return f"max by (signal) ({metric}{{{ONE}}} and {worst})"


SIGNALS = [
    graph(
        "Score of each signal", "The worst series of each signal. From the threshold on PresagioAnomaly fires.",
        {"{{signal}}": f"max by (signal) (presagio_anomaly_score{{{ONE}}})", "threshold": SCORE_THRESHOLD},
        "none", high=1,
    ),
    graph(
        "Which signals make the score", "Each signal's share in the score of all signals together.",
        {"{{signal}}": f"max by (signal) (presagio_service_anomaly_contribution{{{WHOLE}}})"},
        "percentunit", stacked=True, high=1,
    ),
    rows(
        "Signals now", "The worst series of each signal, and what was expected of it. Click on one to see it below.",
        {
            "score": f"max by (signal) (presagio_anomaly_score{{{ONE}}})",
            "value": _worst("presagio_signal_value"),
            "expected": _worst("presagio_signal_expected"),
            "lowest normal": _worst("presagio_signal_lower_bound"),
            "highest normal": _worst("presagio_signal_upper_bound"),
            "share": f"max by (signal) (presagio_service_anomaly_contribution{{{WHOLE}}})",
            "confidence": _worst("presagio_signal_confidence"),
        },
        sort="score", names={"signal": "this signal"},
    ).span(24).height(7),
]  # fmt: skip

DETAIL = [
    graph(
        "$signal: value and what is normal", "Each series of the signal, in its own unit. Between the bounds the "
        "score is at most 0.3; of several series the widest bounds are shown, and what is expected on average.",
        {
            "upper bound": f"max(presagio_signal_upper_bound{{{SIGNAL}}})",
            "lower bound": f"min(presagio_signal_lower_bound{{{SIGNAL}}})",
            "expected": f"avg(presagio_signal_expected{{{SIGNAL}}})",
            f"value {EACH}": f"presagio_signal_value{{{SIGNAL}}}",
        },
        low=None,
    ).span(16),
    graph(
        "$signal: score", "Score of each series, and the confidence in it: below 0.5 no alert fires.",
        {
            f"score {EACH}": f"presagio_anomaly_score{{{SIGNAL}}}",
            "confidence": f"min(presagio_signal_confidence{{{SIGNAL}}})",
            "threshold": SCORE_THRESHOLD,
        },
        "none", high=1,
    ).span(8),
]  # fmt: skip

AHEAD = [
    graph(
        "$signal: what was expected ahead", "At each moment what was then forecast for later, one line for each "
        "horizon, and the value of that moment.",
        {
            "in {{horizon}}": f"max by (horizon) (presagio_forecast_value{{{SIGNAL}}})",
            f"value {EACH}": f"presagio_signal_value{{{SIGNAL}}}",
        },
        low=None,
    ),
    graph(
        "Time to the limits", "How long until each limit of the service is reached: as likely as not, and one time "
        "in ten (perhaps). No line: not within the longest horizon.",
        {
            "{{signal}}: {{threshold}}":
            f"min by (signal, threshold) (presagio_time_to_threshold_seconds{{{ONE}}} < +Inf)",
            "{{signal}}: {{threshold}}, perhaps":
            f"min by (signal, threshold) (presagio_time_to_threshold_lower_bound_seconds{{{ONE}}} < +Inf)",
        },
        "s",
    ),
    graph(
        "$signal as it was forecast $horizon before", "The value, and what was forecast for it $horizon earlier; "
        "four times in five it is to be within the band. To look ahead, end the range at now+$horizon.",
        {
            "forecast, high": f'max(presagio_forecast_upper_bound{{{SIGNAL}, horizon="$horizon"}} offset $horizon)',
            "forecast, low": f'min(presagio_forecast_lower_bound{{{SIGNAL}, horizon="$horizon"}} offset $horizon)',
            "forecast": f'avg(presagio_forecast_value{{{SIGNAL}, horizon="$horizon"}} offset $horizon)',
            f"value {EACH}": f"presagio_signal_value{{{SIGNAL}}}",
        },
        low=None,
    ).span(24).repeat("horizon").repeat_direction("h").max_per_row(3),
]  # fmt: skip

FAILURES = [
    graph(
        "Probability of failures", "That each failure begins within the horizon. From the threshold on "
        "PresagioFailurePredicted fires, if the confidence is 0.25 or more.",
        {
            "{{failure}} within {{horizon}}": f"max by (failure, horizon) (presagio_failure_probability{{{WHOLE}}})",
            "threshold": PROBABILITY_THRESHOLD,
        },
        "percentunit", high=1,
    ),
    graph(
        "Confidence in the probabilities", "How much is known for them: inputs that are there, failures learnt from, "
        "inputs like those of training.",
        {
            "{{failure}} within {{horizon}}":
            f"max by (failure, horizon) (presagio_failure_probability_confidence{{{WHOLE}}})",
        },
        "percentunit", high=1,
    ),
]  # fmt: skip


def dashboard() -> Dashboard:
    """Return it."""
    says = "One service: what is not normal and why, how it goes on, which failures are likely, what was done."
    sections: list[Section] = [
        ("State of $service_id", STATE), ("Signals", SIGNALS), ("Signal $signal", DETAIL),
        ("Ahead", AHEAD), ("Failures", FAILURES),
    ]  # fmt: skip
    return board("presagio-service", "Presagio / Service", says, VARIABLES, sections, EVENTS)
