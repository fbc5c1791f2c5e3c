"""Detectors: one file each; `base.py` is the contract, `profile.py` the default."""
