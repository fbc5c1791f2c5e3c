"""How lines and columns look that have the same name in several panels: bands, thresholds, times, links."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

SERVICE_LINK = (
    "/d/presagio-service/presagio-service?${datasource:queryparam}&var-service_id=${__data.fields.service}"
    "&${__url_time_range}"
)
SIGNAL_LINK = (
    "/d/presagio-service/presagio-service?${datasource:queryparam}&${service_id:queryparam}"
    "&var-signal=${__value.text}&${__url_time_range}"
)


def of_legend(legend: str) -> list[DynamicConfigValue]:
    """Return what is special about a line, by its legend."""
    return LEGENDS.get(legend, [])


def of_column(heading: str) -> list[DynamicConfigValue]:
    """Return what is special about a column, by its heading."""
    return COLUMNS.get(heading, [])


def _set(**properties: object) -> list[DynamicConfigValue]:
    """Return properties; `custom_x` is `custom.x`."""
    return [
        DynamicConfigValue(id_val=name.replace("custom_", "custom."), value=value)
        for name, value in properties.items()
    ]


def _color(color: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": color}


def _dashed(color: str) -> list[DynamicConfigValue]:
    return _set(
        color=_color(color), custom_lineStyle={"fill": "dash", "dash": [8, 6]}, custom_fillOpacity=0,
        custom_stacking={"mode": "none", "group": "A"},
    )  # fmt: skip


def _gauge(unit: str) -> list[DynamicConfigValue]:
    return _set(
        unit=unit, decimals=2 if unit == "none" else 0, min=0, max=1, color={"mode": "continuous-GrYlRd"},
        custom_cellOptions={"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
    )  # fmt: skip


def _link(url: str, title: str) -> list[DynamicConfigValue]:
    return _set(links=[{"title": title, "url": url}])


LOWER = _set(color=_color("green"), custom_lineWidth=0, custom_fillOpacity=0)
UPPER = _set(color=_color("green"), custom_lineWidth=0, custom_fillOpacity=20, custom_fillBelowTo="lower bound")
EARLY = _set(color=_color("purple"), custom_lineWidth=0, custom_fillOpacity=0)
LATE = _set(color=_color("purple"), custom_lineWidth=0, custom_fillOpacity=20, custom_fillBelowTo="forecast, low")

LEGENDS = {
    "upper bound": UPPER,
    "lower bound": LOWER,
    "expected": _dashed("green"),
    "forecast, high": LATE,
    "forecast, low": EARLY,
    "forecast": _dashed("purple"),
    "threshold": _dashed("red"),
    "limit": _dashed("red"),
    "soft limit": _dashed("orange"),
    "as promised": _dashed("green"),
    "no better than a guess": _dashed("red"),
    "all policies": _dashed("purple"),
    "has changed": _dashed("red"),
}
TIMES = ("time left", "perhaps in", "lead", "age", "longest")
COLUMNS = {
    **{name: _set(unit="s", decimals=1) for name in TIMES},
    **{name: _gauge("none") for name in ("score", "together")},
    "probability": _gauge("percentunit"),
    **{
        name: _set(unit="percentunit", decimals=0)
        for name in ("confidence", "caught", "helped", "base rate", "share")
    },
    **{name: _set(unit="none", decimals=2) for name in ("Brier skill", "average precision", "drift")},
    "service": _link(SERVICE_LINK, "show ${__value.text}"),
    "this signal": _link(SIGNAL_LINK, "show ${__value.text} below"),
}
