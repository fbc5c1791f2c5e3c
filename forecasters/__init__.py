"""Forecasters and failure predictors: `base.py` is the contract."""
