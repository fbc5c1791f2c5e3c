"""The kinds of panels that the dashboards have, each with what all of its kind share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statushistory, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards import looks

Panel: TypeAlias = bargauge.Panel | stat.Panel | statushistory.Panel | table.Panel | timeseries.Panel
Steps: TypeAlias = Sequence[tuple[float | None, str]]

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
PLAIN: Steps = [(None, "blue")]
ALARM: Steps = [(None, "green"), (1, "red")]
"""Green at 0, red from 1 on: for the number of things that should not be."""
UNUSUAL = FieldColorModeId.CONTINUOUS_GR_YL_RD
"""From green to red between 0 and 1, so that no threshold is written down twice."""


def number(
    title: str, says: str, query: str, unit: str = "short", *,
    steps: Steps = PLAIN, none: str = "none", words: Mapping[str, tuple[str, str]] | None = None, spark: bool = False,
) -> stat.Panel:  # fmt: skip
    """Return a number of now; `words`: value -> (text, colour) in place of it; spark: with its course behind it."""
    target = _query(query, "A", "__auto")
    panel = (
        stat.Panel()
        .with_target(target if spark else target.instant())
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if spark else BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_steps(steps))
        .no_value(none)
        .mappings(_words(words or {}))
    )
    _about(panel, title, says, unit)
    return panel.span(4).height(4)


def unusual(title: str, says: str, query: str, unit: str = "percentunit") -> stat.Panel:
    """Return a number between 0 and 1 that is red near 1, with its course behind it."""
    panel = number(title, says, query, unit, spark=True).min(0).max(1)
    return panel.color_scheme(FieldColor().mode(UNUSUAL))


def graph(
    title: str, says: str, queries: Mapping[str, str], unit: str = "short", *,
    stacked: bool = False, bars: bool = False, low: float | None = 0, high: float | None = None,
) -> timeseries.Panel:  # fmt: skip
    """Return lines, or bars, over time; `queries`: legend -> query. The look of a legend is that of looks.py."""
    panel = (
        timeseries.Panel()
        .targets([_query(query, ref, legend) for ref, (legend, query) in _lettered(queries)])
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
        .fill_opacity(80 if bars else 25 if stacked else 0)
        .line_width(0 if bars else 1)
        .show_points(VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL if stacked else StackingMode.NONE))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .thresholds(_steps(PLAIN))
    )
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    for legend in queries:
        if properties := looks.of_legend(legend):
            panel.override_by_name(legend, properties)
    _about(panel, title, says, unit)
    return panel.span(12).height(8)


def rows(
    title: str, says: str, columns: Mapping[str, str], unit: str = "short", *,
    hidden: Sequence[str] = (), sort: str | None = None, descending: bool = True,
    names: Mapping[str, str] | None = None,
) -> table.Panel:  # fmt: skip
    """Return a table; `columns`: heading -> query. Rows are told apart by the labels that the queries leave.

    hidden: labels that are not shown; names: headings of labels. The look of a column is that of looks.py.
    """
    heads = {f"Value #{ref}" if len(columns) > 1 else "Value": head for ref, (head, _) in _lettered(columns)}
    panel = (
        table.Panel()
        .targets([
            _query(query, ref, "__auto").instant().format(PromQueryFormat.TABLE)
            for ref, (_, query) in _lettered(columns)
        ])
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(["Time", *hidden], True),
                    "renameByName": {**heads, **(names or {})},
                },
            )
        )
        .thresholds(_steps(PLAIN))
    )  # fmt: skip
    for name in [*columns, *(names or {}).values()]:
        if properties := looks.of_column(name):
            panel.override_by_name(name, properties)
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    _about(panel, title, says, unit)
    return panel.span(12).height(9)


def heat(title: str, says: str, legend: str, query: str, unit: str = "percentunit") -> statushistory.Panel:
    """Return a map of what is between 0 and 1: a row for each series, its colour the value."""
    panel = (
        statushistory.Panel()
        .with_target(_query(query, "A", legend))
        .show_value(VisibilityMode.NEVER)
        .row_height(0.9)
        .col_width(1)
        .fill_opacity(90)
        .line_width(0)
        .max_data_points(100)
        .min(0)
        .max(1)
        .color_scheme(FieldColor().mode(UNUSUAL))
        .legend(common.VizLegendOptions().show_legend(False))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
    )
    _about(panel, title, says, unit)
    return panel.span(24).height(10)


def bars(title: str, says: str, legend: str, query: str, unit: str = "short") -> bargauge.Panel:
    """Return a bar for each series of now."""
    panel = (
        bargauge.Panel()
        .with_target(_query(query, "A", legend).instant())
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .thresholds(_steps(PLAIN))
        .min(0)
    )
    _about(panel, title, says, unit)
    return panel.span(8).height(8)


def _about(panel: Panel, title: str, says: str, unit: str) -> None:
    panel.title(title).description(says).unit(unit).datasource(SOURCE)


def _query(query: str, ref: str, legend: str) -> prometheus.Dataquery:
    found = prometheus.Dataquery().datasource(SOURCE).expr(query).ref_id(ref).legend_format(legend)
    return found.range()


def _lettered(queries: Mapping[str, str]) -> list[tuple[str, tuple[str, str]]]:
    return list(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", queries.items(), strict=False))


def _steps(steps: Steps) -> ThresholdsConfig:
    found = [Threshold(value=value, color=color) for value, color in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _words(words: Mapping[str, tuple[str, str]]) -> list[ValueMapping]:
    if not words:
        return []
    return [ValueMap({value: ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()})]
