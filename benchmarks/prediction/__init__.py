"""How well failures are predicted, and signals forecast, in public data; docs/benchmarks.md says how to run it."""
