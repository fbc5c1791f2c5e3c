"""Grafana dashboards (`dashboards/*.json`), shipped in the wheel."""
