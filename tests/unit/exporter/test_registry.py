import signal
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from presagio.exporter.api_config import ApiConfig
from presagio.exporter.registry import Registry, Service, UnknownServiceError
from presagio.exporter.submitted import Submitted
from presagio.toolkit.clock import ManualClock
from presagio.toolkit.durable import write_snapshot
from presagio.toolkit.errors import LimitError
from presagio.toolkit.log import get_log

SHOP = Service(service_id="shop/checkout", service_name="Checkout", service_type="web", description="payments")
BLOG = Service(service_id="blog")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


def build(folder: Path, clock: ManualClock, **limits: object) -> Registry:
    return Registry(folder, ApiConfig.model_validate(limits), clock, get_log("test"))


@pytest.fixture
def registry(tmp_path: Path, clock: ManualClock) -> Registry:
    return build(tmp_path / "store", clock)


def page(registry: Registry) -> list[str]:
    text = registry.page(registry.clock.time()).decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_registering_again_updates(registry: Registry) -> None:
    assert registry.register(SHOP) is True
    assert registry.register(SHOP) is False
    changed = SHOP.model_copy(update={"description": "all payments"})
    assert registry.register(changed) is False
    assert registry.services() == [changed]


def test_services_are_listed_by_id(registry: Registry) -> None:
    registry.register(SHOP)
    registry.register(BLOG)
    assert [service.service_id for service in registry.services()] == ["blog", "shop/checkout"]


def test_the_page_to_the_letter(registry: Registry) -> None:
    assert registry.page(1000) == b""
    registry.register(SHOP)
    registry.register(Service(service_id='a"b\\c'))
    registry.submit("shop/checkout", {"cpu": 1.5, "queue": 7})
    registry.submit('a"b\\c', {"cpu": 1e22})
    assert registry.page(1000).decode() == (
        "# HELP presagio_submitted_value Last value of a metric submitted through the REST API.\n"
        "# TYPE presagio_submitted_value gauge\n"
        'presagio_submitted_value{service_id="shop/checkout",metric="cpu"} 1.5\n'
        'presagio_submitted_value{service_id="shop/checkout",metric="queue"} 7.0\n'
        'presagio_submitted_value{service_id="a\\"b\\\\c",metric="cpu"} 1e+22\n'
    )


def test_a_metric_keeps_its_newest_value_until_it_expires(registry: Registry, clock: ManualClock) -> None:
    registry.register(BLOG)
    registry.submit("blog", {"old": 1.0, "kept": 1.0})
    clock.advance(299)
    registry.submit("blog", {"kept": 2.0})
    clock.advance(1)
    assert page(registry) == [
        'presagio_submitted_value{service_id="blog",metric="old"} 1.0',
        'presagio_submitted_value{service_id="blog",metric="kept"} 2.0',
    ]
    clock.advance(0.1)
    assert page(registry) == ['presagio_submitted_value{service_id="blog",metric="kept"} 2.0']
    assert list(registry.get("blog")[1]) == ["kept"]
    clock.advance(300)
    assert registry.page(clock.time()) == b""
    assert registry.get("blog") == (BLOG, {})


def test_an_unknown_service_is_told_with_the_remedy(registry: Registry) -> None:
    for call in (registry.get, registry.delete, lambda name: registry.submit(name, {"cpu": 1.0})):
        with pytest.raises(UnknownServiceError) as caught:
            call("blog")
        assert str(caught.value) == "service 'blog' is not registered; POST /register-service first"


def test_deleting_forgets_the_values_too(registry: Registry) -> None:
    registry.register(BLOG)
    registry.submit("blog", {"cpu": 1.0})
    registry.delete("blog")
    assert registry.services() == []
    registry.register(BLOG)
    assert page(registry) == []


def test_too_many_services(tmp_path: Path, clock: ManualClock) -> None:
    registry = build(tmp_path, clock, max_services=1)
    registry.register(SHOP)
    with pytest.raises(LimitError) as caught:
        registry.register(BLOG)
    assert str(caught.value) == (
        "1 services are registered, which is the limit; delete one, or raise api.max_services"
    )
    assert registry.register(SHOP) is False
    registry.delete(SHOP.service_id)
    assert registry.register(BLOG) is True


def test_too_many_metrics(tmp_path: Path, clock: ManualClock) -> None:
    registry = build(tmp_path, clock, max_metrics_per_service=2)
    registry.register(BLOG)
    registry.submit("blog", {"a": 1.0, "b": 1.0})
    with pytest.raises(LimitError) as caught:
        registry.submit("blog", {"b": 2.0, "c": 2.0})
    assert str(caught.value) == (
        "service 'blog' would have 3 metrics and the limit is 2; submit fewer, or raise api.max_metrics_per_service"
    )
    assert [line[-3:] for line in page(registry)] == ["1.0", "1.0"]
    clock.advance(301)
    registry.submit("blog", {"b": 2.0, "c": 2.0})


def test_registrations_and_values_survive_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    first = build(tmp_path, clock)
    first.register(SHOP)
    first.submit(SHOP.service_id, {"cpu": 1.5})
    first.save()
    clock.advance(200)
    second = build(tmp_path, clock)
    assert second.services() == [SHOP]
    assert page(second) == ['presagio_submitted_value{service_id="shop/checkout",metric="cpu"} 1.5']
    clock.advance(101)
    assert page(build(tmp_path, clock)) == []


