"""`presagio healthcheck`: 0 for a server that answers well, else 1 and the reason."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points

import pytest
from servers import free_port

from presagio.toolkit.cli import main
from presagio.toolkit.healthcheck import SERVERS


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/-/healthy" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}/-/healthy"


def test_a_server_that_answers_is_healthy(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", f"{server}/-/healthy"]) == 0
    assert capsys.readouterr() == ("", "")


def test_one_good_answer_of_several_is_enough(server: str) -> None:
    assert main(["healthcheck", nobody(), f"{server}/-/healthy"]) == 0


def test_a_bad_answer_and_none_are_told_with_their_address(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    absent = nobody()
    assert main(["healthcheck", f"{server}/other", absent]) == 1
    told = capsys.readouterr().err
    assert told == f"not healthy: {server}/other: answers 503; {absent}: [Errno 111] Connection refused\n"


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "nonsense", "http://127.0.0.1:99999/"])
def test_what_is_no_address_is_not_healthy_and_no_traceback(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", url]) == 1
    assert capsys.readouterr().err.startswith(f"not healthy: {url}: ")


def test_a_proxy_of_the_environment_is_not_asked(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", nobody())
    assert main(["healthcheck", f"{server}/-/healthy"]) == 0


def test_without_an_address_both_servers_of_ours_are_asked() -> None:
    assert "healthcheck" in entry_points(group="presagio.commands").names
    assert [url.partition("localhost")[2] for url in SERVERS] == [":8000/-/healthy", ":3001/-/healthy"]
