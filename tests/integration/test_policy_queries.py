"""The PromQL of policies, asked of real servers: Prometheus of both generations, and VictoriaMetrics."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import servers
from conftest import binary
from packages import GENERATIONS

from presagio.actions.base import Target
from presagio.toolkit.labels import escape
from presagio.toolkit.prometheus import Prometheus
from presagio.toolkit.prometheus_config import Kind, PrometheusConfig
from presagio.webhook import policy_file
from presagio.webhook.criteria import Sample
from presagio.webhook.policy import Mode, Policy, conditions, verification

pytestmark = pytest.mark.servers

NOW = 1_800_000_000.0

HOSTILE = [
    '"} or vector(1) #', "' or 1", "`", "\\", '\\"', "a\nb", "$(x)", "${x}", "{}", ".*", "(", "[",
    "a|b", "^$", "\\d+", "ä", "x" * 1000,
]  # fmt: skip


@pytest.fixture(params=[*GENERATIONS, "victoria"])
def prometheus(request: pytest.FixtureRequest, workdir: Path) -> Iterator[Prometheus]:
    if request.param == "victoria":
        server: servers.Queryable = servers.VictoriaMetrics(binary("victoria-metrics", request.param), workdir)
    else:
        server = servers.Prometheus(binary("prometheus", request.param), workdir)
    with server:
        yield Prometheus(PrometheusConfig(url=server.url, kind=Kind(server.kind)))


def series(**values: float) -> str:
    """Return PromQL of one series for each name, without any data behind it."""
    one = (f'label_replace(vector({value!r}), "pod", "{name}", "", "")' for name, value in values.items())
    return f"({' or '.join(one)})"


def policy(query: str, **verify: Any) -> Policy:
    document = {"name": "p", "match": {"a": "b"}, "actions": [{"command": {}}], "verify": {"query": query, **verify}}
    return Policy.model_validate(document)


def judged(prometheus: Prometheus, policy: Policy, target: Target) -> Sample:
    """Return the verdict, and see that Prometheus agrees wherever we compare ourselves."""
    asked = verification(policy, target)
    found = asked.judge([prometheus.instant(query, NOW) for query in asked.questions])
    told = replace(asked, bound=None)
    assert found == told.judge([prometheus.instant(query, NOW) for query in told.questions])
    return found.sample


@pytest.mark.parametrize(
    ("query", "verify", "sample"),
    [
        (f"{series(a=1, b=2)} < 5", {}, Sample.GOOD),
        (f"{series(a=1, b=9)} < 5", {}, Sample.BAD),
        (f"{series(a=9, b=9)} < 5", {}, Sample.BAD),
        (f"{series(a=1, b=9)} < bool 5", {}, Sample.BAD),
        (f"5 > {series(a=1, b=2)}", {}, Sample.GOOD),
        (f"({series(a=1, b=2)} != 5)", {}, Sample.GOOD),
        ("absent_metric < 5", {}, Sample.NO_DATA),
        ("(vector(0) / 0) < 5", {}, Sample.NO_DATA),
        ("(vector(0) / 0) != 5", {}, Sample.NO_DATA),
        (f"{series(a=1)} < on() group_left() absent_metric", {}, Sample.NO_DATA),
        (f"{series(a=1, b=2)} < on() group_left() vector(5)", {}, Sample.GOOD),
        (f"{series(a=1, b=9)} < on() group_left() vector(5)", {}, Sample.BAD),
        (f"{series(a=1)} < scalar(absent_metric)", {}, Sample.NO_DATA),
        (f"{series(a=1)} < scalar(vector(3))", {}, Sample.GOOD),
        (f"{series(a=1, b=1)} < 5 and {series(a=1, b=1)} > 0", {"data": series(a=1, b=1)}, Sample.GOOD),
        (f"{series(a=1, b=1)} < 5 and {series(a=1, b=0)} > 0", {"data": series(a=1, b=1)}, Sample.BAD),
        (f"{series(a=1)} < 5 # all is > well\n", {}, Sample.GOOD),
    ],
)  # fmt: skip
def test_a_sample_is_good_if_all_series_are(
    prometheus: Prometheus, query: str, verify: dict[str, str], sample: Sample
) -> None:
    assert judged(prometheus, policy(query, **verify), Target("x", {})) is sample


def test_hostile_labels_stay_values(prometheus: Prometheus) -> None:
    queries = [
        'up{a="${a}"} < 5',
        'up{a!="x", a=~"pre-${a}.*"} < 5',
        '{__name__="${a}"} > 1',
        'count(up{a!~"${a}|${a}"}) >= 0',
    ]
    for value in HOSTILE:
        for query in queries:
            target = Target("x", {"a": value})
            assert judged(prometheus, policy(query), target) is Sample.NO_DATA, (query, value)


def test_a_value_matches_itself_and_nothing_else(prometheus: Prometheus) -> None:
    """Ask each hostile value for itself, by equality and by regular expression."""
    for value in HOSTILE:
        quoted = escape(value).replace("$", "$$")
        made = f'label_replace(vector(1), "a", "{quoted}", "", "")'
        # a selector cannot select from an expression: join with one that is built of the same value
        assert len(prometheus.instant(f"{made} and on(a) {made}", NOW).values) == 1
        (found,) = prometheus.instant(made, NOW).labels
        assert found.get("a") == value


def legacy(**conditions: Any) -> Policy:
    entry = {"command": "true", "conditions": conditions}
    file = policy_file.PolicyFile.model_validate({"services": {'we"b': {"actions": {"go": entry}}}})
    return policy_file.policies(file, Mode.AUTO)[0]


def test_the_queries_of_action_policies_are_promql(prometheus: Prometheus) -> None:
    metrics = {"cpu_usage": "> 80", "free space": "<= 1e3", 'a"b': "!= -2"}
    found = legacy(metrics=metrics, anomaly_score=">= .6")
    target = Target('we"b', {"service_id": 'we"b'})
    for condition in conditions(found, target):
        assert not condition.holds(prometheus.instant(condition.query, NOW))
    assert judged(prometheus, found, target) is Sample.NO_DATA


@pytest.mark.parametrize(
    ("cpu", "latency", "holds", "sample"),
    [
        (90, 600, True, Sample.BAD),
        (70, 600, False, Sample.GOOD),
        (90, 400, False, Sample.GOOD),
        (70, 400, False, Sample.GOOD),
        (80, 600, False, Sample.GOOD),
        (90, None, False, Sample.NO_DATA),
        (70, None, False, Sample.NO_DATA),
        (90, float("nan"), False, Sample.NO_DATA),
    ],
)
def test_all_conditions_must_hold_and_success_is_that_not_all_hold(
    prometheus: Prometheus, cpu: float, latency: float | None, holds: bool, sample: Sample
) -> None:
    found = legacy(metrics={"cpu": "> 80", "latency": "> 500"})
    values = {"cpu": cpu, "latency": latency}

    def asked(query: str) -> str:
        """Put known values in the place of the series."""
        for name, value in values.items():
            for metric in (f'presagio_signal_value{{service_id="we\\"b",signal="{name}"}}',
                           f'presagio_submitted_value{{service_id="we\\"b",metric="{name}"}}'):  # fmt: skip
                query = query.replace(metric, "absent_metric" if value is None else f"vector({value})")
        assert "presagio" not in query
        return query

    target = Target('we"b', {"service_id": 'we"b'})
    answers = [one.holds(prometheus.instant(asked(one.query), NOW)) for one in conditions(found, target)]
    assert all(answers) is holds
    told = verification(found, target)
    assert told.judge([prometheus.instant(asked(query), NOW) for query in told.questions]).sample is sample
