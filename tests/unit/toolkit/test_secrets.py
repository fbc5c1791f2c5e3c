"""Secrets: in files that may change under us, compared in a time that tells nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from presagio.toolkit.errors import PresagioError
from presagio.toolkit.secrets import Secret, SecretError, matches


def test_a_secret_is_its_value_or_what_its_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  from the file\n\n")
    assert Secret(SecretStr("given")).read() == "given"
    assert Secret(None, file).read() == "from the file"
    assert Secret(SecretStr("given"), file).read() == "from the file"
    assert Secret().read() == ""


def test_no_secret_is_false(tmp_path: Path) -> None:
    assert not Secret()
    assert Secret(SecretStr(""))
    assert Secret(None, tmp_path / "may come later")


def test_a_rotated_file_needs_no_restart(tmp_path: Path) -> None:
    file, new = tmp_path / "token", tmp_path / "token.new"
    secret = Secret(None, file)
    file.write_text("old")
    assert secret.read() == "old"
    new.write_text("new\n")
    new.replace(file)
    assert secret.read() == "new"


def test_two_keys_are_valid_while_one_is_rotated_out(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("old\r\n\n  new  \n")
    assert Secret(None, file).lines() == ["old", "new"]
    assert Secret(SecretStr("one")).lines() == ["one"]
    assert Secret().lines() == []


def test_a_file_that_cannot_be_read_is_told_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        Secret(None, tmp_path / "none").read()
    assert str(caught.value) == f"secret file '{tmp_path}/none' cannot be read: No such file or directory"
    (tmp_path / "binary").write_bytes(b"\xffhunter2")
    with pytest.raises(SecretError) as caught:
        Secret(None, tmp_path / "binary").lines()
    assert str(caught.value) == f"secret file '{tmp_path}/binary' is not UTF-8 text"
    assert isinstance(caught.value, PresagioError)


def test_a_secret_never_shows() -> None:
    assert "hunter2" not in f"{Secret(SecretStr('hunter2'))!r}"


@given(st.text(), st.lists(st.text(), max_size=4))
def test_what_is_one_of_the_keys_matches_and_nothing_else(given_key: str, allowed: list[str]) -> None:
    assert matches(given_key, allowed) == (given_key in allowed)


def test_every_key_is_compared_whichever_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(_given: bytes, key: bytes) -> bool:
        compared.append(key)
        return True

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert matches("a", ["a", "b", "c"])
    assert compared == [b"a", b"b", b"c"]
