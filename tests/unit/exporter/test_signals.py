"""From the series of an answer to named rows: who is the service, what is refused, whose signals come first."""

from collections.abc import Mapping

import numpy as np
import pytest

from presagio.exporter.config import FILE, IDENTITY, ExporterConfig, Signal
from presagio.exporter.signals import Key, Naming, Refusal, configured, finite, named, namings
from presagio.toolkit import positions
from presagio.toolkit.labels import Template
from presagio.toolkit.prometheus import Matrix, Vector

DEFAULT = Template.braces("{namespace}/{deployment}")


def naming(service_id: str | None = None, signal_label: str | None = None, labels: tuple[str, ...] = ()) -> Naming:
    own = Template.braces(service_id) if service_id else None
    signal = Signal(name="load", query="load", service_id=own, signal_label=signal_label)
    return Naming(signal, DEFAULT, (*IDENTITY, *labels))


def vector(*labels: Mapping[str, str]) -> Vector:
    return Vector(list(labels), np.arange(len(labels), dtype=np.float64))


def parse(text: str) -> ExporterConfig:
    return FILE.validate(positions.parse(text), "exporter.yml")


class TestServiceId:
    def test_it_is_made_of_the_labels_that_services_id_names(self) -> None:
        key = naming().name({"namespace": "shop", "deployment": "web"})
        assert isinstance(key, Key)
        assert key.service_id == "shop/web"

    def test_a_label_service_id_of_the_series_goes_before_the_default(self) -> None:
        key = naming().name({"namespace": "shop", "deployment": "web", "service_id": "mine"})
        assert isinstance(key, Key)
        assert key.service_id == "mine"

    def test_the_signal_s_own_template_goes_before_a_label_service_id(self) -> None:
        key = naming("{instance}").name({"instance": "a:1", "service_id": "mine"})
        assert isinstance(key, Key)
        assert key.service_id == "a:1"

    @pytest.mark.parametrize("labels", [{}, {"namespace": "shop"}, {"namespace": "shop", "deployment": ""}])
    def test_a_series_without_a_label_of_the_template_is_refused(self, labels: dict[str, str]) -> None:
        assert naming().name(labels) is Refusal.NO_SERVICE

    def test_an_empty_label_service_id_is_none(self) -> None:
        assert naming().name({"service_id": ""}) is Refusal.NO_SERVICE

    def test_braces_in_a_label_s_value_are_no_placeholders(self) -> None:
        key = naming("{job}").name({"job": "{instance}", "instance": "a"})
        assert isinstance(key, Key)
        assert key.service_id == "{instance}"


class TestNames:
    def test_the_signal_s_name_is_that_of_all_its_rows(self) -> None:
        key = naming("{job}").name({"job": "a"})
        assert key == Key("a", "load", (("job", "a"),))

    def test_a_signal_label_names_the_row_instead(self) -> None:
        key = naming("{job}", signal_label="metric").name({"job": "a", "metric": "queue"})
        assert key == Key("a", "queue", (("job", "a"),))

    def test_a_series_without_the_signal_label_is_refused(self) -> None:
        assert naming("{job}", signal_label="metric").name({"job": "a"}) is Refusal.NO_NAME

    def test_identity_labels_are_kept_in_one_order_and_the_rest_is_dropped(self) -> None:
        labels = {"zone": "eu", "le": "0.1", "instance": "i", "__name__": "load", "pod": "p", "job": "a", "node": ""}
        key = naming("{job}", labels=("zone",)).name(labels)
        assert key == Key("a", "load", (("pod", "p"), ("job", "a"), ("instance", "i"), ("zone", "eu")))

    def test_of_two_series_with_the_same_name_the_first_is_kept(self) -> None:
        answer = vector({"job": "a", "le": "1"}, {"job": "b"}, {"job": "a", "le": "2"}, {"job": "a", "le": "3"}, {})
        found = named(naming("{job}"), answer)
        assert [key.service_id for key in found.keys] == ["a", "b"]
        assert found.rows.tolist() == [0, 1]
        assert found.refused == {Refusal.DUPLICATE: 2, Refusal.NO_SERVICE: 1}

    def test_rows_are_those_of_the_answer_when_series_before_them_are_refused(self) -> None:
        found = named(naming("{job}"), vector({}, {"job": "a"}, {}, {"job": "b"}))
        assert found.rows.tolist() == [1, 3]
        assert found.rows.dtype == np.int64

    def test_a_range_answer_is_named_like_an_instant_one(self) -> None:
        answer = Matrix([{"job": "a"}], np.array([0.0, 15.0]), np.zeros((1, 2)))
        assert named(naming("{job}"), answer).keys == [Key("a", "load", (("job", "a"),))]

    def test_no_series_are_no_rows(self) -> None:
        found = named(naming(), vector())
        assert (found.keys, found.rows.tolist(), found.refused) == ([], [], {})

    def test_churn_does_not_grow_what_is_remembered_for_ever(self) -> None:
        names = naming("{job}")
        for round_ in range(100):
            named(names, vector(*({"job": f"{round_}-{number}"} for number in range(100))))
            assert len(names._known) <= 1300

    def test_a_profile_belongs_to_the_rule_that_named_its_rows(self) -> None:
        rules = [naming(), naming("{job}"), naming(labels=("zone",))]
        assert len({rule.definition for rule in rules}) == 3
        assert naming().definition == naming().definition


def test_infinities_and_what_overflows_to_them_are_no_numbers_to_learn_from() -> None:
    values = np.array([[np.inf, -np.inf, np.nan, 1.7e308, -1e301], [0.0, -5e-324, 1e300, -1e300, 42.0]])
    assert np.isnan(finite(values)[0]).all()
    np.testing.assert_array_equal(finite(values)[1], values[1])


class TestConfigured:
    def test_the_user_s_own_signals_come_first_and_override_those_of_presets(self) -> None:
        signals = configured(parse("presets: [redis]\nsignals: [{name: redis_up, query: mine}]"))
        assert signals[0].query == "mine"
        assert [signal.name for signal in signals].count("redis_up") == 1
        assert signals[-1].name == "submitted"

    def test_a_preset_named_twice_gives_each_signal_once(self) -> None:
        names = [signal.name for signal in configured(parse("presets: [redis, node, redis]"))]
        assert len(names) == len(set(names)) > 5
        assert names[0] == "redis_up"

    def test_what_services_push_is_named_by_service_and_metric(self) -> None:
        config = parse("presets: []")
        (submitted,) = namings(config, configured(config))
        key = submitted.name({"service_id": "shop/web", "metric": "queue", "job": "presagio"})
        assert key == Key("shop/web", "queue", (("job", "presagio"),))

    def test_labels_that_the_user_adds_are_kept_by_every_signal_once(self) -> None:
        config = parse("presets: [node]\nlabels: [zone, job]")
        for one in namings(config, configured(config)):
            assert one.identity == (*IDENTITY, "zone")
