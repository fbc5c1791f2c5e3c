"""Drift of inputs: whether what a model sees now is distributed as what it learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from presagio.detectors.base import Floats

_BINS = 10
_LEAST = 1e-4
"""Share that an empty bin counts as: a logarithm of nothing would be infinite."""


@dataclass(frozen=True)
class Reference:
    """How each of f features was distributed: edges[f, 9] of its tenths, shares[f, 11] in them and missing.

    weights[f] sum to 1: how much each feature moves the model. A feature that it does not heed may drift freely.
    """

    edges: Floats
    shares: Floats
    weights: Floats


def reference(features: Floats, moved: Floats) -> Reference:
    """Return the distribution of features[m, f]; moved[f]: by how much each moves the model, any unit."""
    some = np.where(np.isnan(features).all(axis=0), 0.0, features) if len(features) else np.zeros((1, len(moved)))
    edges = np.nanquantile(some, np.arange(1, _BINS) / _BINS, axis=0).T
    total = moved.sum()
    weights = moved / total if total > 0 else np.full(len(moved), 1.0 / max(len(moved), 1))
    return Reference(edges, _shares(features, edges), weights)


def stability_index(known: Reference, features: Floats) -> float:
    """Return the population stability index of features[m, f] against the reference; NaN without any.

    Mean over the features by their weight. 0.1 is a slight, 0.25 a changed population by common rule (Siddiqi 2006,
    Credit Risk Scorecards). What so few moments differ by chance, (bins - 1) / m, is taken off.
    """
    if not len(features):
        return float("nan")
    now, then = np.maximum(_shares(features, known.edges), _LEAST), np.maximum(known.shares, _LEAST)
    index = ((now - then) * np.log(now / then)).sum(axis=1) - _BINS / len(features)
    return float(np.maximum(index, 0.0) @ known.weights)


def _shares(features: Floats, edges: Floats) -> Floats:
    """Return the share of moments in each tenth, and of those missing, [f, 11]; of equal edges the first counts."""
    found = np.zeros((len(edges), _BINS + 1))
    for number, own in enumerate(edges):
        values = features[:, number]
        known = ~np.isnan(values)
        bins = np.searchsorted(own, values[known], side="right")
        found[number, :_BINS] = np.bincount(bins, minlength=_BINS)
        found[number, _BINS] = (~known).sum()
    return found / max(len(features), 1)
