import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.webhook import promql


def sides(query: str) -> tuple[str, str, str] | None:
    found = promql.comparison(query)
    return (found.left, found.operator, found.right) if found else None


@pytest.mark.parametrize(
    ("query", "left", "operator", "right"),
    [
        ("a < 5", "a", "<", "5"),
        ("a<5", "a", "<", "5"),
        ("a >= -1e3", "a", ">=", "-1e3"),
        ("a != b", "a", "!=", "b"),
        ("a == 0x1F", "a", "==", "0x1F"),
        ("(a < 5)", "a", "<", "5"),
        ("( (a < 5) )", "a", "<", "5"),
        ("(a) < (b)", "(a)", "<", "(b)"),
        ("(a or b) < 5", "(a or b)", "<", "5"),
        ("(a > 1) < 5", "(a > 1)", "<", "5"),
        ('a{b=">", c!="x", d=~"<", e!~"=="} < 5', 'a{b=">", c!="x", d=~"<", e!~"=="}', "<", "5"),
        ("a{b='and > 3'} < 5", "a{b='and > 3'}", "<", "5"),
        ("a{b=`\\`} < 5", "a{b=`\\`}", "<", "5"),
        (r'a{b="\" > 3"} < 5', r'a{b="\" > 3"}', "<", "5"),
        ("sum by (x) (a > 3) < 5", "sum by (x) (a > 3)", "<", "5"),
        ("sum(a) by (x) / on(x) group_left(y) b < 5", "sum(a) by (x) / on(x) group_left(y) b", "<", "5"),
        ("a[5m] < 5", "a[5m]", "<", "5"),
        ("max_over_time((a > 3)[1h:5m]) < 5", "max_over_time((a > 3)[1h:5m])", "<", "5"),
        ("a offset 5m @ 1600 < 5", "a offset 5m @ 1600", "<", "5"),
        ("a < on(x) b", "a", "<", "b"),
        ("a < ignoring(x, y) group_left(z) sum(b)", "a", "<", "sum(b)"),
        ("a < on() group_left b", "a", "<", "b"),
        ("a < bool on(x) b", "a", "<", "b"),
        ("0.7 > a", "0.7", ">", "a"),
        ("a < 5 # and > more", "a", "<", "5"),
        ("a # > 3\n < 5", "a", "<", "5"),
        ("a <\n  5", "a", "<", "5"),
        ("and_more < 5", "and_more", "<", "5"),
        ("job:bool:rate5m < 5", "job:bool:rate5m", "<", "5"),
    ],
)
def test_one_comparison_has_two_sides(query: str, left: str, operator: str, right: str) -> None:
    assert sides(query) == (left, operator, right)


@pytest.mark.parametrize(
    "query",
    [
        "a", "5", "sum(a > 5)", "a > 5 and b", "a or b > 5", "a unless b < 1", "a AND b > 5", "(a > 5) or (b > 5)",
        "a > b > c", "a > 1 == 2", "a < on(x) group_right(y) b", "a > 5 or vector(0)", "a <", "> 5", "a < bool", "",
    ],
)  # fmt: skip
def test_what_is_no_single_comparison_is_not_split(query: str) -> None:
    assert promql.comparison(query) is None


