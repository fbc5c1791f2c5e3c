"""Predictive maintenance for anything that Prometheus watches."""
