"""A Prometheus with all that the dashboards ask for: a fleet, the real exporter, the real webhook, the rules.

Only the fleet's own history is written by promtool. All metrics of Presagio are scraped from the servers, while
services fall ill, a model is trained, and remediations help, fail, wait and are blocked. Only the rules' `for:` is
cut to seconds. The models that are waited for are those of `presagio train`: the exporter's own training is niced,
and on a busy machine it hardly gets on.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from servers import Alertmanager, Process, Prometheus, ServerError, backfill, free_port, openmetrics, scrape
from stack import alertmanager_of, presagio

from dashboards.fleet import NAMES, Fleet

RULES = Path(__file__).parents[2] / "rules"
KEY = "a-key-of-the-recording"

EXPORTER = """\
prometheus: {{url: {prometheus}}}
evaluation: {{interval: {every}, delay: 1s}}
warm_start: {{lookback: 3h}}
services: {{id: "{{service_id}}"}}
signals:
  - {{name: memory, query: memory_ratio, unit: ratio, range: {{min: 0, max: 1}}, dead_band: {{absolute: 0.05}}}}
  - {{name: latency, query: request_seconds, unit: seconds, dead_band: {{relative: 0.3}}, forecast: true}}
  - {{name: queue, query: queue_length, unit: requests, dead_band: {{relative: 0.3}}}}
forecasts: {{every: 5s, step: 30s, lookback: 6h, horizons: {horizons}, cpu: 1}}
failures:
  - {{name: out_of_memory, query: memory > 0.98, horizons: [1h, 3h], predictor: gradient_boosting}}
training: {{lookback: {days}d, step: 10m, windows: [1h, 6h]}}
predictions: {{every: 2s}}
api: {{api_key_file: {key}}}
"""

POLICY = """\
  - name: {name}
    match: {{{{alertname: Slow, policy: {name}}}}}
    mode: {mode}
    actions: [{{{{command: {{{{argv: {argv}, timeout: 20s}}}}}}}}]
    verify:
      query: 'fleet_slow{{{{service_id="${{{{service_id}}}}"}}}} == 0'
      samples: 3
      interval: 1s
      deadline: 5s
    guards: {{{{cooldown: {cooldown}, max_per_hour: {budget}}}}}
"""
WEBHOOK = """\
prometheus: {{url: {prometheus}}}
alertmanager: {{url: {alertmanager}}}
api: {{api_key: "a-key-of-the-recording alice read,operate,approve"}}
timers: {{sample_interval: 1s, retry: 1s, hold: 1s}}
policies:
"""


@dataclass(frozen=True)
class Recording:
    """What was recorded: Prometheus' data, and from when to when (Unix seconds)."""

    data: Path
    begin: float
    end: float


def record(
    binaries: tuple[Path, Path, Path], folder: Path, seconds: float, shortest: str = "30s", days: int = 4
) -> Recording:
    """Run all for `seconds` at least; binaries: Prometheus, promtool, Alertmanager; shortest: horizon."""
    with contextlib.ExitStack() as stack:
        town = _Town(stack, binaries, folder, shortest, days)
        town.live(seconds)
        end = time.time()
        begin = town.begin
        data = town.prometheus.data_dir
    return Recording(data, begin, end)


