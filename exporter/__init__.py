"""The exporter publishes scores and never acts."""
