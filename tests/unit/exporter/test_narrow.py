"""The query of one service."""

import pytest

from presagio.exporter.config import ExporterConfig, Signal
from presagio.exporter.narrow import narrowed
from presagio.exporter.signals import Key, Naming, namings

QUERY = "rate(x[5m]) # requests"


def naming(template: str, **of_signal: str) -> Naming:
    signal = Signal.model_validate({"name": "load", "query": QUERY, **of_signal})
    config = ExporterConfig.model_validate({"services": {"id": template}})
    return namings(config, [signal])[0]


def key(service: str, **labels: str) -> Key:
    return Key(service, "load", tuple(labels.items()))


@pytest.mark.parametrize(
    ("template", "keys", "expected"),
    [
        ("{job}", [key("web", job="web", pod="1"), key("web", job="web", pod="2")],
         'and on (job) label_replace(vector(1), "job", "web", "", "")'),
        ("{namespace}/{deployment}", [key("a/b", namespace="a", deployment="b")],
         'and on (namespace, deployment) label_replace(label_replace(vector(1), "namespace", "a", "", ""), '
         '"deployment", "b", "", "")'),
        ("{job}", [key("own", job="web")],
         'and on (service_id) label_replace(vector(1), "service_id", "own", "", "")'),
        ("{job}", [key('a"$1\\', job='a"$1\\')], r'and on (job) label_replace(vector(1), "job", "a\"$$1\\", "", "")'),
    ],
)  # fmt: skip
def test_by_the_labels_that_give_a_row_its_service(template: str, keys: list[Key], expected: str) -> None:
    assert narrowed(naming(template), keys[0].service_id, keys) == f"({QUERY}\n) {expected}"


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        ("{team}", [key("red")]),  # no identity label: its value is not kept
        ("{job}", [key("web", job="web"), key("web", job="other")]),  # one of them has a service_id of its own
        ("{job}", []),
    ],
)
def test_where_they_are_not_known_it_stays_as_it_is(template: str, keys: list[Key]) -> None:
    assert narrowed(naming(template), "web", keys) == QUERY


def test_a_signal_of_service_ids_is_asked_by_them() -> None:
    assert "on (service_id)" in narrowed(naming("{job}", service_id="{service_id}"), "web", [key("web")])
