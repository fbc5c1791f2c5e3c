"""Signals for the exporters that people already run, by name."""
