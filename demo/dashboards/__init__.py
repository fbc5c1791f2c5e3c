"""Grafana's dashboards as code: `make dashboards` writes grafana/dashboards, `make dashboard-pictures` draws them.

The panels are built with grafana-foundation-sdk: its types refuse an option that Grafana does not know.
"""
