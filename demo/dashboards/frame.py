"""What all dashboards have: variables, links to one another, annotations, and the grid that panels stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.parts import SOURCE

ALL = models.VariableOption(selected=True, text=["All"], value=["$__all"])
TAG = "presagio"
Section = tuple[str, Sequence[Builder[models.Panel]]]


def board(
    uid: str, title: str, says: str, variables: Sequence[QueryVariable], sections: Sequence[Section],
    annotations: Sequence[models.AnnotationQuery] = (), since: str = "now-6h",
) -> models.Dashboard:  # fmt: skip
    """Return a dashboard; each line of a section's panels is 24 wide."""
    builder = (
        Dashboard(title)
        .uid(uid)
        .description(says)
        .tags([TAG])
        .editable()
        .time(since, "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(_datasource())
        .link(_others())
    )
    for variable in variables:
        builder = builder.with_variable(variable)
    for name, panels in sections:
        builder = builder.with_row(Row(name))
        for panel in panels:
            builder = builder.with_panel(panel)
    return _finished(builder.build(), annotations)


def _finished(built: models.Dashboard, annotations: Sequence[models.AnnotationQuery]) -> models.Dashboard:
    """Give numbers to the panels, and the annotations."""
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
    built.annotations = models.AnnotationContainer(list_val=list(annotations))
    return built


def _datasource() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("data source").type("prometheus")


def _others() -> DashboardLink:
    return (
        DashboardLink("Presagio")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(False)
        .keep_time(True)
    )


def choice(name: str, query: str, label: str = "", *, several: bool = True) -> QueryVariable:
    """Return a variable whose values Prometheus tells; several: any number of them, all by default.

    All is `.*`, which a label that is not there matches too: many services have no namespace.
    """
    variable = (
        QueryVariable(name)
        .label(label or name)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"variable-{name}", "qryType": 1})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    )
    return variable.multi(True).include_all(True).all_value(".*").current(ALL) if several else variable


def places(metric: str) -> list[QueryVariable]:
    """Return the variables job and namespace, whose values are those of a metric."""
    return [
        choice("job", f"label_values({metric}, job)"),
        choice("namespace", f'label_values({metric}{{job=~"$job"}}, namespace)'),
    ]


def services(*, several: bool = True) -> list[QueryVariable]:
    """Return the variables job, namespace and service_id of what has a score."""
    scored = 'label_values(presagio_anomaly_score{job=~"$job", namespace=~"$namespace"}, service_id)'
    return [*places("presagio_anomaly_score"), choice("service_id", scored, "service", several=several)]


class Event(models.AnnotationQuery):
    """An annotation from Prometheus. The SDK does not know these keys of the Prometheus data source: we add them.

    dated: the values tell when it was, in milliseconds; else it was when the samples were.
    """

    def __init__(
        self, name: str, color: str, query: str, title: str, text: str, tags: str, *, dated: bool = False
    ) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=query, built_in=None)
        self.words: Mapping[str, str | bool] = {
            "titleFormat": title, "textFormat": text, "tagKeys": tags, "step": "60s", "useValueForTime": dated,
        }  # fmt: skip

    def to_json(self) -> dict[str, object]:
        """Return what Grafana reads."""
        return {**super().to_json(), **self.words}
