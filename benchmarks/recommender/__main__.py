"""`make bench-recommender`: regret of choices on a fleet with known truth, baselines side by side in one run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from presagio.webhook.recommender import Judged, rank
from recommender.fleet import ARMS, WAIT, Array, Incident, incidents
from recommender.strategies import Strategy, strategies, thompson
from recommender.values import errors

_SCENARIOS = ("steady", "drift", "self-healing")


@dataclass(frozen=True)
class Row:
    """One strategy in one scenario. Regret is per problem, in reward units; `late` is that of the last quarter.

    waits: share of the last quarter's choices that do nothing.
    """

    scenario: str
    strategy: str
    regret: float
    late: float
    waits: float


def play(
    strategy: Strategy, history: Sequence[Incident], random: np.random.Generator, outcomes: list[Judged]
) -> tuple[Array, Array]:
    """Return the regret and the arm of each choice, both of shape (problems,); what came of them is appended."""
    regrets, arms = np.zeros(len(history)), np.zeros(len(history))
    for number, incident in enumerate(history):
        chances = strategy(incident, outcomes, random)
        arm = int(random.choice(len(ARMS), p=chances))
        reward = float(random.random() < incident.chance[arm])
        outcomes.append(Judged(incident.situation, ARMS[arm].name, reward, incident.time))
        regrets[number] = incident.utility.max() - incident.utility[arm]
        arms[number] = arm
    return regrets, arms


def scenario(name: str, count: int, seeds: int) -> list[Row]:
    """Return how each strategy does, averaged over fleets; all see the same problems."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(seeds):
        history = list(incidents(name, count, np.random.default_rng(seed)))
        for label, strategy in strategies(history).items():
            regrets, arms = play(strategy, history, np.random.default_rng(1000 + seed), [])
            last = slice(3 * count // 4, None)
            told = (regrets.mean(), regrets[last].mean(), np.mean(arms[last] == WAIT))
            found.setdefault(label, []).append((float(told[0]), float(told[1]), float(told[2])))
        print(f"{name}: fleet {seed + 1} of {seeds}", file=sys.stderr)
    return [Row(name, label, *np.mean(rows, axis=0).tolist()) for label, rows in found.items()]


def credited(count: int, seeds: int) -> tuple[float, float]:
    """Return what all actions seem to be worth where all heals by itself: beyond waiting, and by success alone."""
    found = []
    for seed in range(seeds):
        history = list(incidents("self-healing", count, np.random.default_rng(seed)))
        outcomes: list[Judged] = []
        play(thompson, history, np.random.default_rng(1000 + seed), outcomes)
        for situation in {incident.situation for incident in history}:
            ranking = rank(ARMS, situation, outcomes, history[-1].time, None)
            means = ranking.a / (ranking.a + ranking.b)
            found.append((means[:WAIT].mean() - means[WAIT], means[:WAIT].mean()))
    merit, success = np.mean(found, axis=0)
    return float(merit), float(success)


def main() -> int:
    """Print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1200, metavar="N", help="of each fleet (default: 1200)")
    parser.add_argument("--fleets", type=int, default=8, metavar="N", help="to average over (default: 8)")
    parser.add_argument("--out", type=Path, default=Path("results.json"), metavar="FILE", help="where results go")
    arguments = parser.parse_args()
    rows = [row for name in _SCENARIOS for row in scenario(name, arguments.problems, arguments.fleets)]
    values = errors(arguments.problems, 20 * arguments.fleets)
    document = {"regret": [asdict(row) for row in rows], "values": values}
    arguments.out.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    print("| fleet | who chooses | regret | in the last quarter | of random's | waits |\n|---|---|---|---|---|---|")
    chance = {row.scenario: row.regret for row in rows if row.strategy == "random"}
    for row in rows:
        figures = (row.regret, row.late, row.regret / chance[row.scenario], row.waits)
        print(f"| {row.scenario} | {row.strategy} | {' | '.join(f'{figure:.3f}' for figure in figures)} |")
    print("\n| value of another policy | mean error | interval holds the truth |\n|---|---|---|")
    for name, told in values.items():
        print(f"| {name} | {told['error']:.3f} | {told['inside']:.2f} |")
    merit, success = credited(arguments.problems, arguments.fleets)
    print(
        f"\nself-healing: actions succeed in {success:.3f}, of which {merit:+.3f} is more than waiting does; true: 0"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
