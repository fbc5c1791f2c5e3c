"""The commands of the webhook, as the terminal has them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_world import KEY, World
from sqlalchemy import text

from presagio.toolkit.cli import main


@pytest.fixture
def storage(world: World, tmp_path: Path) -> Path:
    (tmp_path / "ledger.key").write_text(KEY.hex())
    world.fire()
    world.fire("ghost", active=False)
    world.prometheus.good = True
    world.run(900)
    return tmp_path


def audit(storage: Path, *words: str) -> int:
    return main(["audit", *words, f"--storage.path={storage}"])


def test_list(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(storage, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "BEGAN", "STATE", "OUTCOME", "SERVICE", "ALERT", "POLICY", "ACTION", "TOOK"]
    assert lines[1].split()[4:] == ["closed", "verified", "shop", "Leak", "restart", "fix", "12m"]
    assert len(lines) == 2
    audit(storage, "list", "--all")
    assert "dropped" in capsys.readouterr().out
    audit(storage, "list", "--json")
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [1]


def test_show(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(storage, "show", "1") == 0
    told = capsys.readouterr().out
    assert told.startswith("remediation 1\n  alert    Leak\n  service  shop\n")
    assert "verified    3 good samples in a row: good, good, good" in told
    audit(storage, "show", "1", "--json")
    assert json.loads(capsys.readouterr().out)["story"][-1]["target"] == "closed"


def test_show_one_that_is_not_there(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(storage, "show", "9") == 1
    assert "there is no remediation 9; `presagio audit list` tells which are" in capsys.readouterr().err


def test_verify(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(storage, "verify") == 0
    assert capsys.readouterr().out == "the ledger is whole: 13 rows, each bound to the one before it\n"
    assert audit(storage, "verify", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "rows": 13}


def test_verify_names_the_first_broken_row(storage: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.engine.begin() as connection:
        old = connection.scalar(text("select facts from audit where seq = 5"))
        connection.execute(text("update audit set facts = '{}' where seq = 5"))
    assert audit(storage, "verify") == 1
    assert "the ledger is broken: audit row 5 was changed" in capsys.readouterr().err
    assert audit(storage, "verify", "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"].startswith("audit row 5 was changed")
    with world.engine.begin() as connection:
        connection.execute(text("update audit set facts = :old where seq = 5"), {"old": old})


def test_a_head_that_was_kept_elsewhere_tells_of_a_ledger_that_was_cut(
    storage: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    head = world.records.head()
    assert audit(storage, "verify", "--head", f"{head.seq}:{head.hmac}") == 0
    with world.engine.begin() as connection:
        connection.execute(text("delete from audit where seq > 10"))
        connection.execute(text("update ledger_head set seq = 10, hmac = (select hmac from audit where seq = 10)"))
    assert audit(storage, "verify") == 0
    capsys.readouterr()
    assert audit(storage, "verify", "--head", f"{head.seq}:{head.hmac}") == 1
    assert "audit row 13 is not the one that was known: the ledger was cut or replaced" in capsys.readouterr().err
    assert audit(storage, "verify", "--head", "13") == 1
    assert "--head: expected SEQ:HASH" in capsys.readouterr().err


def test_what_is_exported_verifies_by_itself(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    assert audit(storage, "export", "--output", str(whole)) == 0
    assert audit(storage, "export", "--output", str(part), "--after", "10") == 0
    assert audit(storage, "verify", "--file", str(whole)) == 0
    assert audit(storage, "verify", "--file", str(part)) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in told[:2]] == ["13", "3"]
    assert told[2:] == [f"the ledger is whole: {rows} rows, each bound to the one before it" for rows in (13, 3)]
    lines = whole.read_text().splitlines()
    assert part.read_text().splitlines() == lines[10:]
    assert json.loads(lines[0])["target"] == "received"
    assert audit(storage, "export") == 0
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda lines: lines[:4] + lines[5:], "audit row 5 is missing"),
        (
            lambda lines: [*lines[:4], lines[4].replace("orchestrator", "somebody"), *lines[5:]],
            "audit row 5 was changed",
        ),
        (lambda lines: [*lines, "{}"], "whole.jsonl:14: no row of a ledger"),
        (lambda lines: [*lines, "x"], "whole.jsonl:14: no row of a ledger"),
    ],
)
def test_an_archive_that_was_edited_is_broken(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    edit: Callable[[list[str]], list[str]], error: str,
) -> None:  # fmt: skip
    whole = tmp_path / "whole.jsonl"
    audit(storage, "export", "--output", str(whole))
    whole.write_text("\n".join(edit(whole.read_text().splitlines())))
    assert audit(storage, "verify", "--file", str(whole)) == 1
    assert error in capsys.readouterr().err


def test_nothing_is_overwritten(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(storage, "export", "--output", str(storage / "ledger.key")) == 1
    assert "ledger.key' cannot be written: File exists" in capsys.readouterr().err


def test_without_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tmp_path / "nowhere", "list") == 1
    assert "there is no ledger" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_without_its_key(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (storage / "ledger.key").unlink()
    assert audit(storage, "verify") == 1
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert audit(storage, "list") == 0


def test_a_ledger_that_the_configuration_moved(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (storage / "ledger.key").rename(tmp_path / "moved.key")
    config = tmp_path / "webhook.yml"
    config.write_text(f"api: {{authentication: none}}\nledger: {{key_file: {tmp_path / 'moved.key'}}}\n")
    assert audit(storage, "verify", f"--config.file={config}") == 0
    assert "whole" in capsys.readouterr().out


def test_help_is_light() -> None:
    heavy = ["flask", "sqlalchemy", "pydantic", "prometheus_client", "requests", "gunicorn", "numpy"]
    code = f"import sys, presagio.webhook.commands; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