class _Town:
    def __init__(
        self, stack: contextlib.ExitStack, binaries: tuple[Path, Path, Path], folder: Path, shortest: str, days: int
    ) -> None:
        self.begin = time.time()
        (folder / "api.key").write_text(KEY)
        (folder / "api.key").chmod(0o600)
        self.fleet = stack.enter_context(Fleet(self.begin, days))
        ports = free_port(), free_port()
        self.exporter_url, self.webhook_url = (f"http://127.0.0.1:{port}" for port in ports)
        self.alertmanager: Alertmanager = stack.enter_context(alertmanager_of(folder, ports[1], binaries[2]))
        jobs = [
            scrape("fleet", self.fleet.address, honor_labels=True),
            {
                "job_name": "presagio", "honor_labels": True,
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}" for port in ports], "labels": {"namespace": "monitoring"}}
                ],
            },
        ]  # fmt: skip
        self.prometheus = Prometheus(binaries[0], folder / "prometheus", jobs, _hasty(folder), self.alertmanager.url)
        backfill(binaries[1], openmetrics(self.fleet.history()), self.prometheus.data_dir)
        stack.enter_context(self.prometheus)
        values = {
            "prometheus": self.prometheus.url, "alertmanager": self.alertmanager.url, "key": folder / "api.key",
            "every": "5s", "horizons": f"[{shortest}, 1h, 3h]", "days": days,
        }  # fmt: skip
        webhook = (WEBHOOK + self._policies()).format(**values)
        servers = (
            presagio("exporter", EXPORTER.format(**values), ports[0], folder),
            presagio("webhook", webhook, ports[1], folder),
        )
        self.ours = [stack.enter_context(_training(folder))]
        # else the first forecast may be held against a moment before the first scrape: nothing has moved, which tells
        # nothing of its error, and the next one that is compared comes minutes later
        self._await("fleet_slow")
        self.ours += [stack.enter_context(one) for one in servers]

    def _policies(self) -> str:
        heal = json.dumps([sys.executable, "-c", _HEAL, f"http://{self.fleet.address}/heal/", "${service_id}"])
        idle = json.dumps([sys.executable, "-c", "print('did nothing')"])
        kinds = (
            ("restart", "auto", heal, "1h", 6), ("clear-cache", "auto", idle, "1h", 6),
            ("scale-out", "approval", heal, "1h", 6), ("drain", "dry-run", heal, "0s", 6),
            ("reload", "auto", heal, "0s", 1),
        )  # fmt: skip
        return "".join(
            POLICY.format(name=name, mode=mode, argv=_braced(argv), cooldown=cooldown, budget=budget)
            for name, mode, argv, cooldown, budget in kinds
        )

    def live(self, seconds: float) -> None:
        """Let things happen until all that is waited for is there, and the time is over."""
        begin = time.monotonic()
        self._await("count(presagio_signal_confidence > 0.5) > 20")
        self.begin = time.time() - 2
        self._pause(seconds / 5)
        self.fleet.deploy("checkout", time.time())
        self._pause(seconds / 6)
        self._fall_ill()
        for query in _AWAITED:
            self._await(query)
        for ill in _LATER:
            if begin + seconds - time.monotonic() > _APART:
                self._pause(_APART)
                self._alert(ill)
        self._pause(max(_SEEN, begin + seconds - time.monotonic()))

    def _fall_ill(self) -> None:
        ill = {
            "search": "restart",
            "login": "clear-cache",
            "catalog": "scale-out",
            "stock": "drain",
            "mail": "reload",
        }
        self._alert(ill)
        self._await('presagio_remediations_finished_total{outcome="verified",policy="restart"} > 0')
        again = {"search": "restart", "basket": "reload"}
        self._alert(again)
        self._knock()

    def _knock(self) -> None:
        """Ask without a key, in vain: that is counted too."""
        for _ in range(3):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{self.webhook_url}/api/v1/remediations").close()  # noqa: S310 # loopback
            time.sleep(1.5)

    def _alert(self, ill: dict[str, str]) -> None:
        """Make services slow, and send alerts as a rule of the user's would; ours come from Prometheus."""
        self.fleet.slow |= set(ill)
        for name in ill:
            self._await(f'fleet_slow{{service_id="{NAMES[name]}/{name}"}} == 1')
        self.alertmanager.send(
            [
                {"labels": {"alertname": "Slow", "policy": policy, "service_id": f"{NAMES[name]}/{name}",
                            "round": str(time.time())}}
                for name, policy in ill.items()
            ]
        )  # fmt: skip

    def _await(self, query: str) -> None:
        """Wait for a result; raise ServerError with what our processes said last if it is waited for in vain."""
        try:
            self.prometheus.wait_for(query, _PATIENCE)
        except ServerError as error:
            logs = [f"the log of {one.name} ends:\n{one.log_tail()}" for one in self.ours]
            raise ServerError("\n".join([str(error), *logs])) from error

    def _pause(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


_HEAL = "import sys,urllib.request as u; u.urlopen(sys.argv[1]+sys.argv[2].split('/')[1],b'')"
_PATIENCE = 240.0
"""Seconds: on a busy machine all of it takes several times as long."""
_SEEN = 5.0
"""Seconds until the newest thing has been scraped, and a rate seen of it."""
_APART = 50.0
_LATER = ({"payment": "restart"}, {"mail": "clear-cache"}, {"payment": "drain"})
"""What goes on in a recording that has the time: seconds between, and who falls ill by which policy."""
_AWAITED = (
    "count(presagio_model_brier_skill_score) == 2",
    'service_id_failure:presagio_failure_probability:max{service_id="shop/checkout"} > 0.5',
    'presagio_time_to_threshold_seconds{service_id="shop/checkout"} < +Inf',
    'presagio_remediations_finished_total{outcome="escalated",policy="clear-cache"} > 0',
    'presagio_remediations{state="awaiting_approval"} > 0',
    'presagio_remediations_blocked_total{reason="budget"} > 0',
    "presagio_forecast_coverage_ratio",
    "presagio_forecast_scaled_error",
    'ALERTS{alertname=~"Presagio.+",alertstate="firing"}',
)


def _training(folder: Path) -> Process:
    """Return `presagio train` for the exporter, whose configuration is written already."""
    argv: list[str | Path] = [
        Path(sys.executable).with_name("presagio"), "train", f"--config.file={folder / 'exporter.yml'}",
        f"--storage.path={folder / 'exporter'}",
    ]  # fmt: skip
    return Process(argv, folder, name="train")


def _braced(text: str) -> str:
    """Return text that str.format leaves as it is, twice."""
    return text.replace("{", "{{").replace("}", "}}")


def _hasty(folder: Path) -> list[Path]:
    """Return copies of the rules whose alerts wait for seconds only."""
    copies = []
    for path in sorted(RULES.glob("presagio.*.yml")):
        copy = folder / path.name
        copy.write_text(re.sub(r"for: \S+", "for: 2s", path.read_text()))
        copies.append(copy)
    return copies
