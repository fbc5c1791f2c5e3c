import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError, restored
from presagio.actions.command import Command, CommandParams

TARGET = Target("shop/cart", {"instance": "10.0.0.1:9100", "evil": "--delete", "empty": ""})


def plan(*argv: str, **params: Any) -> Plan:
    return Command().plan(TARGET, CommandParams.model_validate({"argv": argv, **params}))


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_plans_a_list_of_arguments() -> None:
    made = plan("restart", "${service_id}", "--on=${instance}", "${service_id}/${instance}")
    assert made.params["argv"] == ["restart", "shop/cart", "--on=10.0.0.1:9100", "shop/cart/10.0.0.1:9100"]
    assert made.summary == "run restart shop/cart --on=10.0.0.1:9100 shop/cart/10.0.0.1:9100"
    assert made.undo is None


def test_there_is_no_shell() -> None:
    evidence = Command().apply(plan("echo", "$HOME `id` $(id); id | cat > /dev/null & *"), "a-1")
    assert evidence.facts["output"] == "$HOME `id` $(id); id | cat > /dev/null & *\n"


def test_a_value_never_becomes_an_option() -> None:
    with pytest.raises(PlanError) as error:
        plan("rm", "${evil}")
    assert str(error.value) == "argument '${evil}' would become the option '--delete'"
    assert plan("rm", "--", "x${evil}").params["argv"] == ["rm", "--", "x--delete"]
    assert plan("rm", "--flag=${evil}").params["argv"] == ["rm", "--flag=--delete"]


def test_success_is_evidence() -> None:
    evidence = Command().apply(plan("sh", "-c", "echo done; echo note >&2"), "a-1")
    assert evidence.summary.startswith("'sh' exited with 0 after ")
    facts = {key: evidence.facts[key] for key in ("argv", "exit_code", "output", "output_bytes")}
    argv = ["sh", "-c", "echo done; echo note >&2"]
    assert facts == {"argv": argv, "exit_code": 0, "output": "done\nnote\n", "output_bytes": 10}
    json.dumps(evidence.facts)


def test_the_environment_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    monkeypatch.setenv("REGION", "eu")
    evidence = Command().apply(plan("env", environment=["REGION", "ABSENT"]), "a-7")
    found = dict(line.split("=", 1) for line in evidence.facts["output"].splitlines())
    assert set(found) == {"PATH", "HOME", "LANG", "REGION", "PRESAGIO_ATTEMPT_ID", "PRESAGIO_SERVICE_ID"}
    assert (found["PRESAGIO_ATTEMPT_ID"], found["PRESAGIO_SERVICE_ID"]) == ("a-7", "shop/cart")
    assert (found["REGION"], found["PATH"]) == ("eu", os.environ["PATH"])


def test_another_exit_code_may_have_had_effects() -> None:
    with pytest.raises(UnknownOutcomeError, match="'sh' exited with 4 after") as error:
        Command().apply(plan("sh", "-c", "echo half; exit 4"), "a-1")
    assert error.value.evidence.facts["output"] == "half\n"
    assert error.value.evidence.facts["exit_code"] == 4


def test_an_exit_code_may_say_that_nothing_was_done() -> None:
    with pytest.raises(NotAppliedError, match="'sh' exited with 75 after") as error:
        Command().apply(plan("sh", "-c", "echo busy; exit 75", not_applied_exit_codes=[75]), "a-1")
    assert error.value.evidence.facts["output"] == "busy\n"


def test_death_by_a_signal_is_unknown() -> None:
    with pytest.raises(UnknownOutcomeError, match="'sh' died of signal 9 after"):
        Command().apply(plan("sh", "-c", "kill -9 $$"), "a-1")


def test_a_time_out_is_unknown() -> None:
    with pytest.raises(UnknownOutcomeError) as error:
        Command().apply(plan("sh", "-c", "echo began; sleep 60", timeout="500ms"), "a-1")
    assert str(error.value) == "'sh' was killed after 0.5s; raise `timeout` if it needs more"
    assert error.value.evidence.facts["output"] == "began\n"
    assert error.value.evidence.facts["exit_code"] is None