def test_a_registration_survives_kill_9_right_after_it(tmp_path: Path, clock: ManualClock) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from presagio.exporter.api_config import ApiConfig\n"
        "from presagio.exporter.registry import Registry, Service\n"
        "from presagio.toolkit.clock import SystemClock\n"
        "from presagio.toolkit.log import get_log\n"
        "registry = Registry(pathlib.Path(sys.argv[1]), ApiConfig(), SystemClock(), get_log('test'))\n"
        "registry.register(Service(service_id='blog'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert build(tmp_path, clock).services() == [BLOG]


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path, clock: ManualClock) -> None:
    old, new = build(tmp_path, clock), build(tmp_path, clock)
    old.register(SHOP)
    assert new.services() == [SHOP]
    # The old worker answers its last requests while the new one is already at work.
    new.register(BLOG)
    old.submit("blog", {"cpu": 1.0, "queue": 1.0})
    clock.advance(1)
    new.submit("blog", {"cpu": 2.0})
    old.register(Service(service_id="third"))
    old.save()
    assert [service.service_id for service in new.services()] == ["blog", "shop/checkout", "third"]
    values = {name: one.value for name, one in new.get("blog")[1].items()}
    assert values == {"cpu": 2.0, "queue": 1.0}
    new.delete("blog")
    with pytest.raises(UnknownServiceError):
        old.submit("blog", {"cpu": 3.0})
    old.save()
    assert page(new) == []


def test_many_threads(tmp_path: Path, clock: ManualClock) -> None:
    registries = [build(tmp_path, clock), build(tmp_path, clock)]

    def work(index: int) -> None:
        mine = registries[index % 2]
        mine.register(Service(service_id=f"s{index}"))
        for value in range(20):
            mine.submit(f"s{index}", {"cpu": float(value)})
            mine.page(clock.time())

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine in registries:
        assert len(mine.services()) == 8
        assert all(line.endswith(" 19.0") for line in page(mine))
    assert len(page(registries[0])) + len(page(registries[1])) == 8


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] + b"xxx")


def older(path: Path) -> None:
    write_snapshot(path, "services", 0, b"[]")


def not_ours(path: Path) -> None:
    path.write_text("hello")


def other_shape(path: Path) -> None:
    write_snapshot(path, "services", 1, b'[{"service_id": "a//b"}]')


@pytest.mark.parametrize("spoil", [damage, older, not_ours, other_shape])
def test_a_file_that_cannot_be_used_is_set_aside(
    tmp_path: Path, clock: ManualClock, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path, clock).register(SHOP)
    spoil(tmp_path / "services.snapshot")  # type: ignore[operator]
    registry = build(tmp_path, clock)
    assert registry.services() == []
    assert (tmp_path / "services.snapshot.broken-1000").exists()
    assert "services cannot be read, the file is set aside" in caplog.text
    registry.register(BLOG)
    assert build(tmp_path, clock).services() == [BLOG]


@pytest.mark.parametrize("payload", [b"[[1, 2]]", b"[1]", b"{", b'[["blog", "cpu", "x", 1]]'])
def test_values_that_cannot_be_used_are_set_aside(tmp_path: Path, clock: ManualClock, payload: bytes) -> None:
    registry = build(tmp_path, clock)
    registry.register(BLOG)
    write_snapshot(tmp_path / "submitted.snapshot", "submitted", 1, payload)
    assert page(registry) == []
    assert (tmp_path / "submitted.snapshot.broken-1000").exists()


def test_what_cannot_be_written_is_not_acknowledged(tmp_path: Path, clock: ManualClock) -> None:
    registry = build(tmp_path, clock)
    registry.register(SHOP)
    part = tmp_path / ".services.snapshot.part"
    part.mkdir()
    with pytest.raises(OSError, match="directory"):
        registry.register(BLOG)
    part.rmdir()
    assert registry.services() == [SHOP]
    assert registry.register(BLOG) is True


@pytest.mark.parametrize("good", ["a", "shop/checkout", "a b", "ünïcode", "x" * 200, "a.b", "...", "a?b#c%2F"])
def test_good_ids(good: str) -> None:
    assert Service(service_id=good).service_id == good


@pytest.mark.parametrize(
    "bad",
    ["", " a", "a ", "/a", "a/", "a//b", ".", "a/../b", "a\nb", "a\x00", "\ud800", "a\u2028b", "\u200bx", "x" * 201],
)
def test_bad_ids(bad: str) -> None:
    with pytest.raises(ValidationError):
        Service(service_id=bad)


def test_a_description_may_have_lines_but_no_control_characters() -> None:
    assert Service(service_id="a", description="one\ntwo").description == "one\ntwo"
    for field in ("service_name", "service_type", "description"):
        with pytest.raises(ValidationError, match="text without control characters"):
            Service.model_validate({"service_id": "a", field: "bell\x07"})


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1).filter(str.isprintable), st.dictionaries(names, finite, min_size=1)))
def test_prometheus_reads_the_page_as_it_was_meant(values: dict[str, dict[str, float]]) -> None:
    submitted = Submitted(300, 100)
    for service_id, metrics in values.items():
        submitted.put(service_id, metrics, 1.0)
    read: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(submitted.page(1.0).decode()):
        for sample in family.samples:
            read.setdefault(sample.labels["service_id"], {})[sample.labels["metric"]] = sample.value
    assert read == values


@settings(deadline=None)
@given(st.dictionaries(names, finite, min_size=1))
def test_what_is_dumped_is_merged(metrics: dict[str, float]) -> None:
    first, second = Submitted(300, 100), Submitted(300, 100)
    first.put("a", metrics, 1.0)
    first.put("b", metrics, 1.0)
    second.merge(orjson.loads(first.dump()), {"a"})
    assert second.of("a", 1.0) == first.of("a", 1.0)
    assert second.of("b", 1.0) == {}
