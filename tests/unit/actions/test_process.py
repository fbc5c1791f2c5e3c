"""Against real processes."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from presagio.actions import process
from presagio.actions.process import Capture, Result, run

ENVIRONMENT = {"PATH": os.defpath}


def python(code: str, timeout: float = 10.0) -> Result:
    return run([sys.executable, "-c", code], environment=ENVIRONMENT, cwd=None, timeout=timeout)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    end = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < end, f"{pid} still runs"
        time.sleep(0.02)


def test_exit_code_and_output_of_both_streams() -> None:
    result = python("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)")
    assert (result.exit_code, result.output) == (3, "out\nerr\n")
    assert 0 < result.seconds < 10


def test_megabytes_of_output_are_capped_and_do_not_block() -> None:
    result = python("import sys; sys.stdout.write('begin' + 'x' * 8_000_000 + 'end')")
    assert result.exit_code == 0
    assert result.output_bytes == 8_000_008
    assert result.output.startswith("beginxxx")
    assert result.output.endswith("xxxend")
    assert "\n... 7983624 bytes left out ...\n" in result.output
    assert len(result.output) < process.MAX_OUTPUT + 100


def test_output_that_is_no_text_is_decoded_all_the_same() -> None:
    assert python(r"import os; os.write(1, b'a\xff\xfeb')").output == "a\ufffd\ufffdb"


def test_input_is_closed() -> None:
    assert python("import sys; print(repr(sys.stdin.read()))").output == "''\n"


def test_only_the_given_environment() -> None:
    result = run(["/usr/bin/env"], environment={"A": "b"}, cwd=None, timeout=10)
    assert result.output == "A=b\n"


def test_folder(tmp_path: Path) -> None:
    assert run(["pwd"], environment=ENVIRONMENT, cwd=tmp_path, timeout=10).output == f"{tmp_path}\n"


def test_a_time_out_kills_a_program_that_ignores_sigterm() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    result = python(code, timeout=0.5)
    assert (result.exit_code, result.output) == (None, "on\n")
    assert time.monotonic() - began < 6


def test_a_time_out_kills_the_children_too() -> None:
    code = (
        "import subprocess, sys, time\n"
        "stubborn = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'\n"
        "print(subprocess.Popen([sys.executable, '-c', stubborn]).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    result = python(code, timeout=1.0)
    assert result.exit_code is None
    wait_for_end(int(result.output))


def test_what_a_program_leaves_behind_lives_on_and_does_not_delay_it() -> None:
    code = (
        "import subprocess, sys\n"
        "child = 'import time; time.sleep(3); print(1, flush=True); time.sleep(60)'\n"
        "print(subprocess.Popen([sys.executable, '-c', child]).pid, flush=True)\n"
    )
    began = time.monotonic()
    result = python(code)
    grandchild = int(result.output)
    try:
        assert result.exit_code == 0
        assert time.monotonic() - began < 2.5
        # it holds our pipe, writes into it, and does not die of it
        time.sleep(max(0.0, 3.5 - (time.monotonic() - began)))
        assert alive(grandchild)
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_death_by_a_signal_is_a_negative_exit_code() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").exit_code == -9


@pytest.mark.parametrize("argv", [["/no/such/program"], ["no-such-program"], ["/etc/passwd"], ["/tmp"]])
def test_what_cannot_be_started_raises(argv: list[str]) -> None:
    with pytest.raises(OSError, match=r"No such file|Permission denied"):
        run(argv, environment=ENVIRONMENT, cwd=None, timeout=1)


def test_capture_keeps_both_ends_whatever_the_pieces() -> None:
    whole = bytes(range(65, 91)) * 10
    for size in (1, 3, 7, 50, 260):
        capture = Capture(limit=20)
        for start in range(0, len(whole), size):
            capture.add(whole[start : start + size])
        assert capture.text() == "ABCDEFGHIJ\n... 240 bytes left out ...\nQRSTUVWXYZ"
    short = Capture(limit=20)
    short.add(b"exactly twenty bytes")
    assert short.text() == "exactly twenty bytes"
