import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
import requests
from tiny_server import Tiny, until

BAD = "greting: hello\n"
REPORT = (
    "tiny.yml:1: greeting: expected a value for 'greeting', got nothing\n"
    "tiny.yml:1: greting: expected 'greeting', got unknown key 'greting'\n"
)


def test_starts_serves_and_stops_at_sigterm(tiny: Tiny) -> None:
    tiny.up("greeting: hello\nstops_in: 0.5\n")
    assert tiny.greeting() == "hello"
    assert tiny.get("/-/healthy").text == "Tiny is healthy.\n"
    assert tiny.get("/-/ready").text == "Tiny is ready.\n"
    tiny.signal(signal.SIGTERM)
    assert tiny.ended() == 0
    assert tiny.entries() == "started hello\nstopping hello\nstopped hello\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_ctrl_c_lets_stop_finish(tiny: Tiny, number: int) -> None:
    tiny.up("greeting: hello\nstops_in: 1\n")
    # A terminal sends the signal to the whole group, and people press twice.
    os.kill(tiny.worker(), number)
    tiny.signal(number)
    os.kill(tiny.worker(), number)
    assert tiny.ended() == 0
    assert tiny.entries() == "started hello\nstopping hello\nstopped hello\n"


def test_a_kept_connection_does_not_delay_the_end(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    with requests.Session() as session:
        session.get(f"{tiny.url}/greeting", timeout=5)
        begun = time.monotonic()
        tiny.signal(signal.SIGTERM)
        assert tiny.ended() == 0
        assert time.monotonic() - begun < 6


def test_a_bad_file_at_start_is_told_whole_and_ends_with_1(tiny: Tiny) -> None:
    tiny.start(BAD)
    assert tiny.ended() == 1
    assert tiny.text() == f"presagio: {REPORT}"


def test_a_file_that_cannot_be_built_ends_with_1(tiny: Tiny) -> None:
    tiny.start("greeting: hello\nbreaks: true\n")
    assert tiny.ended() == 1
    assert 'level=error logger=presagio.server msg="cannot start: greeting cannot be said; choose' in tiny.text()
    assert "Traceback" not in tiny.text()


def test_a_good_file_replaces_the_worker_at_sighup(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    first = tiny.metric("presagio_config_last_reload_success_timestamp_seconds")
    assert first == pytest.approx(time.time(), abs=30)
    tiny.config.write_text("greeting: bye\n")
    tiny.signal(signal.SIGHUP)
    until(lambda: "stopped hello" in tiny.entries() and "started bye" in tiny.entries())
    assert tiny.greeting() == "bye"
    assert tiny.metric("presagio_config_last_reload_successful") == 1
    assert tiny.metric("presagio_config_last_reload_success_timestamp_seconds") > first


def test_a_bad_file_at_sighup_leaves_the_worker_as_it_is(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    first = tiny.metric("presagio_config_last_reload_success_timestamp_seconds")
    tiny.config.write_text(BAD)
    tiny.signal(signal.SIGHUP)
    until(lambda: "the last good one stays" in tiny.text())
    assert tiny.greeting() == "hello"
    assert tiny.metric("presagio_config_last_reload_successful") == 0
    assert tiny.metric("presagio_config_last_reload_success_timestamp_seconds") == first
    assert tiny.entries() == "started hello\n"
    tiny.config.write_text("greeting: bye\n")
    tiny.signal(signal.SIGHUP)
    until(lambda: "started bye" in tiny.entries())
    assert tiny.metric("presagio_config_last_reload_successful") == 1


def test_a_file_that_cannot_be_built_is_answered_by_the_last_good_one(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    tiny.config.write_text("greeting: hi\nbreaks: true\n")
    tiny.signal(signal.SIGHUP)
    until(lambda: tiny.entries().count("started hello") == 2 and "stopped hello" in tiny.entries())
    assert tiny.greeting() == "hello"
    assert tiny.metric("presagio_config_last_reload_successful") == 0
    # The next reload, too, still knows the last good one.
    tiny.signal(signal.SIGHUP)
    until(lambda: tiny.entries().count("started hello") == 3 and tiny.entries().count("stopped hello") == 2)
    assert tiny.greeting() == "hello"


def test_reload_over_http(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    refused = tiny.get("/-/reload")
    assert refused.status_code == 405
    assert "POST" in refused.headers["Allow"]
    assert refused.json() == {"error": "GET is not allowed on /-/reload; use POST"}

    tiny.config.write_text(BAD)
    bad = requests.post(f"{tiny.url}/-/reload", timeout=5)
    assert (bad.status_code, bad.text) == (500, REPORT)
    assert tiny.metric("presagio_config_last_reload_successful") == 0
    assert tiny.entries() == "started hello\n"

    tiny.config.write_text("greeting: bye\n")
    good = requests.post(f"{tiny.url}/-/reload", timeout=5)
    assert (good.status_code, good.text) == (200, "the configuration is valid and will be used from now on.\n")
    until(lambda: "started bye" in tiny.entries())
    assert tiny.greeting() == "bye"
    assert tiny.metric("presagio_config_last_reload_successful") == 1


def test_requests_are_answered_throughout_reloads(tiny: Tiny) -> None:
    tiny.up("greeting: 0\n".replace("0", "n0"))
    for round_ in range(1, 4):
        tiny.config.write_text(f"greeting: n{round_}\n")
        tiny.signal(signal.SIGHUP)
        until(lambda: tiny.greeting() == f"n{round_}")  # noqa: B023 # called at once


def test_a_killed_worker_is_replaced(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    first = tiny.metric("presagio_config_last_reload_success_timestamp_seconds")
    os.kill(tiny.worker(), signal.SIGKILL)
    until(lambda: tiny.entries().count("started") == 2)
    assert tiny.greeting() == "hello"
    assert tiny.metric("presagio_config_last_reload_success_timestamp_seconds") == first


def test_kill_9_leaves_no_orphan_and_a_restart_gets_the_port(tiny: Tiny, tmp_path: Path) -> None:
    tiny.up("greeting: hello\n")
    orphan = tiny.worker()
    tiny.signal(signal.SIGKILL)
    tiny.ended()
    tiny.start("greeting: again\n", tiny.url.removeprefix("http://"))
    until(lambda: "started again" in tiny.entries())
    until(lambda: not Path(f"/proc/{orphan}").exists())
    assert "stopped hello" in tiny.entries()
    assert tiny.greeting() == "again"


def test_a_port_that_is_taken_is_told_clearly(tiny: Tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        tiny.start("greeting: hello\n", address)
        assert tiny.ended() == 1
    remedy = "another process listens there: stop it, or choose another with --web.listen-address"
    assert tiny.text() == f"presagio: address '{address}' is in use; {remedy}\n"


def test_signals_that_would_change_the_number_of_workers_are_ignored(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2):
        tiny.signal(number)
    until(lambda: tiny.text().count("signal ignored: there is always one worker") == 3)
    assert tiny.entries() == "started hello\n"


def test_logs_have_one_form_and_requests_only_at_debug(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n", "--log.format", "json", "--log.level", "debug")
    tiny.greeting()
    until(lambda: '"logger": "gunicorn.request"' in tiny.text())
    lines = tiny.text().splitlines()
    assert all(line.startswith('{"ts": ') for line in lines)
    [request] = [line for line in lines if "gunicorn.request" in line]
    assert '"msg": "request", "method": "GET", "path": "/greeting", "code": "200", "seconds": ' in request


def test_no_access_log_by_default(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    tiny.greeting()
    tiny.signal(signal.SIGTERM)
    tiny.ended()
    assert "/greeting" not in tiny.text()
    assert all(line.startswith("ts=") for line in tiny.text().splitlines())


def test_what_each_worker_publishes_of_itself(tiny: Tiny) -> None:
    tiny.up("greeting: hello\n")
    page = tiny.get("/metrics").text
    assert re.search(r'^presagio_build_info{python="3\.\S+",version="\S+"} 1.0$', page, re.MULTILINE)
    assert "process_resident_memory_bytes" in page
    assert "python_info" in page
    assert "_created" not in page
