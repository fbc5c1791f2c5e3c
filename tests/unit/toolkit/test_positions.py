"""Lines of keys and values, as mistakes point at them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.toolkit.positions import SyntaxMistakeError, parse

NESTED = """\
# a comment, and an empty line

top:
  list:
    - name: one
      deep: {a: 1, b: 2}

    -
      name: two
  text: >
    folded
    text
last: [1,
  2]
"""


def test_every_key_and_item_has_its_line() -> None:
    document = parse(NESTED)
    assert document.data == {
        "top": {"list": [{"name": "one", "deep": {"a": 1, "b": 2}}, {"name": "two"}], "text": "folded text\n"},
        "last": [1, 2],
    }
    lines = {
        ("top",): 3, ("top", "list"): 4, ("top", "list", 0): 5, ("top", "list", 0, "name"): 5,
        ("top", "list", 0, "deep"): 6, ("top", "list", 0, "deep", "b"): 6, ("top", "list", 1): 9,
        ("top", "list", 1, "name"): 9, ("top", "text"): 10, ("last",): 13, ("last", 0): 13, ("last", 1): 14,
    }  # fmt: skip
    assert {path: document.lines[path] for path in lines} == lines


def test_what_the_file_lacks_stands_on_the_line_of_its_parent() -> None:
    document = parse(NESTED)
    assert document.line(("top", "list", 1, "query")) == 9
    assert document.line(("nowhere", 3)) == 3
    assert parse("").line(("a",)) == 1


def test_a_key_given_twice_is_told_and_the_last_one_counts() -> None:
    document = parse("a: 1\nb: {x: 1, x: 2}\na: 3\n")
    assert document.data == {"a": 3, "b": {"x": 2}}
    assert document.duplicates == [(("b", "x"), 2), (("a",), 3)]


def test_what_a_merge_key_brings_in_may_be_overridden() -> None:
    text = "base: &base {x: 1, y: 2}\nother: &other {y: 5, z: 6}\nboth:\n  <<: [*base, *other]\n  x: 3\n"
    document = parse(text)
    assert document.data["both"] == {"x": 3, "y": 2, "z": 6}
    assert document.duplicates == []
    assert (document.lines["both", "x"], document.lines["both", "y"]) == (5, 1)


def test_beside_a_merge_key_a_key_given_twice_is_still_told() -> None:
    document = parse("base: &base {x: 1}\nmine:\n  <<: *base\n  x: 2\n  x: 3\n")
    assert document.duplicates == [(("mine", "x"), 5)]


def test_an_alias_is_read_as_often_as_it_stands_there() -> None:
    document = parse("one: &a {<<: {k: 1}, k: 2}\ntwo: *a\nthree: [*a, *a]\n")
    assert document.data == {"one": {"k": 2}, "two": {"k": 2}, "three": [{"k": 2}, {"k": 2}]}
    assert document.duplicates == []


def test_json_may_be_indented_by_tabs() -> None:
    document = parse('{\n\t"a":\t{\n\t\t"b": "x\\ty"\n\t}\n}\n', json=True)
    assert document.data == {"a": {"b": "x\ty"}}
    assert document.lines["a", "b"] == 3


def test_json_means_what_json_means() -> None:
    text = '{"power": 1e5, "rocket": "\\ud83d\\ude80", "slash": "\\/", "yes": "no", "date": "2026-13-45"}'
    assert parse(text, json=True).data == {
        "power": 100000.0, "rocket": "🚀", "slash": "/", "yes": "no", "date": "2026-13-45",
    }  # fmt: skip
    long = json.dumps({"k" * 2000: 1})
    assert parse(long, json=True).data == {"k" * 2000: 1}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_any_json_is_read_as_it_was_written(value: object, indent: int | str | None, ascii_only: bool) -> None:
    assert parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only), json=True).data == value


@pytest.mark.parametrize(
    ("text", "line", "expected", "got"),
    [
        ("a: [1, 2\nb: 3\n", 2, "',' or ']'", "':'"),
        ("a: 1\n b: 2\n", 2, "valid YAML", "mapping values are not allowed here"),
        ("a:\n\tb: 3\n", 2, "valid YAML", "character '\\t' that cannot start any token"),
        ("a: 1\n---\nb: 2\n", 2, "valid YAML", "another document"),
        ("a: *nobody\n", 1, "valid YAML", "undefined alias 'nobody'"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "valid YAML",
         "could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: 1\nb: \x1b[0m\n", 2, "valid YAML", "the character U+001B"),
        ("a: 1\nday: 2026-02-30\n", 2, "valid YAML", "'2026-02-30': day is out of range for month"),
        ("a: !!int x\n", 1, "valid YAML", "'x': invalid literal for int() with base 10: 'x'"),
        ("a: &a [*a]\n", 1, "valid YAML", "a nesting that is too deep, or an anchor within itself"),
        ("[" * 5000, 1, "valid YAML", "a nesting that is too deep, or an anchor within itself"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_told_with_its_line(text: str, line: int, expected: str, got: str) -> None:
    with pytest.raises(SyntaxMistakeError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.expected, caught.value.got) == (line, expected, got)


@pytest.mark.parametrize(
    ("text", "line", "expected", "got"),
    [
        ('{"a": 1,\n b: 2}', 2, "property name enclosed in double quotes", "'b'"),
        ('{"a": 1\n"b": 2}', 2, "',' delimiter", "'\"'"),
        ('{\n"a": ', 2, "value", "the end"),
        ("", 1, "value", "the end"),
        ('{"a": "x\n"}', 1, "valid JSON", "invalid control character"),
        ("{} {}", 1, "valid JSON", "extra data"),
        ("[" * 100_000, 1, "valid JSON", "a nesting that is too deep"),
    ],
)
def test_what_is_no_json_is_told_with_its_line(text: str, line: int, expected: str, got: str) -> None:
    with pytest.raises(SyntaxMistakeError) as caught:
        parse(text, json=True)
    assert (caught.value.line, caught.value.expected, caught.value.got) == (line, expected, got)
