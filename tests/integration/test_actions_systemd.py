"""systemd.restart on a real systemd."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import wait_until
from systemd_manager import Manager, manager

from presagio.actions import base
from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError
from presagio.actions.systemd import Restart, RestartParams

CART = Target("cart", {"unit": "cart.service"})
ACTION = Restart()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with manager(tmp_path_factory.mktemp("systemd") / "manager") as found:
        yield found


@pytest.fixture
def systemd(started: Manager, monkeypatch: pytest.MonkeyPatch) -> Manager:
    for name, value in started.environment.items():
        monkeypatch.setenv(name, value)
    return started


def planned(unit: str, **params: Any) -> Plan:
    plan = ACTION.plan(CART, RestartParams.model_validate({"unit": unit, "user": True, **params}))
    return base.restored(json.loads(json.dumps(asdict(plan))))


def wait_failed(systemd: Manager, name: str) -> None:
    state = ("show", "--property=ActiveState", "--value", f"{name}.service")
    wait_until(lambda: systemd.control(*state) == "failed", "the failure")


def test_it_is_restarted_once(systemd: Manager) -> None:
    systemd.service("cart", "/bin/sleep infinity")
    before = systemd.invocation("cart")
    plan = planned("${unit}", units=["cart.service"])
    assert (plan.summary, plan.prior_state["invocation"]) == ("restart cart.service", before)
    assert ACTION.probe(plan, "1") is Probe.NOT_APPLIED
    evidence = ACTION.apply(plan, "1")
    assert evidence.facts["ActiveState"] == "active"
    assert evidence.facts["InvocationID"] == systemd.invocation("cart") != before
    assert ACTION.probe(plan, "1") is Probe.APPLIED
    with pytest.raises(NotAppliedError, match="was restarted since it was planned"):
        ACTION.apply(plan, "2")


def test_one_that_has_failed_is_started(systemd: Manager, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    systemd.service("once", f"/bin/sh -c 'test -e {flag} && exec sleep infinity; exit 1'", Restart="no")
    wait_failed(systemd, "once")
    plan = planned("once.service")
    flag.touch()
    ACTION.apply(plan, "1")
    assert ACTION.probe(plan, "1") is Probe.APPLIED


def test_one_that_does_not_start_again_is_for_a_person(systemd: Manager, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    systemd.service("sick", f"/bin/sh -c 'test -e {flag} || exit 1; exec sleep infinity'", Type="exec")
    plan = planned("sick.service")
    flag.unlink()
    (systemd.units / "sick.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/false\n")
    systemd.control("daemon-reload")
    with pytest.raises(UnknownOutcomeError, match=r"may have been restarted or not: Job for sick.service failed"):
        ACTION.apply(plan, "1")
    assert ACTION.probe(plan, "1") is Probe.UNKNOWN


def test_one_that_takes_too_long_is_unknown(systemd: Manager) -> None:
    systemd.service("slow", "/bin/sleep infinity")
    plan = planned("slow.service", timeout=0.5)
    (systemd.units / "slow.service").write_text(
        "[Service]\nExecStartPre=/bin/sleep 3\nExecStart=/bin/sleep infinity\n"
    )
    systemd.control("daemon-reload")
    with pytest.raises(UnknownOutcomeError, match=r"no answer within 0\.5s"):
        ACTION.apply(plan, "1")


def test_one_that_was_stopped_stays_stopped(systemd: Manager) -> None:
    systemd.service("rest", "/bin/sleep infinity")
    plan = planned("rest.service")
    systemd.control("stop", "rest.service")
    with pytest.raises(PlanError, match="is inactive: somebody has stopped it"):
        planned("rest.service")
    with pytest.raises(NotAppliedError, match="somebody has stopped it"):
        ACTION.apply(plan, "1")


def test_one_that_is_not_there(systemd: Manager) -> None:
    with pytest.raises(PlanError, match=r"'absent.service' is not-found"):
        planned("absent.service")
    with pytest.raises(PlanError, match="is not one that `units` lists"):
        planned("${unit}", units=["shop.service"])


def test_no_systemd_to_ask(systemd: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    systemd.service("cart", "/bin/sleep infinity")
    plan = planned("cart.service")
    for name in systemd.environment:
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(NotAppliedError, match=r"systemd cannot be asked about 'cart.service': .*"):
        ACTION.apply(plan, "1")
    assert ACTION.probe(plan, "1") is Probe.UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAppliedError, match="systemctl could not be started"):
        ACTION.apply(plan, "1")


@pytest.mark.parametrize(
    "unit", ["shop", "shop.timer", "-H.service", "a b.service", "systemd-journald.service", "prometheus.service",
             "presagio-exporter.service", "alertmanager@1.service", "../x.service", "${unit}"],
)  # fmt: skip
def test_units_that_are_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match=r"a unit such as shop.service|`units` that lists"):
        RestartParams(unit=unit)
