"""A town for notifications: a real Prometheus with our rules, a real Alertmanager with our example, the real webhook.

At one end is a service that nears a failure, at the other a mail server and Slack's side of an incoming webhook.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from http_server import HttpServer, serving
from mail_server import PASSWORD, USER, MailServer, mail_server
from servers import Alertmanager, Prometheus, free_port, scrape, wait_until
from slack_server import SlackServer, slack
from webhook_town import KEY, Webhook

ROOT = Path(__file__).parents[1]
RULES = ROOT / "rules"
GUIDE = ROOT / "docs" / "notifications.md"
GRAFANA = "https://grafana.example.org"
PRESAGIO = "https://presagio.example.org"

WEBHOOK = """
prometheus: {{url: "{prometheus}"}}
alertmanager: {{url: "{alertmanager}"}}
api: {{api_key: "{key} alice read,operate,approve"}}
external_url: {presagio}
timers: {{sample_interval: 1s, retry: 1s}}
policies:
  - name: restart-before-it-fails
    match: {{alertname: PresagioFailurePredicted, failure: out_of_memory}}
    when: ['presagio_failure_probability{{service_id="${{service_id}}", failure="out_of_memory"}} > 0.5']
    mode: approval
    actions: [{{command: {{argv: [/usr/bin/env, echo, "${{service_id}}"]}}}}]
    verify: {{query: 'memory_ratio{{namespace="shop"}} < 0.7'}}
