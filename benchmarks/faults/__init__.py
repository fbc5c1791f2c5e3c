"""Real processes that fail, and that do not, recorded by a real Prometheus."""
