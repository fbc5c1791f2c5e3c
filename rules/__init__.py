"""Prometheus rules and an Alertmanager example, shipped in the wheel."""