def test_without_bool_the_answer_holds_what_satisfies() -> None:
    found = promql.comparison("a > bool on(x) 5")
    assert found is not None
    assert (found.text, found.is_bool) == ("a > on(x) 5", True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sum(a", "PromQL whose brackets match, got an open '(' in 'sum(a'"),
        ("sum(a))", "PromQL whose brackets match, got ')' too many in 'sum(a))'"),
        ("a{b]", "PromQL whose brackets match, got ']' too many in 'a{b]'"),
        ('a{b="c}', "PromQL whose strings are closed, got '\"c}'"),
        ("a{b='c}", "PromQL whose strings are closed, got \"'c}\""),
        ("a{b=`c}", "PromQL whose strings are closed, got '`c}'"),
        ('a{b="\n"}', "PromQL whose strings are closed, got '\"\\n\"}'"),
        ("a > 5; b", "PromQL, got ';' in 'a > 5; b'"),
        ("a > ${limit}", "each placeholder as a label's value between double quotes, got '${limit}'"),
        ("${metric} > 5", "each placeholder as a label's value between double quotes, got '${metric} > 5'"),
        ("a{b='${c}'}", "each placeholder as a label's value between double quotes, got \"'${c}'\""),
        ("a{b=`${c}`}", "each placeholder as a label's value between double quotes, got '`${c}`'"),
        ('a{"${c}"="d"}', "each placeholder as a label's value between double quotes, got '\"${c}\"'"),
        ('f(a, "${c}")', "each placeholder as a label's value between double quotes, got '\"${c}\"'"),
        ('a{b="${1}"}', "letters, digits and underscores, not beginning with a digit, got '1'"),
    ],
)  # fmt: skip
def test_mistakes(query: str, message: str) -> None:
    with pytest.raises(ValueError, match="got ") as error:
        promql.check(query)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "query", ['label_replace(a, "b", "$1", "c", "(.*)")', 'a{"b.c"="d"}', "a # ${x} (", "{a='b'}"]
)
def test_what_is_right(query: str) -> None:
    assert promql.check(query) == query
    assert promql.fill(query, {}) == query


def test_placeholders_are_escaped_where_they_stand() -> None:
    query = 'a{b="${x}", c=~"pre-${x}.*", d!="${y}", e!~"${x}|${y}"} > 5'
    labels = {"x": 'q"u.o\\te', "y": "new\nline"}
    assert promql.fill(query, labels) == (
        r'a{b="q\"u.o\\te", c=~"pre-q\"u\\.o\\\\te.*", d!="new\nline", e!~"q\"u\\.o\\\\te|new\nline"} > 5'
    )


def test_a_missing_label_is_named() -> None:
    with pytest.raises(KeyError, match="pod"):
        promql.fill('a{b="${pod}"}', {})


@given(st.text(), st.text())
def test_no_value_leaves_its_string(first: str, second: str) -> None:
    filled = promql.fill('a{b="${x}", c=~"${y}"} > 5', {"x": first, "y": second})
    kinds = [token.kind for token in promql.scan(filled)]
    assert kinds == [token.kind for token in promql.scan('a{b="", c=~""} > 5')]


@given(st.text(alphabet="ab(){}[]<>=!~\"'`\\# \n5.m:,+-*/${}", max_size=30))
def test_any_text_is_scanned_or_refused(query: str) -> None:
    try:
        tokens = promql.scan(query)
    except ValueError:
        return
    assert all(query[token.start : token.end] == token.text for token in tokens)
    promql.comparison(query)
    promql.longest_range(query)


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("a", 0), ("rate(a[5m])", 300), ("rate(a[5m]) / rate(b[10m])", 600), ("a[1h30m]", 5400),
        ("max_over_time(rate(a[5m])[1h:1m])", 3900), ("sum(rate(a[5m]))[30m:]", 2100), ("a[5m] offset 1d", 300),
        ("max_over_time(a[1h:1m]) + rate(b[5m])[2h:]", 7500), ('a{b="[9d]"}', 0), ("a # [9d]", 0),
        ("(a + rate(b[1m]))[10m:] + c[11m]", 660), ("max_over_time((rate(a[5m]) + b)[1h:])", 3900),
    ],
)  # fmt: skip
def test_how_far_a_query_looks_back(query: str, seconds: float) -> None:
    assert promql.longest_range(query) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0), (" -0.5 ", -0.5), ("(1e3)", 1000.0), (".5", 0.5), ("( - 2. )", -2.0), ("+0x1F", 31.0),
        ("a", None), ("time()", None), ("5m", None), ("1 + 1", None), ("Inf", None),
    ],
)  # fmt: skip
def test_numbers(text: str, number: float | None) -> None:
    assert promql.number(text) == number
