"""What is done about it: what goes on, what waits, what came of it, and which action helps."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.frame import Section, board, choice, places
from dashboards.parts import ALARM, bars, graph, number, rows
from dashboards.queries import SERVER, or_zero, sum_increase, sum_rate

POLICY = f'{SERVER}, policy=~"$policy"'
FINISHED = f"presagio_remediations_finished_total{{{POLICY}}}"
TRIED = f'presagio_remediations_finished_total{{{POLICY}, outcome=~"verified|rolled_back|escalated", action!="none"}}'
HELPED = f'presagio_remediations_finished_total{{{POLICY}, outcome="verified", action!="none"}}'
FAILED = f'presagio_remediations_finished_total{{{POLICY}, outcome=~"rolled_back|escalated", action!="none"}}'
DURATION = f"presagio_remediation_duration_seconds_bucket{{{SERVER}}}"
OUTCOMES = "by (policy, action)"
ACTED = f"sum {OUTCOMES} (increase({TRIED}[$__range])) > 0"

VARIABLES = [
    *places("presagio_remediations"),
    choice(
        "policy",
        'label_values(presagio_remediations_finished_total{job=~"$job", namespace=~"$namespace"}, policy)',
    ),
]

GLANCE = [
    number("Under way", "Remediations that are not at an end yet.", f"sum(presagio_remediations{{{SERVER}}})"),
    number(
        "Waiting for approval", "Plans that wait for a person to say yes or no.",
        f'sum(presagio_remediations{{{SERVER}, state="awaiting_approval"}})', steps=[(None, "green"), (1, "orange")],
    ),
    number(
        "Blocked", "Remediations that wait for a guard: budget, cooldown, window, silence. The reasons are below.",
        f'sum(presagio_remediations{{{SERVER}, state="blocked"}})', steps=[(None, "green"), (1, "orange")],
    ),
    number(
        "Given to a person", "Remediations in this time that no action helped, or that could not be told.",
        or_zero(f'sum(increase(presagio_remediations_finished_total{{{POLICY}, outcome="escalated"}}[$__range]))'),
        steps=ALARM,
    ),
    number(
        "Helped", "Of the remediations that acted in this time, the share after which Prometheus confirmed that all "
        "is "
        "well.", f"sum(increase({HELPED}[$__range])) / (sum(increase({TRIED}[$__range])) > 0)", "percentunit",
        steps=[(None, "red"), (0.5, "orange"), (0.8, "green")], none="nothing tried",
    ),
    number(
        "Acting", "Whether a person has paused all acting.", f"max(presagio_acting_paused{{{SERVER}}})", "none",
        words={"0": ("at work", "green"), "1": ("paused", "orange")},
    ),
]  # fmt: skip

STATES = [
    graph(
        "Where they stand", "Remediations under way, by state.",
        {"{{state}}": f"sum by (state) (presagio_remediations{{{SERVER}}}) > 0"}, stacked=True, bars=True,
    ),
    graph(
        "What came of them", "Remediations that ended, by outcome. verified: Prometheus confirms that it helped; "
        "escalated: given to a person; dry_run: only said what it would do.",
        {"{{outcome}}": f"{sum_increase('outcome', FINISHED, '$__rate_interval')} > 0"}, stacked=True, bars=True,
    ),
]  # fmt: skip

EFFECT = [
    rows(
        "Which action helps", "Of this time, by policy and action. helped: the share of those that acted after which "
        "Prometheus confirmed that all is well.",
        {
            "acted": ACTED,
            "verified": f"sum {OUTCOMES} (increase({HELPED}[$__range])) and on (policy, action) ({ACTED})",
            "did not help": f"sum {OUTCOMES} (increase({FAILED}[$__range])) and on (policy, action) ({ACTED})",
            "helped": f"sum {OUTCOMES} (increase({HELPED}[$__range])) / ({ACTED})",
        },
        sort="acted",
    ).span(14),
    graph(
        "How long they take", "From the alert's arrival to the end; approvals and waiting are within.",
        {
            "half of them": f"histogram_quantile(0.5, {sum_rate('le', DURATION)})",
            "nine in ten": f"histogram_quantile(0.9, {sum_rate('le', DURATION)})",
        },
        "s",
    ).span(10).height(9),
    graph(
        "Actions chosen", "Remediations for which an action was chosen, by action.",
        {
            "{{action}}":
            f"{sum_increase('action', f'presagio_remediations_total{{{POLICY}}}', '$__rate_interval')} > 0",
        },
        stacked=True, bars=True,
    ),
    rows(
        "What dry runs would have met", "Of this time: whether the problem went away by itself (healed), or not.",
        {
            "dry runs":
            f"sum by (policy, found) (increase(presagio_dry_runs_observed_total{{{POLICY}}}[$__range])) > 0",
        },
        sort="dry runs",
    ).height(8),
]  # fmt: skip

GUARDS = [
    graph(
        "What the budgets leave", "How many more remediations each policy, and all together, may let act within the "
        "hour: max_per_hour without those of the last hour. At 0 they wait. Dry runs need none.",
        {
            "{{policy}}": f"min by (policy) (presagio_remediation_budget_remaining{{{POLICY}}})",
            "all policies": f"min(presagio_remediation_fleet_budget_remaining{{{SERVER}}})",
        },
    ).span(8),
    graph(
        "Why they had to wait", "Times that a remediation was blocked, by reason; budget: max_per_hour is used up.",
        {
            "{{reason}}":
            f"{sum_increase('reason', f'presagio_remediations_blocked_total{{{SERVER}}}', '$__rate_interval')} > 0",
        },
        stacked=True, bars=True,
    ).span(8),
    bars(
        "Reasons in this time", "The same, in all.", "{{reason}}",
        f"sort_desc({sum_increase('reason', f'presagio_remediations_blocked_total{{{SERVER}}}')} > 0)",
    ),
]  # fmt: skip

ALERTS = [
    graph(
        "Alerts that came", "Alerts in notifications of Alertmanager, by status.",
        {
            "{{status}}":
            sum_increase("status", f"presagio_alerts_received_total{{{SERVER}}}", "$__rate_interval"),
        },
    ).span(8),
    graph(
        "Alerts that started nothing", "By reason. with_a_person: its remediation was given to a person; ghost: not "
        "active in Alertmanager.",
        {
            "{{reason}}":
            f"{sum_increase('reason', f'presagio_alerts_dropped_total{{{SERVER}}}', '$__rate_interval')} > 0",
        },
        stacked=True, bars=True,
    ).span(8),
    graph(
        "Lost or late", "Notifications refused, so that Alertmanager sends again, and alerts that it left out. All "
        "should be 0.",
        {
            "refused: {{reason}}":
            sum_increase("reason", f"presagio_notifications_refused_total{{{SERVER}}}", "$__rate_interval"),
            "left out":
            f"sum(increase(presagio_alerts_truncated_total{{{SERVER}}}[$__rate_interval]))",
        },
    ).span(8),
    rows(
        "End of the ledger", "The newest row of the ledger, kept here outside of it: `presagio audit verify --head "
        "SEQ:HASH` tells whether it was shortened.",
        {"ledgers": f"max by (instance, seq, hash) (presagio_ledger_head_info{{{SERVER}}})"}, hidden=["ledgers"],
    ).span(16).height(5),
    number(
        "Learning", "Whether a person has frozen what the recommender learns.",
        f"max(presagio_learning_frozen{{{SERVER}}})", "none",
        words={"0": ("on", "green"), "1": ("frozen", "orange")},
    ).height(5),
    number(
        "Repeated", "Notifications in this time that were waiting in the inbox already.",
        f"sum(increase(presagio_notifications_repeated_total{{{SERVER}}}[$__range]))",
    ).height(5),
]  # fmt: skip


def dashboard() -> Dashboard:
    """Return it."""
    says = "What is done about it: what goes on, what waits and why, what came of it, which action helps."
    sections: list[Section] = [
        ("At a glance", GLANCE), ("States and outcomes", STATES), ("Effect", EFFECT), ("Budget and guards", GUARDS),
        ("Alerts, and the ledger", ALERTS),
    ]  # fmt: skip
    return board("presagio-remediation", "Presagio / Remediation", says, VARIABLES, sections, since="now-24h")
