"""The part of the metrics page that is about what will be: to the letter, and what is left out of it."""

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from presagio.exporter.outlook import Outlook
from presagio.exporter.publish_forecasts import FAMILIES, text
from presagio.exporter.signals import Key
from presagio.forecasters.threshold import Reach

NAN, INF = np.nan, np.inf

GOLDEN = """\
# HELP presagio_forecast_value Value expected of the signal at now + horizon, in its unit.
# TYPE presagio_forecast_value gauge
presagio_forecast_value{service_id="a",signal="disk",mountpoint="/ö",horizon="1h"} 0.30000000000000004
presagio_forecast_value{service_id="quo\\"te\\\\",signal="disk",horizon="1h"} 1e+22
presagio_forecast_value{service_id="a",signal="disk",mountpoint="/ö",horizon="1d"} 0.5
# HELP presagio_forecast_lower_bound Lower bound of the value at now + horizon, the quantile forecasts.lower.
# TYPE presagio_forecast_lower_bound gauge
presagio_forecast_lower_bound{service_id="a",signal="disk",mountpoint="/ö",horizon="1h"} -0.0
presagio_forecast_lower_bound{service_id="a",signal="disk",mountpoint="/ö",horizon="1d"} 0.25
# HELP presagio_forecast_upper_bound Upper bound of the value at now + horizon, the quantile forecasts.upper.
# TYPE presagio_forecast_upper_bound gauge
presagio_forecast_upper_bound{service_id="a",signal="disk",mountpoint="/ö",horizon="1h"} 1.0
presagio_forecast_upper_bound{service_id="quo\\"te\\\\",signal="disk",horizon="1h"} 2.0
presagio_forecast_upper_bound{service_id="a",signal="disk",mountpoint="/ö",horizon="1d"} 0.75
# HELP presagio_time_to_threshold_seconds Time until the signal is at the threshold, as likely as not; +Inf: not \
within the longest horizon.
# TYPE presagio_time_to_threshold_seconds gauge
presagio_time_to_threshold_seconds{service_id="a",signal="disk",mountpoint="/ö",threshold="full"} +Inf
# HELP presagio_time_to_threshold_lower_bound_seconds Time until the signal is at the threshold one time in ten.
# TYPE presagio_time_to_threshold_lower_bound_seconds gauge
presagio_time_to_threshold_lower_bound_seconds{service_id="a",signal="disk",mountpoint="/ö",threshold="full"} 5400.0
"""


def disk() -> Outlook:
    keys = [Key("a", "disk", (("mountpoint", "/ö"),)), Key('quo"te\\', "disk", ())]
    mean, lower, upper = ([[0.1 + 0.2, 0.5], [1e22, NAN]], [[-0.0, 0.25], [NAN, NAN]], [[1.0, 0.75], [2.0, NAN]])
    reach = {"full": Reach(np.array([INF, NAN]), np.array([5400.0, NAN]))}
    return Outlook(
        1500.0, keys, np.array([0.1, 0.2]), (3600.0, 86400.0), np.array(mean), np.array(lower), np.array(upper), reach
    )


def of(signal: str, value: float) -> Outlook:
    one = np.full((1, 1), value)
    return Outlook(1500.0, [Key("a", signal, ())], np.zeros(1), (3600.0,), one, one, one, {})


def test_the_page_to_the_letter() -> None:
    assert text([disk()]) == GOLDEN


def test_a_client_reads_back_the_numbers_and_labels_to_the_bit() -> None:
    families = {family.name: family.samples for family in text_string_to_metric_families(text([disk()]))}
    assert set(families) == set(FAMILIES)
    first, second, _ = families["presagio_forecast_value"]
    assert first.value == 0.1 + 0.2
    assert first.labels == {"service_id": "a", "signal": "disk", "mountpoint": "/ö", "horizon": "1h"}
    assert second.labels["service_id"] == 'quo"te\\'
    assert families["presagio_time_to_threshold_seconds"][0].value == INF


def test_nothing_is_no_page_and_no_series_neither() -> None:
    nothing = np.zeros((0, 1))
    assert text([]) == ""
    assert text([Outlook(0.0, [], np.zeros(0), (60.0,), nothing, nothing, nothing, {})]) == ""


def test_all_signals_of_a_family_stand_together_as_prometheus_asks() -> None:
    page = text([of("disk", 1.0), of("load", 2.0)])
    assert page.count("# TYPE") == 3
    assert [line.split('signal="')[1][:4] for line in page.splitlines()[2:4]] == ["disk", "load"]


def test_of_two_series_with_the_same_labels_the_first_is_shown() -> None:
    page = text([of("disk", 1.0), of("disk", 2.0)])
    assert 'presagio_forecast_value{service_id="a",signal="disk",horizon="1h"} 1.0\n' in page
    assert " 2.0" not in page