"""

SERVICE = 'service_id="shop/cart",signal="memory_ratio",namespace="shop",deployment="cart"'
FAILURE = 'service_id="shop/cart",failure="out_of_memory"'
ODD = 'service_id="a<b>&c",signal="latency"'
SERIES = {
    f"presagio_anomaly_score{{{SERVICE}}}": 0.72,
    f"presagio_signal_value{{{SERVICE}}}": 0.91,
    f"presagio_signal_expected{{{SERVICE}}}": 0.55,
    f"presagio_signal_lower_bound{{{SERVICE}}}": 0.48,
    f"presagio_signal_upper_bound{{{SERVICE}}}": 0.62,
    f"presagio_signal_confidence{{{SERVICE}}}": 0.9,
    f'presagio_time_to_threshold_seconds{{{SERVICE},threshold="limit"}}': 7500,
    f'presagio_failure_probability{{{FAILURE},horizon="1h"}}': 0.31,
    f'presagio_failure_probability{{{FAILURE},horizon="6h"}}': 0.82,
    f'presagio_failure_probability_confidence{{{FAILURE},horizon="6h"}}': 0.75,
    'presagio_service_anomaly_score{service_id="shop/cart"}': 0.64,
    'presagio_service_anomaly_confidence{service_id="shop/cart"}': 0.9,
    'memory_ratio{namespace="shop",deployment="cart"}': 0.91,
    # text that HTML and Slack would take for their own signs
    f"presagio_anomaly_score{{{ODD}}}": 0.9,
    f"presagio_signal_value{{{ODD}}}": 2.5,
    f"presagio_signal_expected{{{ODD}}}": 0.2,
    f"presagio_signal_confidence{{{ODD}}}": 0.9,
}


@dataclass
class Sick:
    """The page that Prometheus scrapes: what the exporter says of a service that nears a failure, and the service."""

    server: HttpServer
    series: dict[str, float] = field(default_factory=lambda: dict(SERIES))

    def tell(self, changes: Mapping[str, float] | None = None) -> None:
        """Say something else from now on."""
        self.series |= changes or {}
        now = time.time()
        fresh = {f'presagio_last_{what}_timestamp_seconds{{signal="{signal}"}}': now
                 for what in ("evaluation", "forecast") for signal in ("memory_ratio", "latency")}  # fmt: skip
        fresh['presagio_last_prediction_timestamp_seconds{failure="out_of_memory"}'] = now
        page = "".join(f"{name} {value!r}\n" for name, value in {**self.series, **fresh}.items())
        self.server.told.body = page.encode()
        self.server.told.headers = {"Content-Type": "text/plain; version=0.0.4"}

    def memory(self, ratio: float) -> None:
        self.tell({'memory_ratio{namespace="shop",deployment="cart"}': ratio})


class Approving(Webhook):
    """A webhook that asks before it acts on a prediction."""

    def configure(self, **changes: Any) -> None:
        self.settings |= changes
        self.config.write_text(WEBHOOK.format(**self.settings, key=KEY, presagio=PRESAGIO))


@dataclass
class NotificationTown:
    """All of it, running."""

    sick: Sick
    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: Webhook
    mail: MailServer
    slack: SlackServer

    def state_of(self, alertname: str) -> str | None:
        """Return what Alertmanager does with an alert of the sick service: active, suppressed; None without one."""
        wanted = {"alertname": alertname, "service_id": "shop/cart"}
        found = [one for one in self.alertmanager.alerts() if wanted.items() <= one["labels"].items()]
        return str(found[0]["status"]["state"]) if found else None

    def more_mails(self, count: int, *words: str) -> None:
        """Wait for so many more mails whose subject has these words."""
        goal = len(self.mail.about(*words)) + count
        wait_until(lambda: len(self.mail.about(*words)) >= goal, f"mails about {words}", 30)


def impatient(file: Path, folder: Path) -> Path:
    """Return a copy of a file of rules whose alerts fire at once; expressions and annotations stay."""
    copy = folder / file.name
    copy.write_text(re.sub(r"^( *for:) .*$", r"\1 1s", file.read_text(), flags=re.MULTILINE))
    return copy


def rule_of_the_guide() -> str:
    """Return the rule on the failure itself, as docs/notifications.md shows it."""
    found = re.search(r"^```yaml\n(# rules of yours\n.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, "docs/notifications.md has no block that begins with '# rules of yours'"
    return found.group(1)


def rules(folder: Path) -> list[Path]:
    folder.mkdir()
    own = folder / "own.yml"
    own.write_text(rule_of_the_guide())
    return [impatient(file, folder) for file in (*sorted(RULES.glob("presagio.*.yml")), own)]


def example(folder: Path, webhook_port: int, mail: MailServer, posts: SlackServer) -> dict[str, Any]:
    """Return alertmanager.example.yml with our addresses and secrets in it, and without patience."""
    text = (RULES / "alertmanager.example.yml").read_text()
    text = re.sub(r"(group_wait|group_interval|repeat_interval): \S+", r"\1: 1s", text)
    text = text.replace("/etc/alertmanager/", f"{folder}/").replace(
        "presagio-webhook:3001", f"127.0.0.1:{webhook_port}"
    )
    config: dict[str, Any] = yaml.safe_load(text)
    secrets = {"smtp.password": PASSWORD, "slack.url": posts.url, "presagio.key": KEY}
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
    config["global"] |= {"smtp_smarthost": mail.address, "smtp_auth_username": USER}
    for receiver in config["receivers"]:
        for one in receiver.get("email_configs", []):
            one["tls_config"] = {"ca_file": str(mail.authority)}
    site = folder / "site.tmpl"
    site.write_text('{{ define "presagio.grafana" }}' + GRAFANA + "{{ end }}")
    config["templates"] = [str(RULES / "presagio.tmpl"), str(site)]
    return config


def notification_town(stack: ExitStack, folder: Path, binaries: tuple[Path, Path]) -> NotificationTown:
    """Start everything; the service is not normal, and a failure is likely, from the first scrape on."""
    sick = Sick(stack.enter_context(serving()))
    sick.tell()
    mail, posts = stack.enter_context(mail_server(folder)), stack.enter_context(slack())
    port = free_port()
    alertmanager = stack.enter_context(
        Alertmanager(binaries[1], folder / "alertmanager", example(folder, port, mail, posts))
    )
    jobs = [scrape("presagio", sick.server.url.removeprefix("http://"), honor_labels=True)]
    prometheus = Prometheus(binaries[0], folder / "prometheus", jobs, rules(folder / "rules"), alertmanager.url)
    webhook = Approving(folder, port, prometheus=prometheus.url, alertmanager=alertmanager.url)
    stack.enter_context(webhook)
    stack.enter_context(prometheus)
    return NotificationTown(sick, prometheus, alertmanager, webhook, mail, posts)


def settled(text: str) -> str:
    """Return text without what differs each time: moments, and Alertmanager's own address."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-28 03:12:45 UTC", text)
    text = re.sub(r"from=\d+", "from=1795828365000", text)
    return re.sub(r"silences: \S+", "silences: https://alertmanager.example.org", text)
