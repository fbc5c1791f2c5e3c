"""Label sets as Prometheus writes them, and the templates that they fill."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ValidationError

from presagio.toolkit.labels import Name, Template, check_name, escape, render

VALUES = st.text(st.characters(codec="utf-8"))
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True)


def unescape(text: str) -> str:
    """Read back what stands between double quotes, one character after the other."""
    found, rest = "", iter(text)
    for character in rest:
        assert character not in '"\n', "it would end the value, or the line"
        found += {"\\": "\\", '"': '"', "n": "\n"}[next(rest)] if character == "\\" else character
    return found


@given(VALUES)
@example('\\n "quoted" \n \\')
def test_an_escaped_value_reads_back_as_it_was(value: str) -> None:
    assert unescape(escape(value)) == value


# names that begin with two underscores are Prometheus' own: its client refuses them in a page
@given(st.dictionaries(NAMES.filter(lambda name: not name.startswith("__")), VALUES, min_size=1, max_size=5))
@example({"a": "\\", "b": '"', "c": "\n", "d": "}", "e": ",e=\\"})
def test_a_rendered_set_is_read_by_prometheus_client_as_it_was(labels: dict[str, str]) -> None:
    [family] = text_string_to_metric_families(f"metric{render(labels)} 1.0\n")
    assert family.samples[0].labels == labels


def test_labels_are_rendered_in_their_order_and_none_as_nothing() -> None:
    assert render({"b": "x", "a": 'y"'}) == '{b="x",a="y\\""}'
    assert render({}) == ""


@pytest.mark.parametrize("name", ["a", "_", "A9_z", "__name__"])
def test_what_prometheus_takes_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", "ä", "a\n", "a:b"])
def test_what_it_does_not_take_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits and underscores, not beginning with a digit, got"):
        check_name(name)


def test_a_template_is_filled_from_labels() -> None:
    template = Template.braces("{namespace}/{deployment}-{namespace}")
    assert template.names == ("namespace", "deployment", "namespace")
    assert template.fill({"namespace": "shop", "deployment": "{cart}", "more": "x"}) == "shop/{cart}-shop"
    assert Template.braces("fixed").fill({}) == "fixed"


def test_dollars_leave_the_braces_of_promql_alone() -> None:
    template = Template.dollars('up{job="${job}"} > 0')
    assert template.names == ("job",)
    assert template.fill({"job": 'a"b\\'}, quote=escape) == 'up{job="a\\"b\\\\"} > 0'


@given(st.dictionaries(st.sampled_from(["a", "b"]), VALUES, min_size=2))
def test_what_fills_a_template_is_never_taken_for_a_template(values: dict[str, str]) -> None:
    assert Template.braces("{a}|{b}").fill(values) == f"{values['a']}|{values['b']}"


def test_a_label_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="deployment"):
        Template.braces("{namespace}/{deployment}").fill({"namespace": "shop"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "letters, digits and underscores, not beginning with a digit, got ''"),
        ("{a b}", "letters, digits and underscores, not beginning with a digit, got 'a b'"),
        ("{a", "placeholders such as {namespace}, each in a pair of braces, got '{a'"),
        ("a}", "placeholders such as {namespace}, each in a pair of braces, got 'a}'"),
        ("{{a}}", "placeholders such as {namespace}, each in a pair of braces, got '{{a}}'"),
    ],
)
def test_a_template_that_is_none_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="got") as caught:
        Template.braces(text)
    assert str(caught.value) == told


def test_fields_of_a_model_may_be_names_and_templates() -> None:
    class Both(BaseModel, arbitrary_types_allowed=True):
        name: Name
        template: Template

    both = Both.model_validate({"name": "a", "template": "{x}"})
    assert both.template == Template.braces("{x}")
    assert Both.model_validate(dict(both)) == both
    with pytest.raises(ValidationError) as caught:
        Both.model_validate({"name": "a-b", "template": ["{x}"]})
    assert [error["loc"] for error in caught.value.errors()] == [("name",), ("template",)]