def test_what_cannot_be_started_was_not_applied(tmp_path: Path) -> None:
    for argv in (
        ["no-such-program"],
        [script(tmp_path / "plain", "#!/bin/sh\n", 0o644)],
        [script(tmp_path / "lost", "#!/no/such/interpreter\n")],
        [script(tmp_path / "noise", "\x7fnonsense")],
    ):
        with pytest.raises(NotAppliedError, match="could not be started"):
            Command().apply(plan(*argv), "a-1")
    with pytest.raises(NotAppliedError, match="No such file or directory: '/no/such/folder'"):
        Command().apply(plan("true", cwd="/no/such/folder"), "a-1")


def test_a_plan_read_back_from_json_does_the_same() -> None:
    made = plan("echo", "${service_id}", timeout="5s", cwd="/")
    stored = restored(json.loads(json.dumps(made.__dict__)))
    assert stored == made
    assert Command().apply(stored, "a-1").facts["output"] == "shop/cart\n"


def test_without_a_probe_nobody_knows() -> None:
    assert Command().probe(plan("true"), "a-1") is Probe.UNKNOWN


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["true"], Probe.APPLIED),
        (["false"], Probe.NOT_APPLIED),
        (["sh", "-c", "exit 2"], Probe.UNKNOWN),
        (["sh", "-c", "kill -9 $$"], Probe.UNKNOWN),
        (["sleep", "60"], Probe.UNKNOWN),
        (["no-such-program"], Probe.UNKNOWN),
        (["sh", "-c", "test $PRESAGIO_ATTEMPT_ID = a-1"], Probe.APPLIED),
    ],
)
def test_the_probe_tells_by_its_exit_code(argv: list[str], told: Probe) -> None:
    assert Command().probe(plan("true", probe=argv, timeout="1s"), "a-1") is told


def test_what_still_runs_is_not_said_to_be_undone() -> None:
    """The webhook was killed in the middle: the program it had started lives on, and may yet have its effect."""
    made = plan("true", probe=["false"])
    environment = {**os.environ, "PRESAGIO_ATTEMPT_ID": "a-orphan"}
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment)
    try:
        time.sleep(0.1)
        assert Command().probe(made, "a-orphan") is Probe.UNKNOWN
        assert Command().probe(made, "a-other") is Probe.NOT_APPLIED
    finally:
        orphan.kill()
        orphan.wait()
    assert Command().probe(made, "a-orphan") is Probe.NOT_APPLIED


def test_undo_runs_the_policys_own(tmp_path: Path) -> None:
    made = plan("true", undo=["touch", f"{tmp_path}/undone-${{instance}}"])
    assert made.undo == {"argv": ["touch", f"{tmp_path}/undone-10.0.0.1:9100"]}
    assert Command().undo(made).facts["exit_code"] == 0
    assert (tmp_path / "undone-10.0.0.1:9100").exists()
    with pytest.raises(UnknownOutcomeError, match="'false' exited with 1"):
        Command().undo(plan("true", undo=["false"], not_applied_exit_codes=[1]))


def test_without_an_undo_there_is_none() -> None:
    with pytest.raises(NotAppliedError, match="true has no undo; name one in the policy, or undo it by hand"):
        Command().undo(plan("true"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"argv": []}, "at least 1 item"),
        ({"argv": ["${service_id}"]}, r"a program that the policy alone names, without a placeholder, got '\${serv"),
        ({"argv": [""]}, "a program that the policy alone names, without a placeholder, got ''"),
        ({"argv": ["x", "${1}"]}, "letters, digits and underscores"),
        ({"argv": ["x", "a\0b"]}, r"arguments without NUL characters, got 'a\\x00b'"),
        ({"argv": "echo x"}, "valid tuple"),
        ({"argv": ["x"], "probe": ["${a}"]}, "a program that the policy alone names"),
        ({"argv": ["x"], "timeout": "0"}, "greater than 0"),
        ({"argv": ["x"], "not_applied_exit_codes": [0]}, "greater than or equal to 1"),
        ({"argv": ["x"], "shell": True}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes_of_a_policy(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CommandParams.model_validate(params)
