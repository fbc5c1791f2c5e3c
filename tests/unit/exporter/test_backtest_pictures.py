"""Pictures of alarms: which are kept, what is drawn, and a page that needs nothing else."""

import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest

from presagio.exporter.backtest import drawing, scales
from presagio.exporter.backtest.alarms import Alarm, Alarms
from presagio.exporter.backtest.drawing import BOTTOM, LEFT, MIDDLE, RIGHT, SCORE_TOP, TOP, Drawing, draw
from presagio.exporter.backtest.incidents import Incident
from presagio.exporter.backtest.measures import measure
from presagio.exporter.backtest.pictures import Report, page
from presagio.exporter.backtest.times import Span
from presagio.exporter.backtest.traces import Album, Point, Trace
from presagio.exporter.engine import Scores
from presagio.exporter.signals import Key

STEP = 60.0
NAN = math.nan


def key(number: int) -> Key:
    return Key(f"shop/{number}", "load", (("pod", f"{number}"),))


def film(columns: Sequence[Sequence[float]], most: int = 50, gap: float = 2 * STEP) -> tuple[Alarms, Album]:
    """Show the scores of some series, one column for each moment."""
    alarms = Alarms(0.6, gap)
    album = Album(alarms, STEP, most)
    keys = [key(number) for number in range(len(columns[0]))]
    for step, column in enumerate(columns):
        score = np.array(column)
        found = Scores(
            step * STEP, keys, 10 + score, score, *(np.full(len(keys), float(one)) for one in (10, 9, 11, 1))
        )
        alarms.add(found)
        album.add("load", found)
    return alarms, album


class TestAlbum:
    def test_an_alarm_is_shown_with_an_hour_before_and_half_an_hour_after(self) -> None:
        _, album = film([[0.7 if step == 100 else 0.0] for step in range(200)])
        (trace,) = album.worst()
        times = [point.time / STEP for point in trace.points]
        assert (times[0], times[-1]) == (41, 130)
        assert [point.score for point in trace.points if point.time == trace.alarm.begin] == [0.7]
        assert trace.points[0] == Point(41 * STEP, 10.0, 10.0, 9.0, 11.0, 0.0)

    def test_an_alarm_at_the_end_is_shown_with_what_there_is(self) -> None:
        _, album = film([[0.7 if step == 99 else 0.0] for step in range(100)])
        assert album.worst()[0].points[-1].time == 99 * STEP

    def test_an_alarm_that_follows_soon_has_a_picture_of_its_own(self) -> None:
        _, album = film([[0.7 if step in (50, 60) else 0.0] for step in range(200)])
        ends = [(trace.alarm.begin / STEP, trace.points[-1].time / STEP) for trace in album.worst()]
        assert ends == [(50, 80), (60, 90)]

    def test_the_worst_are_kept_whenever_they_came(self) -> None:
        peaks = [0.6 + 0.001 * (step * 37 % 100) for step in range(300)]
        _, album = film([[peaks[step] if step % 3 == 0 else 0.0] for step in range(300)], most=5, gap=STEP)
        assert [trace.alarm.score for trace in album.worst()] == sorted(peaks[::3], reverse=True)[:5]

    def test_when_everything_fails_only_the_worst_are_followed(self) -> None:
        worst = [0.6 + 0.001 * row for row in range(200)]
        alarms, album = film([worst] * 3, most=2)
        assert len(alarms.found) == 200
        assert [trace.alarm.key for trace in album.worst()] == [key(199), key(198)]
        assert sum(1 for _ in album._all_open()) <= 40

    def test_a_long_alarm_is_thinned_out_and_keeps_its_peak(self) -> None:
        _, album = film([[0.99 if step == 3001 else 0.7] for step in range(6000)])
        (trace,) = album.worst()
        assert len(trace.points) <= 1200
        assert max(point.score for point in trace.points) == 0.99
        times = [point.time for point in trace.points]
        assert times == sorted(times)
        assert times[-1] >= 5990 * STEP
        assert max(np.diff(times)) <= 2 * min(np.diff(times[:-1]))

    def test_series_may_move_to_other_rows(self) -> None:
        alarms = Alarms(0.6, 2 * STEP)
        album = Album(alarms, STEP, 1)
        for step, keys in enumerate([[key(0), key(1)], [key(1)], [key(2), key(1)]]):
            score = np.array([0.9 if one == key(1) else 0.0 for one in keys])
            column = np.array([float(one.service_id[-1]) for one in keys])
            found = Scores(step * STEP, keys, column, score, *[column] * 4)
            alarms.add(found)
            album.add("load", found)
        assert [point.value for point in album.worst()[0].points] == [1.0, 1.0, 1.0]


