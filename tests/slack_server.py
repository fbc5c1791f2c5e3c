"""Slack's end of an incoming webhook, as strict as its documentation: what is not right is refused with 400.

It takes a JSON object with `text`, `blocks` or `attachments`. What Alertmanager sends are attachments:
docs.slack.dev, "Legacy: secondary message attachments", "Formatting message text".
"""

import html
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MESSAGE = {"channel", "username", "icon_emoji", "icon_url", "link_names", "text", "blocks", "attachments", "mrkdwn"}
ATTACHMENT = {
    "title", "title_link", "pretext", "text", "fallback", "callback_id", "image_url", "thumb_url", "footer",
    "footer_icon", "ts", "fields", "actions", "color", "mrkdwn_in", "author_name", "author_link", "author_icon",
    "blocks",
}  # fmt: skip
MAX_ATTACHMENTS = 20
MAX_TEXT = 40_000
MAX_TITLE = 1024
MAX_FIELDS = 10
MAX_ACTIONS = 5
MAX_URL = 3000
URL = re.compile(r"https?://[^\s<>|]+")
LINK = re.compile(r"<([^<>|]+)\|([^<>|]+)>")
ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


def problems(message: Any) -> Iterator[str]:
    """Yield what Slack would not take, or would show otherwise than it was meant."""
    if not isinstance(message, dict):
        yield f"expected an object, got {type(message).__name__}"
        return
    yield from unknown(message, MESSAGE, "message")
    attachments = message.get("attachments", [])
    if not (message.get("text") or message.get("blocks") or attachments):
        yield "no_text: neither text, blocks nor attachments"
    if len(attachments) > MAX_ATTACHMENTS:
        yield f"{len(attachments)} attachments, more than {MAX_ATTACHMENTS}"
    if not re.fullmatch(r"[#@].+", message.get("channel", "#")):
        yield f"channel {message['channel']!r} is no #channel"
    for attachment in attachments:
        yield from of_attachment(attachment)


def unknown(document: Mapping[str, Any], known: set[str], what: str) -> Iterator[str]:
    if extra := document.keys() - known:
        yield f"{what} has unknown fields {sorted(extra)}"


def of_attachment(one: Mapping[str, Any]) -> Iterator[str]:
    yield from unknown(one, ATTACHMENT, "attachment")
    if not (one.get("text") or one.get("fallback") or one.get("fields")):
        yield "attachment without text, fallback and fields is not shown"
    if not re.fullmatch(r"good|warning|danger|#[0-9a-fA-F]{6}", one.get("color", "good")):
        yield f"color {one['color']!r} is neither good, warning, danger nor #rrggbb"
    if len(one.get("title", "")) > MAX_TITLE:
        yield f"title of {len(one['title'])} characters"
    if one.get("title_link"):
        yield from of_url(one["title_link"])
    if len(one.get("fields") or []) > MAX_FIELDS or len(one.get("actions") or []) > MAX_ACTIONS:
        yield "too many fields or actions"
    for name in ("text", "pretext"):
        yield from of_markup(one.get(name, ""))
    yield from (f"fallback has markup: {one['fallback']!r}" for _ in LINK.findall(one.get("fallback", "")))


def of_markup(text: str) -> Iterator[str]:
    """Check text in mrkdwn: &, < and > stand for themselves only when they are escaped."""
    if len(text) > MAX_TEXT:
        yield f"text of {len(text)} characters is cut off"
    if found := ENTITY.search(text):
        yield f"& is not escaped: {text[found.start() : found.start() + 20]!r}"
    for url, _ in LINK.findall(text):
        yield from of_url(html.unescape(url))
    rest = LINK.sub("", text)
    if "<" in rest or ">" in rest:
        yield f"< or > is neither escaped nor part of a link: {rest!r}"


def of_url(url: str) -> Iterator[str]:
    if not URL.fullmatch(url) or len(url) > MAX_URL:
        yield f"{url!r} is no address that a browser opens"


class SlackServer:
    """Where it listens, and what it took and refused."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/services/T000/B000/XXXX"
        self.taken: list[dict[str, Any]] = []
        self.refused: list[list[str]] = []

    def judge(self, body: bytes) -> tuple[int, bytes]:
        try:
            message = json.loads(body)
        except ValueError:
            self.refused.append([f"no JSON: {body[:100]!r}"])
            return 400, b"invalid_payload"
        if found := list(problems(message)):
            self.refused.append(found)
            return 400, b"invalid_attachments"
        self.taken.append(message)
        return 200, b"ok"

    def texts(self) -> list[str]:
        """Return title and text of all attachments that were taken."""
        attachments = [one for message in self.taken for one in message["attachments"]]
        return [f"{one['title']}\n{one['text']}" for one in attachments]


@contextmanager
def slack() -> Iterator[SlackServer]:
    """Serve until left."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    recorder = server.recorder = SlackServer(server.server_port)  # type: ignore[attr-defined] # the handler finds it there
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        recorder: SlackServer = self.server.recorder  # type: ignore[attr-defined] # see slack()
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            recorder.refused.append([f"content type {self.headers.get('Content-Type')!r}"])
        status, answer = recorder.judge(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
