"""A part of the page that survives a restart, and is withdrawn when it is too old."""

from pathlib import Path

import pytest

from presagio.exporter.kept_page import KeptPage
from presagio.toolkit.log import get_log


def page(folder: Path) -> KeptPage:
    return KeptPage(folder, "predictions", 300.0, get_log("test"))


def test_it_is_shown_until_it_is_too_old(tmp_path: Path) -> None:
    one = page(tmp_path)
    assert one.text(0.0) == b""
    one.show(1000.0, "a 1\n")
    assert one.text(1300.0) == b"a 1\n"
    assert one.text(1301.0) == b""


def test_it_survives_a_restart(tmp_path: Path) -> None:
    page(tmp_path).show(1000.0, "a 1\nb 2\n")
    again = page(tmp_path)
    again.restore()
    assert again.text(1100.0) == b"a 1\nb 2\n"


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"magic": "presagio", "kind": "predictions"}\n1\na 1\n'])
def test_a_file_that_is_none_is_not_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "predictions.snapshot").write_bytes(content)
    one = page(tmp_path)
    one.restore()
    assert one.text(1.0) == b""


def test_that_it_cannot_be_kept_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = page(tmp_path / "absent")
    one.show(1000.0, "a 1\n")
    one.show(1001.0, "a 2\n")
    assert one.text(1001.0) == b"a 2\n"
    assert [record.message for record in caplog.records] == ["predictions will not survive a restart"]