class TestScales:
    @pytest.mark.parametrize(
        ("low", "high", "unit", "texts"),
        [
            (0, 1, "ratio", ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.0101, 0.0119, "", ["0.0105", "0.0110", "0.0115"]),
            (-7, 22, "requests", ["-5", "0", "5", "10", "15", "20"]),
            (1.0 * 2**30, 1.4 * 2**30, "bytes", ["1.0 GiB", "1.1 GiB", "1.2 GiB", "1.3 GiB", "1.4 GiB"]),
            (0, 500, "bytes", ["0 B", "100 B", "200 B", "300 B", "400 B", "500 B"]),
            (0, 0.5, "seconds", ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
            (0, 300, "seconds", ["0", "1m", "2m", "3m", "4m", "5m"]),
            (0, 4e9, "", ["0", "1e+09", "2e+09", "3e+09", "4e+09"]),
        ],
    )
    def test_ticks_are_round_in_their_unit(self, low: float, high: float, unit: str, texts: list[str]) -> None:
        assert [tick.text for tick in scales.values(low, high, unit)] == texts

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 7.3, 1e6, 1e15])
    @pytest.mark.parametrize("unit", ["", "bytes", "seconds"])
    def test_there_are_some_ticks_at_any_scale_and_not_too_many(self, scale: float, unit: str) -> None:
        ticks = scales.values(0.3 * scale, 1.7 * scale, unit)
        assert 2 <= len(ticks) <= 7
        assert all(0.3 * scale <= tick.at * (1 + 1e-9) and tick.at <= 1.7 * scale * (1 + 1e-9) for tick in ticks)
        assert len({tick.text for tick in ticks}) == len(ticks)

    def test_times_are_round_and_the_date_stands_where_it_changes(self) -> None:
        begin = 1_700_000_000.0 + 5000  # 23:36:40
        assert [tick.text for tick in scales.times(begin, begin + 3600)] == [
            "Nov 14, 23:40", "23:50", "Nov 15, 00:00", "00:10", "00:20", "00:30",
        ]  # fmt: skip
        assert [tick.text for tick in scales.times(begin, begin + 100)][:2] == ["Nov 14, 23:36:45", "23:37:00"]
        assert scales.times(begin, begin + 5 * 86400)[0].text == "Nov 15"


