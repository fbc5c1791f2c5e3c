"""How well anomalies are found in public, labelled data; docs/benchmarks.md says how to run it."""
