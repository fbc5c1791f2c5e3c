import pytest

from presagio.actions import placeholders
from presagio.actions.base import PlanError, Target

TARGET = Target("shop/cart", {"pod": "cart-1", "service_id": "another"})


def test_fills_labels_and_the_service_id() -> None:
    assert placeholders.fill("${service_id}:${pod}", TARGET, placeholders.name) == "shop/cart:cart-1"


def test_text_without_placeholders_stays() -> None:
    assert placeholders.fill("$HOME $(x) {y} ${", TARGET, placeholders.name) == "$HOME $(x) {y} ${"


def test_a_value_is_not_filled_again() -> None:
    target = Target("x", {"a": "${b}", "b": "secret"})
    assert placeholders.fill("${a}", target, placeholders.plain) == "${b}"


@pytest.mark.parametrize("labels", [{}, {"pod": ""}])
def test_a_missing_or_empty_label_is_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(PlanError) as error:
        placeholders.fill("/data/${pod}", Target("x", labels), placeholders.name)
    assert str(error.value) == "no label 'pod' for '/data/${pod}' on the alert of 'x'; keep it in the alert rule"


@pytest.mark.parametrize(
    "value", ["cart-1", "10.0.0.1:9100", "/var/lib/x", "a@b", "50%", "a=b", "1,2", "x_y", "1e+3"]
)
def test_names_pass(value: str) -> None:
    placeholders.name("label", value)


@pytest.mark.parametrize(
    "value",
    [
        "a b", "a;b", "$(x)", "`x`", "a|b", "a&b", "<x", "a\nb", "a\0", "a'b", 'a"b', "*", "?", "~", "[x]", "{x}",
        "ä", "#x", "!x", "\\",
    ],
)  # fmt: skip
def test_syntax_does_not_pass_as_a_name(value: str) -> None:
    with pytest.raises(PlanError, match="label 'pod' may only have letters, digits"):
        placeholders.name("pod", value)


@pytest.mark.parametrize("value", ["..", "../x", "a/../../b", "/.."])
def test_a_name_does_not_step_up(value: str) -> None:
    with pytest.raises(PlanError, match="may not step up in a path"):
        placeholders.name("pod", value)


def test_lengths_are_capped() -> None:
    with pytest.raises(PlanError, match="label 'pod' has 254 characters, an argument takes at most 253"):
        placeholders.name("pod", "x" * 254)
    with pytest.raises(PlanError, match="label 'pod' has 1025 characters, a placeholder takes at most 1024"):
        placeholders.plain("pod", "x" * 1025)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nb", "\x1b[31m", "a\0b", "a\x7f"])
def test_control_characters_never_pass(value: str) -> None:
    with pytest.raises(PlanError, match="label 'pod' has control characters"):
        placeholders.plain("pod", value)


@pytest.mark.parametrize("value", ["Web", "a/b", "a_b", "-a", "a-", "a b", "a?b", "..", "x" * 254])
def test_only_names_of_kubernetes_pass_as_dns(value: str) -> None:
    with pytest.raises(PlanError, match=r"is no name of a Kubernetes object: .*; name the label that is one"):
        placeholders.dns("pod", value)


def test_a_placeholder_that_is_no_name_is_a_mistake_of_the_policy() -> None:
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        placeholders.check_template("${1x}")