def numbers(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def drawn(values: Sequence[float], gap_after: int | None = None, **bounds: float) -> Drawing:
    low, high = bounds.get("lower", 9.0), bounds.get("upper", 11.0)
    points = [
        Point(STEP * (step + (10 if gap_after is not None and step > gap_after else 0)), value, 10.0, low, high, 0.5)
        for step, value in enumerate(values)
    ]
    alarm = Alarm(key(1), STEP, 2 * STEP, 0.9)
    incidents = [Incident("shop/1", "", -100, 2 * STEP, "fire"), Incident("shop/1", "", 9e9, 9e9 + 1, "later")]
    return draw(Trace(alarm, points), incidents, "ratio", 0.6, STEP)


class TestDrawing:
    def test_values_and_scores_lie_where_the_axes_say(self) -> None:
        it = drawn([10, 12, 8, 10])
        places = {tick.text: tick.at for tick in it.values}
        (x0, y0), (_, y1), *_, (x3, _) = numbers(it.value)
        assert (x0, x3) == (LEFT, RIGHT)
        assert y0 == pytest.approx(places["10"], abs=0.1)
        assert y1 == pytest.approx(places["12"], abs=0.1)
        assert {round(y, 1) for _, y in numbers(it.score)} == {(BOTTOM + SCORE_TOP) / 2}
        assert it.threshold == pytest.approx(BOTTOM - 0.6 * (BOTTOM - SCORE_TOP))
        assert all(TOP <= y <= MIDDLE for _, y in numbers(it.value))

    def test_where_there_is_no_value_there_is_no_line(self) -> None:
        assert drawn([10, 10, NAN, 10]).value.count("M") == 2
        assert drawn([10, 10, 10, 10, 10], gap_after=2).value.count("M") == 2
        assert drawn([NAN, NAN]).value == ""

    def test_a_value_alone_is_a_dot(self) -> None:
        assert drawn([NAN, 10, NAN]).value.endswith("h.1")

    def test_a_band_that_is_far_wider_than_the_values_does_not_make_them_flat(self) -> None:
        heights = [y for _, y in numbers(drawn([10, 12, 8, 10], lower=-1000, upper=1000).value)]
        assert max(heights) - min(heights) > (MIDDLE - TOP) / 2

    def test_an_open_side_of_the_band_reaches_the_edge(self) -> None:
        it = drawn([10, 12, 8, 10], upper=NAN)
        assert min(y for _, y in numbers(it.band)) == TOP
        assert drawn([10, 10], lower=NAN, upper=NAN).band == ""

    def test_incidents_of_the_time_are_shaded_no_further_than_the_picture(self) -> None:
        (box,) = drawn([10, 10, 10, 10, 10]).incidents
        assert (box.x, box.width) == (LEFT, round((RIGHT - LEFT) / 2, 1))
        assert box.text.startswith("fire")

    def test_what_never_varies_can_be_drawn(self) -> None:
        for value in (0.0, -5.0, 1e300):
            it = draw(Trace(Alarm(key(1), 0, 0, 1.0), [Point(0, value, value, value, value, 1.0)]), [], "", 0.6, STEP)
            assert all(math.isfinite(number) for place in numbers(it.value) for number in place)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def told(count: int, incidents: Sequence[Incident] | None = None, most: int = 50, service: str = "shop/1") -> str:
    alarms = Alarms(0.6, 2 * STEP)
    alarms.found = [
        Alarm(Key(service, "load", ()), step * STEP, step * STEP, 0.9 - step / 100, 12.0, 10.0, 9.0, 11.0)
        for step in range(count)
    ]
    points = [Point(step * STEP, 10.0, 10.0, 9.0, 11.0, 0.1) for step in range(10)]
    report = Report(
        Span(0, 9 * STEP, STEP, 0), 0.6, [measure(alarms, incidents, 1.0)], incidents, {"load": "bytes"}, count
    )
    return page([Trace(one, points) for one in alarms.found[:most]], report)


class TestPage:
    def test_each_alarm_has_a_line_and_a_drawing(self) -> None:
        elements = Elements(told(3))
        links = [one["href"] for one in elements.named("a")]
        assert links == [f"#{one['id']}" for one in elements.named("section")] == ["#alarm-1", "#alarm-2", "#alarm-3"]
        assert len([one for one in elements.named("svg") if one.get("role") == "img"]) == 3

    def test_it_needs_nothing_else(self) -> None:
        elements = Elements(told(2))
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in elements.found}
        sources = [value or "" for _, attributes in elements.found for name, value in attributes.items()
                   if name in ("src", "href", "xlink:href")]  # fmt: skip
        assert all(one.startswith("#") for one in sources)
        assert "http" not in told(2)
        assert "@import" not in told(2)

    def test_a_service_may_have_any_name(self) -> None:
        text = told(1, service='<script>alert("x")</script>')
        assert Elements(text).named("script") == []
        assert "&lt;script&gt;" in text

    def test_what_has_no_picture_is_counted(self) -> None:
        assert "3 more alarms have no picture" in told(5, most=2)
        assert "no picture" not in told(2)

    def test_without_incidents_it_says_so(self) -> None:
        assert "every alarm counts as false" in told(1)
        assert "recall" not in told(1)
        assert told(0).count("<section") == 0

    def test_incidents_are_shaded_named_and_missed(self) -> None:
        text = told(1, [Incident("shop/1", "", -10, 30, "fire"), Incident("shop/2", "", 1, 2, "flood")])
        shaded = [one for one in Elements(text).named("rect") if one.get("class") == "incident"]
        assert len(shaded) == 2  # one in the legend
        assert '<span class="chip">fire</span>' in text
        assert "missed from 0.6 on: flood" in text
        assert "recall" in text

    def test_no_place_is_lost(self) -> None:
        assert "nan" not in re.sub(r"<style>.*?</style>", "", told(3), flags=re.DOTALL).lower()
        assert drawing.WIDTH > RIGHT
