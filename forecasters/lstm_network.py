"""The network of `lstm`, and how it learns. Imported only where PyTorch is there and needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from presagio.forecasters.base import Bools, Floats, Floats32, Progress

_BATCH = 512
_PREDICTED = 8192
_PATIENCE = 4
_A_PASS = 20_000
"""Moments of one pass, drawn anew for each: neighbours are much alike, and a processor is no graphics card."""


class Network(nn.Module):
    """Log odds from dense[m, f] and a road[m, w, k]; w and k may be 0."""

    def __init__(self, features: int, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.road = nn.LSTM(channels, hidden, batch_first=True) if channels else None
        self.dense = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.joint = nn.Sequential(
            nn.Linear(2 * hidden if channels else hidden, hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.said = nn.Linear(hidden, 1)

    def forward(self, dense: torch.Tensor, road: torch.Tensor) -> torch.Tensor:
        """Return log odds[m]."""
        parts = [self.dense(dense)]
        if self.road is not None:
            whole, _ = self.road(road)
            parts.append(whole[:, -1])
        found: torch.Tensor = self.said(self.joint(torch.cat(parts, dim=1)))[:, 0]
        return found


class Lessons:
    """What is learnt from: scaled inputs, truth and weights of m moments."""

    def __init__(self, dense: Floats32, road: Floats32, failed: Bools, weights: Floats) -> None:
        self.dense = torch.from_numpy(dense)
        self.road = torch.from_numpy(road)
        self.failed = torch.from_numpy(failed.astype(np.float32))
        self.weights = torch.from_numpy((weights / weights.mean()).astype(np.float32))

    def loss(self, network: nn.Module, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the mean loss over some of the moments (log loss)."""
        odds = network(self.dense[rows], self.road[rows])
        return nn.functional.binary_cross_entropy_with_logits(odds, self.failed[rows], weight=self.weights[rows])


def learnt(
    network: Network, lessons: Lessons, later: Lessons | None, epochs: int, rate: float, progress: Progress
) -> int:
    """Let a network learn, and leave it as it was at its best on the later lessons; return after how many epochs.

    Without later ones it learns for `epochs` and stays as it is then.
    """
    network.said.bias.data.fill_(_odds_of(lessons))
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=1e-5)
    best, best_loss, weights = epochs, np.inf, network.state_dict()
    for epoch in range(1, epochs + 1):
        _pass(network, lessons, optimiser)
        progress(epoch / epochs)
        if later is None:
            continue
        loss = _whole_loss(network, later)
        if loss < best_loss:
            best, best_loss = epoch, loss
            weights = {name: one.clone() for name, one in network.state_dict().items()}
        elif epoch - best >= _PATIENCE:
            break
    network.load_state_dict(weights)
    network.eval()
    return best


def odds(network: nn.Module, dense: Floats32, road: Floats32) -> Floats:
    """Return the log odds of each moment [m]."""
    network.eval()
    found = [np.zeros(0)]
    with torch.no_grad():
        for begin in range(0, len(dense), _PREDICTED):
            rows = slice(begin, begin + _PREDICTED)
            said = network(torch.from_numpy(dense[rows]), torch.from_numpy(road[rows]))
            found.append(said.numpy().astype(np.float64))
    return np.concatenate(found)


def moved(network: nn.Module, dense: Floats32, road: Floats32) -> tuple[Floats, Floats]:
    """Return gradient times input of dense[m, f] and, summed over time, of road[m, w, k]."""
    network.eval()
    one, other = torch.from_numpy(dense).requires_grad_(), torch.from_numpy(road).requires_grad_()
    network(one, other).sum().backward()
    by_feature = (one.grad * one).detach().numpy() if one.grad is not None else np.zeros(dense.shape)
    by_channel = (other.grad * other).detach().numpy() if other.grad is not None else np.zeros(road.shape)
    return by_feature.astype(np.float64), by_channel.sum(axis=1).astype(np.float64)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Learn with this seed and one thread; whoever else uses torch here finds it as he left it."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _pass(network: nn.Module, lessons: Lessons, optimiser: torch.optim.Optimizer) -> None:
    network.train()
    for rows in torch.split(torch.randperm(len(lessons.failed))[:_A_PASS], _BATCH):
        optimiser.zero_grad()
        lessons.loss(network, rows).backward()  # type: ignore[no-untyped-call] # of torch
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()


def _whole_loss(network: nn.Module, lessons: Lessons) -> float:
    network.eval()
    with torch.no_grad():
        parts = torch.split(torch.arange(len(lessons.failed)), _PREDICTED)
        sums = [float(lessons.loss(network, rows)) * len(rows) for rows in parts]
    return sum(sums) / len(lessons.failed)


def _odds_of(lessons: Lessons) -> float:
    """Return the log odds of the base rate: to learn that from nothing would take the first epochs."""
    base = float((lessons.failed * lessons.weights).mean().clamp(1e-6, 1 - 1e-6))
    return float(np.log(base / (1 - base)))
