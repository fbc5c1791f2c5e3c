"""process.signal and process.terminate on real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import wait_until

from presagio.actions import running
from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError
from presagio.actions.process_signal import ProcessParams, Signal, SignalParams, Terminate, TerminateParams

CART = Target("cart", {})
SLEEPS = "print('ready', flush=True)\nwhile 1: time.sleep(9)"
PLAIN = f"import time; {SLEEPS}"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def started(code: str = PLAIN, program: str = sys.executable) -> "subprocess.Popen[bytes]":
            process = subprocess.Popen([program, "-c", code], stdout=subprocess.PIPE)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            process.stdout.readline()
            return process

        yield started


def pid_file(folder: Path, pid: int) -> Path:
    path = folder / "app.pid"
    path.write_text(f"{pid}\nmore\n")
    return path


def ending(path: Path, **params: Any) -> Plan:
    return Terminate().plan(CART, TerminateParams(pid_file=path, **params))


def test_it_ends_by_sigterm(start: Start, tmp_path: Path) -> None:
    process = start()
    plan = ending(pid_file(tmp_path, process.pid))
    assert plan.summary.startswith(f"end process {process.pid} (python")
    assert Terminate().probe(plan, "1") is Probe.NOT_APPLIED
    evidence = Terminate().apply(plan, "1")
    assert evidence.facts == {"pids": [process.pid], "killed": []}
    assert process.wait() == -signal.SIGTERM
    assert Terminate().probe(plan, "1") is Probe.APPLIED
    with pytest.raises(NotAppliedError, match="not all of process"):
        Terminate().apply(plan, "1")


def test_what_does_not_listen_is_killed(start: Start, tmp_path: Path) -> None:
    process = start(STUBBORN)
    evidence = Terminate().apply(ending(pid_file(tmp_path, process.pid), grace=0.1), "1")
    assert evidence.facts["killed"] == [process.pid]
    assert process.wait() == -signal.SIGKILL


def test_a_process_that_ended_but_was_not_waited_for_is_gone(start: Start, tmp_path: Path) -> None:
    process = start()
    plan = ending(pid_file(tmp_path, process.pid))
    process.kill()
    wait_until(lambda: Terminate().probe(plan, "1") is Probe.APPLIED, "the end")
    with pytest.raises(PlanError, match="no process fits pid_file"):
        ending(pid_file(tmp_path, process.pid))


def test_another_process_with_that_pid_is_not_touched(start: Start, tmp_path: Path) -> None:
    process = start()
    plan = ending(pid_file(tmp_path, process.pid))
    (planned,) = plan.params["processes"]
    for other in ({"start": planned["start"] - 1}, {"boot": "another"}):
        foreign = Plan(plan.action, plan.summary, {"grace": 1.0, "processes": [{**planned, **other}]})
        with pytest.raises(NotAppliedError, match="is gone"):
            Terminate().apply(foreign, "1")
        assert Terminate().probe(foreign, "1") is Probe.APPLIED
    assert process.poll() is None


def test_a_pid_file_that_is_left_over_is_told(start: Start, tmp_path: Path) -> None:
    path = pid_file(tmp_path, start().pid)
    os.utime(path, (1e9, 1e9))
    with pytest.raises(PlanError, match="the pid is of another process now; remove the file"):
        ending(path)


@pytest.mark.parametrize("text", ["", "x", "-1", "\N{FULLWIDTH DIGIT ONE}", "1" * 10])
def test_what_is_no_pid(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.pid").write_text(text)
    with pytest.raises(PlanError, match="is no pid"):
        ending(tmp_path / "app.pid")


def test_a_pid_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotAppliedError, match="cannot be read"):
        ending(tmp_path / "app.pid")


def test_the_program_and_the_user_must_fit(start: Start, tmp_path: Path) -> None:
    path = pid_file(tmp_path, start().pid)
    for wrong in ({"executable": Path("/usr/sbin/nginx")}, {"user": "nobody"}):
        with pytest.raises(PlanError, match="no process fits"):
            ending(path, **wrong)
    (found,) = ending(path).params["processes"]
    assert ending(path, executable=Path(found["executable"]), user=found["user"]).params["processes"] == [found]


def test_by_program_and_never_more_than_allowed(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "app"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(subprocess.Popen([program, "99"]))
        wait_until(lambda: len([one for one in running.everyone() if one.executable == str(program)]) == 2, "both")
        with pytest.raises(PlanError, match=r"2 processes fit.*, more than max_processes: 1"):
            Terminate().plan(CART, TerminateParams(executable=program))
        plan = Terminate().plan(CART, TerminateParams(executable=program, max_processes=2))
        program.unlink()
        assert len(Terminate().apply(plan, "1").facts["pids"]) == 2


def test_never_ourselves_nor_what_we_run_in(tmp_path: Path) -> None:
    for pid in (os.getpid(), os.getppid()):
        with pytest.raises(PlanError, match="is Presagio itself, or what it runs in"):
            ending(pid_file(tmp_path, pid))
    # whoever is not root does not even see the program of the first process
    with pytest.raises(PlanError, match=r"is Presagio itself, or what it runs in|no process fits"):
        ending(pid_file(tmp_path, 1))


def test_never_prometheus_nor_another_part_of_presagio(start: Start, tmp_path: Path) -> None:
    other = tmp_path / "presagio"
    other.write_text(f"import time; {SLEEPS}")
    with subprocess.Popen([sys.executable, str(other)], stdout=subprocess.PIPE) as process:
        try:
            with pytest.raises(PlanError, match="is Presagio itself"):
                ending(pid_file(tmp_path, process.pid))
        finally:
            process.kill()
    copied = tmp_path / "alertmanager"
    copied.write_bytes(Path("/bin/sleep").read_bytes())
    copied.chmod(0o755)
    with subprocess.Popen([copied, "99"]) as process:
        try:
            wait_until(lambda: getattr(running.find(process.pid), "executable", "") == str(copied), "it")
            with pytest.raises(PlanError, match="'alertmanager', which is never signalled"):
                ending(pid_file(tmp_path, process.pid))
        finally:
            process.kill()


def test_a_kernel_thread_is_no_process(tmp_path: Path) -> None:
    threads = [path for path in Path("/proc").glob("[0-9]*/stat") if _of_the_kernel(path)]
    if not threads:
        pytest.skip("a container shows no thread of the kernel")
    with pytest.raises(PlanError, match="no process fits"):
        ending(pid_file(tmp_path, int(threads[0].parent.name)))


def _of_the_kernel(path: Path) -> bool:
    try:
        return bool(int(path.read_text().rpartition(")")[2].split()[6]) & 0x0020_0000)
    except OSError:
        return False


def test_a_signal_is_heard_once(start: Start, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    process = start(
        f"import signal, time; h = open({str(heard)!r}, 'w', buffering=1)\n"
        f"signal.signal(signal.SIGUSR1, lambda *_: print('x', file=h))\n{SLEEPS}"
    )
    plan = Signal().plan(CART, SignalParams(pid_file=pid_file(tmp_path, process.pid), signal="USR1"))
    assert plan.summary.startswith(f"send SIGUSR1 to process {process.pid} (python")
    assert Signal().apply(plan, "1").facts == {"pids": [process.pid]}
    wait_until(heard.read_text, "the signal")
    assert Signal().probe(plan, "1") is Probe.UNKNOWN
    assert process.poll() is None


@pytest.mark.parametrize("done", [0, 1])
def test_what_may_not_be_signalled_is_told(start: Start, monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    found = running.find(start().pid)
    plan = Plan("process.terminate", "", {"grace": 1.0, "processes": [vars(found), vars(found)]})
    calls: list[int] = []

    def refuse(*_: object) -> None:
        # whoever runs the tests as root is refused nothing
        calls.append(1)
        if len(calls) > done:
            raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    kind = UnknownOutcomeError if done else NotAppliedError
    with pytest.raises(kind, match=r"SIGTERM may not be sent to process .*CAP_KILL"):
        Terminate().apply(plan, "1")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "pid_file, executable or both"),
        ({"pid_file": "run/app.pid"}, "an absolute path"),
        ({"executable": "/opt/${service_id}"}, "without a placeholder"),
    ],
)
def test_which_process_is_said_by_the_policy_alone(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProcessParams.model_validate(params)


@pytest.mark.parametrize("name", ["KILL", "STOP", "TERM", "9"])
def test_only_signals_that_programs_give_a_meaning(name: str) -> None:
    with pytest.raises(ValidationError, match="HUP"):
        SignalParams.model_validate({"pid_file": "/run/app.pid", "signal": name})
