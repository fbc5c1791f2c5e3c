"""Presagio itself: does it keep up, does it fail, are its models any good."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.frame import Section, board, places
from dashboards.parts import ALARM, graph, number, rows
from dashboards.queries import SERVER, or_zero, sum_rate

IN_USE = f"max by (failure, horizon, model) (presagio_model_in_use{{{SERVER}}}) == 1"
STAGE = "presagio_evaluation_duration_seconds"

VARIABLES = places("presagio_build_info")


def _model(metric: str) -> str:
    return f"max by (failure, horizon, model) ({metric}{{{SERVER}}}) and on (failure, horizon, model) ({IN_USE})"


GLANCE = [
    number("Servers", "Exporters and webhooks that answer.", f"count(presagio_build_info{{{SERVER}}})"),
    number(
        "Configuration", "Whether the last reload was accepted everywhere; if not, the last good one is in use.",
        f"min(presagio_config_last_reload_successful{{{SERVER}}})", "none",
        words={"1": ("accepted", "green"), "0": ("refused", "red")},
    ),
    number(
        "Oldest scores", "Age of the newest scores of the signal that is furthest behind.",
        "max(signal:presagio_last_evaluation_age_seconds:min)", "s", spark=True,
        steps=[(None, "green"), (120, "orange"), (300, "red")],
    ),
    number(
        "Evaluations that fail", "Share of them in the last ten minutes, of the signal that fails most.",
        or_zero("max(instance_signal:presagio_evaluation_failures:ratio_rate10m)"), "percentunit",
        steps=[(None, "green"), (0.01, "orange"), (0.1, "red")],
    ),
    number(
        "Series of the limit", "Series with a profile, against `limits.series`, of the fullest exporter.",
        f"max(sum by (job, instance) (presagio_series{{{SERVER}}}) "
        f"/ on (job, instance) presagio_series_limit{{{SERVER}}})", "percentunit",
        steps=[(None, "green"), (0.8, "orange"), (0.95, "red")],
    ),
    number(
        "Orchestrator", "Time since the webhook's last turn that went well.",
        f"max(time() - presagio_orchestrator_last_step_timestamp_seconds{{{SERVER}}})", "s",
        steps=[(None, "green"), (60, "red")],
    ),
]  # fmt: skip

EVALUATIONS = [
    graph(
        "Evaluations", "Moments of time that were scored, a second, by signal; a warm start reads many at once.",
        {"{{signal}}": sum_rate("signal", f"presagio_evaluations_total{{{SERVER}}}")},
    ).span(8),
    graph(
        "Evaluations that failed", "A second, by reason; each moment is made up for from history. warnings: answers "
        "that may be partial.",
        {
            "{{reason}}": sum_rate("reason", f"presagio_evaluation_failures_total{{{SERVER}}}"),
            "warnings": f"sum(rate(presagio_evaluation_warnings_total{{{SERVER}}}[$__rate_interval]))",
        },
    ).span(8),
    graph(
        "Time of an evaluation", "Mean time by stage: asking Prometheus, scoring.",
        {
            "{{stage}}": f"{sum_rate('stage', f'{STAGE}_sum{{{SERVER}}}')} "
            f"/ {sum_rate('stage', f'{STAGE}_count{{{SERVER}}}')}",
        },
        "s",
    ).span(8),
    graph(
        "Age of the newest scores", "By signal; PresagioNotEvaluating fires when it grows.",
        {"{{signal}}": "signal:presagio_last_evaluation_age_seconds:min"}, "s",
    ).span(8),
    graph(
        "Series and their limit", "Series with a profile by signal. Above the limit no more are scored.",
        {
            "{{signal}}": f"sum by (signal) (presagio_series{{{SERVER}}})",
            "limit": f"max(presagio_series_limit{{{SERVER}}})",
            "soft limit": f"max(presagio_series_soft_limit{{{SERVER}}})",
        },
        stacked=True,
    ).span(8),
    graph(
        "Series refused", "In answers, at each evaluation, a second, by reason.",
        {"{{reason}}": sum_rate("reason", f"presagio_series_refused_total{{{SERVER}}}")},
    ).span(8),
]  # fmt: skip

OUTLOOK = [
    graph(
        "Age of forecasts and predictions", "Of the newest of each signal, and of each failure.",
        {
            "forecasts of {{signal}}": "signal:presagio_last_forecast_age_seconds:min",
            "predictions of {{failure}}": "failure:presagio_last_prediction_age_seconds:min",
        },
        "s",
    ).span(8),
    graph(
        "Forecasts and predictions that failed", "A second, by reason.",
        {
            "forecasts: {{reason}}": sum_rate("reason", f"presagio_forecast_failures_total{{{SERVER}}}"),
            "predictions: {{reason}}": sum_rate("reason", f"presagio_prediction_failures_total{{{SERVER}}}"),
        },
    ).span(8),
    graph(
        "Cores used by forecasts", "CPU time of the models, against `forecasts.cpu`.",
        {"{{signal}}": sum_rate("signal", f"presagio_forecast_duration_seconds_sum{{{SERVER}}}")}, stacked=True,
    ).span(8),
    graph(
        "Error of the forecasts", "Of forecasts made earlier, in errors of \"it stays as it is\": below 1 is better.",
        {
            "{{signal}} in {{horizon}}":
            f"max by (signal, horizon) (presagio_forecast_scaled_error{{{SERVER}}})",
            "no better than a guess": "vector(1)",
        },
        "none",
    ),
    graph(
        "How often the bounds hold", "Share of what came that was between the bounds of its forecast: 0.8 is as "
        "promised.",
        {
            "{{signal}} in {{horizon}}":
            f"min by (signal, horizon) (presagio_forecast_coverage_ratio{{{SERVER}}})",
            "as promised": "vector(0.8)",
        },
        "percentunit", high=1,
    ),
]  # fmt: skip

MODELS = [
    rows(
        "Models in use", "How good each was on the newest time, which it had not seen in training. Brier skill: 1 is "
        "perfect, 0 what the base rate gives. average precision: the base rate is what chance gives. caught: "
        "failures that a sustained alarm came before; lead: how long before. failures it learnt from, moments its "
        "quality is told from.",
        {
            "Brier skill": _model("presagio_model_brier_skill_score"),
            "average precision": _model("presagio_model_average_precision"),
            "base rate": _model("presagio_model_base_rate_ratio"),
            "caught": _model("presagio_model_caught_ratio"),
            "lead": _model("presagio_model_median_lead_seconds"),
            "failures": _model("presagio_model_failures"),
            "moments": _model("presagio_model_examples"),
            "age": f"time() - ({_model('presagio_model_trained_timestamp_seconds')})",
        },
    ).span(24).height(7),
    graph(
        "Drift of the inputs", "Inputs of the last day against those of training: above 0.25 they have changed.",
        {
            "{{failure}} within {{horizon}}":
            f"max by (failure, horizon) (presagio_model_input_drift{{{SERVER}}})",
            "has changed": "vector(0.25)",
        },
        "none",
    ).span(8),
    rows(
        "Trainings", "Since the exporter started, by what came of them. kept: the new model was worse, the old one "
        "stays.",
        {"trainings": f"sum by (failure, outcome) (presagio_trainings_total{{{SERVER}}})"},
    ).span(10).height(8),
    number(
        "Longest training", "How long the newest training of all failures took.",
        f"max(presagio_training_duration_seconds{{{SERVER}}})", "s",
    ).span(6).height(8),
]  # fmt: skip

SERVERS = [
    graph(
        "Requests", "HTTP requests a second, by handler.",
        {"{{handler}}": sum_rate("handler", f"presagio_http_requests_total{{{SERVER}}}")}, "reqps", stacked=True,
    ).span(8),
    graph(
        "Requests that failed", "Answered with 4xx or 5xx, a second.",
        {
            "{{handler}} {{code}}":
            sum_rate("handler, code", f'presagio_http_requests_total{{{SERVER}, code=~"4..|5.."}}'),
        },
        "reqps",
    ).span(8),
    graph(
        "Time to answer", "99 in 100 requests are answered within.",
        {
            "{{handler}}": "histogram_quantile(0.99, "
            f"{sum_rate('handler, le', f'presagio_http_request_duration_seconds_bucket{{{SERVER}}}')})",
        },
        "s",
    ).span(8),
    graph(
        "Queue of the webhook", "Alerts whose remediation has not been looked at yet, and failed turns of the "
        "orchestrator a second.",
        {
            "received": f'sum(presagio_remediations{{{SERVER}, state=~"received|evaluating"}})',
            "failed turns": f"sum(rate(presagio_orchestrator_failures_total{{{SERVER}}}[$__rate_interval]))",
        },
    ).span(8),
    graph(
        "Memory", "Resident memory of each server.",
        {"{{job}} {{instance}}": f"process_resident_memory_bytes{{{SERVER}}} and on (job, instance) "
        f"presagio_build_info"},
        "bytes",
    ).span(8),
    graph(
        "Cores used", "CPU time of each server, a second.",
        {
            "{{job}} {{instance}}": f"rate(process_cpu_seconds_total{{{SERVER}}}[$__rate_interval]) "
            "and on (job, instance) presagio_build_info",
        },
    ).span(8),
    rows(
        "Versions",
        "Which Presagio runs where, and how long ago its configuration was loaded.",
        {
            "age": "max by (job, instance, version, python) ("
            f"(time() - presagio_config_last_reload_success_timestamp_seconds{{{SERVER}}}) "
            "* on (job, instance) group_left (version, python) presagio_build_info)",
        },
    )
    .span(16).height(6),
    number(
        "Judgements of people", "Periods that a person called expected or a fault, and that are in force.",
        f"sum(presagio_feedback{{{SERVER}}})",
    ).height(6),
    number(
        "Relearnt in vain", "Times in this range that a series could not read its history again after a judgement.",
        or_zero(f'sum(increase(presagio_relearns_total{{{SERVER}, outcome="failed"}}[$__range]))'), steps=ALARM,
    ).height(6),
]  # fmt: skip


def dashboard() -> Dashboard:
    """Return it."""
    says = "Presagio itself: whether it keeps up, what fails, how full it is, how good its forecasts and models are."
    sections: list[Section] = [
        ("At a glance", GLANCE), ("Evaluations", EVALUATIONS), ("Forecasts and predictions", OUTLOOK),
        ("Models", MODELS), ("Servers", SERVERS),
    ]  # fmt: skip
    return board("presagio-itself", "Presagio / Presagio itself", says, VARIABLES, sections)
