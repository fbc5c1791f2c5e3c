"""What happens in the demo: four services, three of which fail, and one remediation from leak to recovery."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack import HEALTHY_BYTES, Stack
from timeline import StoryError, Timeline

ENOUGH_CONFIDENCE = 0.6
END_STATES = {"verified", "holddown", "closed"}
BAD_STATES = {"escalated", "dropped", "ineffective", "inconclusive", "unknown", "cancelled"}


class Story:
    """Tells, and checks, one run of the demo."""

    def __init__(self, stack: Stack, timeline: Timeline) -> None:
        self.stack = stack
        self.prometheus = stack.prometheus
        self.timeline = timeline
        self.tell = timeline.tell

    def run(self) -> None:
        """Let it all happen. Raises StoryError if the loop does not close."""
        self.learn()
        self.break_things()
        self.see_scores()
        self.see_alert()
        remediation = self.see_remediation()
        self.see_recovery(remediation)
        self.see_ledger(remediation)
        self.see_the_others()

    def learn(self) -> None:
        """Wait until enough is known of every service."""
        wanted = f'count(presagio_signal_confidence{{job="shop"}} >= {ENOUGH_CONFIDENCE}) == 8'
        self.timeline.wait(lambda: self.prometheus.query("presagio_anomaly_score"), "the first score", 30)
        self.tell("exporter", f"scores {self._number('sum(presagio_series)'):.0f} series; learning what is normal")
        self.timeline.wait(lambda: self.prometheus.query(wanted), "confidence", 120)
        highest = self._number('max(max_over_time(presagio_anomaly_score{job="shop"}[30s]))')
        alerts = [alert for alert in self.prometheus.alerts() if alert["labels"].get("job") == "shop"]
        self.tell("exporter", f"knows the shop: highest score in 30 s {highest:.2f}, alerts {len(alerts)}", "good")
        if alerts:
            raise StoryError(f"healthy services alert: {alerts}")

    def break_things(self) -> None:
        """Begin a leak, an outage and a disappearance; catalog stays healthy."""
        before = self._number('process_resident_memory_bytes{app="checkout"}')
        self._post(f"http://127.0.0.1:{self.stack.ports['checkout']}/fault/leak")
        self.timeline.mark("the leak begins")
        self.tell("checkout", f"begins to leak 4 MB a second, from {_mib(before)} resident", "bad")
        rate = self._number('rate(shop_requests_total{app="search"}[5s])')
        self._post(f"http://127.0.0.1:{self.stack.ports['search']}/fault/outage")
        self.tell("search", f"loses its customers: {rate:.1f} requests a second until now", "bad")
        self.stack.stopped.add("mail")
        self.stack.services["mail"].kill9()
        self.tell("mail", "is killed, and does not come back", "bad")

    def see_scores(self) -> None:
        """Watch the scores rise above 0.6."""
        for service, signal in (("checkout", "memory"), ("search", "requests"), ("mail", "memory")):
            labels = f'{{service_id="{service}",signal="{signal}"}}'
            found = self.timeline.wait(
                lambda labels=labels: self.prometheus.query(f"presagio_anomaly_score{labels} > 0.6"),  # type: ignore[misc]
                f"a high score of {service}",
                90,
            )
            if service == "checkout":
                self.timeline.mark("score above 0.6")
            self.tell("exporter", f"{service}: score {float(found[0]['value'][1]):.2f}; {self._seen(labels)}", "work")

    def _seen(self, labels: str) -> str:
        value, expected, upper = (
            self.prometheus.value(f"presagio_signal_{name}{labels}") for name in ("value", "expected", "upper_bound")
        )
        signal = "memory" if "memory" in labels else "requests"
        show = _mib if signal == "memory" else _rate
        seen = f"{signal} is {show(value)}" if value is not None else f"{signal} has vanished"
        return f"{seen}, expected {show(expected or 0)}, normal to {show(upper or 0)}"

    def see_alert(self) -> None:
        """Follow the alert from its rule to Alertmanager."""
        wanted = {"alertname": "PresagioAnomaly", "service_id": "checkout", "signal": "memory"}
        pending = self.timeline.wait(lambda: self._alert(wanted), "the alert", 30)
        self.tell("Prometheus", f"PresagioAnomaly of checkout is {pending['state']}; it has to last for 1m", "work")
        firing = self.timeline.wait(lambda: self._alert({**wanted, "state": "firing"}), "the alert's firing", 90)
        self.timeline.mark("the alert fires")
        self.tell("Prometheus", f"fires: {firing['annotations']['description']}", "work")
        self.timeline.wait(lambda: self._held(wanted), "the alert's arrival in Alertmanager", 30)
        self.tell("Alertmanager", "has it, and notifies the webhook", "work")

    def see_remediation(self) -> Mapping[str, Any]:
        """Follow the remediation until it is verified; tell each of its transitions."""
        told: set[int] = set()
        return self.timeline.wait(lambda: self._follow(told), "a verified remediation", 120)

    def _follow(self, told: set[int]) -> Mapping[str, Any] | None:
        rows = self._api("/api/v1/remediations")["remediations"]
        mine = [row for row in rows if row["service_id"] == "checkout" and row["state"] != "dropped"]
        if not mine:
            return None
        story: Mapping[str, Any] = self._api(f"/api/v1/remediations/{mine[0]['id']}")
        for row in story["story"]:
            if row["seq"] not in told:
                told.add(row["seq"])
                self._tell_transition(row)
        if mine[0]["state"] in BAD_STATES:
            raise StoryError(f"the remediation ended as {mine[0]['state']}; see {self.stack.webhook_url}/")
        return story if mine[0]["state"] in END_STATES else None

    def _tell_transition(self, row: Mapping[str, Any]) -> None:
        if row["target"] in ("applied", "verified"):
            self.timeline.mark(
                {"applied": "the process is restarted", "verified": "recovery verified"}[row["target"]]
            )
        mood = "good" if row["target"] in END_STATES else "work"
        self.tell("webhook", f"{row['target']:<11} {row['text']}", mood)

    def see_recovery(self, remediation: Mapping[str, Any]) -> None:
        """Check in Prometheus, not in our own words, that the memory is back to normal."""
        memory = self._number('process_resident_memory_bytes{app="checkout"}')
        peak = self._number('max_over_time(process_resident_memory_bytes{app="checkout"}[3m])')
        if memory >= HEALTHY_BYTES:
            raise StoryError(f"memory is {_mib(memory)} although remediation {remediation['id']} is verified")
        self.tell("Prometheus", f"confirms: checkout holds {_mib(memory)}, it had been {_mib(peak)}", "good")
        gone = f'presagio_anomaly_score{{service_id="checkout",signal="memory"}} < {0.6}'
        found = self.timeline.wait(lambda: self.prometheus.query(gone), "the score's fall", 60)
        self.tell("exporter", f"checkout: score {float(found[0]['value'][1]):.2f}", "good")

    def see_ledger(self, remediation: Mapping[str, Any]) -> None:
        """Show the audit rows as the command line shows them."""
        print(self._presagio("audit", "show", str(remediation["id"])))
        self.tell("ledger", self._presagio("audit", "verify"), "good")

    def _presagio(self, *words: str) -> str:
        argv = [
            str(Path(sys.executable).with_name("presagio")), *words,
            f"--config.file={self.stack.folder / 'webhook.yml'}", f"--storage.path={self.stack.folder / 'webhook'}",
        ]  # fmt: skip
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise StoryError(f"{' '.join(words)} failed: {answer.stderr.strip()}")
        return answer.stdout.rstrip()

    def see_the_others(self) -> None:
        """Show that the other faults are alerts too, and that the healthy service never was one."""
        for service in ("search", "mail"):
            self.timeline.wait(
                lambda service=service: self._alert({"service_id": service, "state": "firing"}),  # type: ignore[misc]
                f"an alert of {service}",
                60,
            )
            self.tell("Prometheus", f"alerts on {service} too; no policy is meant for it, so nothing is done", "work")
        highest = self._number('max(max_over_time(presagio_anomaly_score{service_id="catalog"}[10m]))')
        if self._alert({"service_id": "catalog"}):
            raise StoryError("catalog is healthy and alerts")
        self.tell("exporter", f"catalog was healthy all the time: highest score {highest:.2f}, no alert", "good")

    def _number(self, query: str) -> float:
        found = self.timeline.wait(lambda: self.prometheus.query(query), query, 30)
        return float(found[0]["value"][1])

    def _alert(self, wanted: Mapping[str, str]) -> dict[str, Any] | None:
        for alert in self.prometheus.alerts():
            known = {**alert["labels"], "state": alert["state"]}
            if all(known.get(name) == value for name, value in wanted.items()):
                return alert
        return None

    def _held(self, wanted: Mapping[str, str]) -> bool:
        held = (alert["labels"] for alert in self.stack.alertmanager.alerts())
        return any(all(labels.get(name) == value for name, value in wanted.items()) for labels in held)

    def _api(self, path: str) -> Any:
        headers = {"X-API-Key": self.stack.key}
        request = urllib.request.Request(self.stack.webhook_url + path, headers=headers)  # noqa: S310 # loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # loopback
            return json.load(answer)

    def _post(self, url: str) -> None:
        with urllib.request.urlopen(url, b"", timeout=10) as answer:  # noqa: S310 # loopback
            answer.read()


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


def _rate(value: float) -> str:
    return f"{value:.1f}/s"
