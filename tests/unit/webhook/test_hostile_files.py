"""Whatever a webhook.yml says: it is loaded, or told with its lines; it never does anything."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presagio.toolkit.errors import ConfigError
from presagio.toolkit.log import get_log
from presagio.webhook import config

FILES = Path(__file__).parent / "files"
GOOD = [path.read_text() for path in sorted(FILES.glob("*.good.yml"))]
ODD = (
    "? [", "a: &x [*x]", "!!python/object/apply:os.system [ls]", "<<: {a: 1}", "\t- x", "%", "- - -", "x: 1e999",
    "mode: null", "policies: 3", "guards: []",
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Return a good file with a few lines dropped, doubled, indented, replaced or added."""
    lines = draw(st.sampled_from(GOOD)).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        ways = [[line, line], ["  " + line], [line, draw(st.sampled_from(ODD))], [draw(st.text(max_size=15))], []]
        lines[at : at + 1] = draw(st.sampled_from(ways if len(lines) > 1 else ways[:-1]))
    return "\n".join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(text=broken())
def test_a_broken_file_is_told_with_its_lines_and_nothing_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "webhook.yml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    refused = ""
    try:
        config.load(path, get_log("test"))
    except ConfigError as error:
        refused = str(error)
    # beside it may lie an action_policies.json that is not there
    assert not refused or refused.startswith(str(tmp_path)), refused


TOO_MUCH = "expected at most 200000 values, got more; do aliases repeat each other"


@pytest.mark.parametrize(
    ("first", "level", "mistake"),
    [
        ("l0: &l0 [lol]", "l{n}: &l{n} [{many}]", TOO_MUCH),
        # from 6.0.4 on PyYAML itself merges each key once: then these are ten small sections that nobody knows
        ("l0: &l0 {a: 1}", "l{n}: &l{n} {{<<: [{many}]}}", f"{TOO_MUCH}|got unknown key 'l9'"),
    ],
    ids=["lists", "merges"],
)
def test_a_file_that_would_fill_the_memory_is_refused(first: str, level: str, mistake: str, tmp_path: Path) -> None:
    path = tmp_path / "webhook.yml"
    levels = [level.format(n=n, many=", ".join([f"*l{n - 1}"] * 9)) for n in range(1, 10)]
    path.write_text("\n".join([first, *levels]) + "\n")
    with pytest.raises(ConfigError, match=mistake):
        config.load(path, get_log("test"))
