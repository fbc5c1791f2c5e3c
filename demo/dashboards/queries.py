"""What the dashboards ask for again and again: selectors, thresholds, and the way from a service to its series."""

FILTER = 'job=~"$job", namespace=~"$namespace", service_id=~"$service_id"'
"""Of metrics that carry the labels of the series that is scored."""

ONE = 'job=~"$job", namespace=~"$namespace", service_id="$service_id"'
SERVER = 'job=~"$job", namespace=~"$namespace"'
"""Of metrics of the servers themselves: job and namespace are those of the scrape."""

SCORES = f"presagio_anomaly_score{{{FILTER}}}"

# A rule of presagio.rules.yml if it is loaded; without it the threshold that the alerts have.
SCORE_THRESHOLD = "(max(presagio:anomaly_score:threshold) or vector(0.6))"
PROBABILITY_THRESHOLD = "(max(presagio:failure_probability:threshold) or vector(0.5))"


def chosen(metric: str) -> str:
    """Return a metric of whole services, which has no namespace of its own, for those that the variables choose."""
    return f'({metric}{{service_id=~"$service_id"}} and on (service_id) {SCORES})'


def firing(services: str) -> str:
    """Return the alerts of Presagio that fire for the services that a matcher of labels chooses."""
    return f'ALERTS{{alertname=~"Presagio.+", alertstate="firing", {services}}}'


def at_least(series: str, threshold: str) -> str:
    """Return those series that are at a threshold or above."""
    return f"{series} >= on () group_left () {threshold}"


def or_zero(query: str) -> str:
    """Return 0 where the query finds nothing: nothing is a number too."""
    return f"{query} or vector(0)"


def sum_increase(by: str, counter: str, window: str = "$__range") -> str:
    """Return by how much counters rose, by labels."""
    return f"sum by ({by}) (increase({counter}[{window}]))"


def sum_rate(by: str, counter: str) -> str:
    """Return the pace of counters, by labels, as a graph asks for it."""
    return f"sum by ({by}) (rate({counter}[$__rate_interval]))"
