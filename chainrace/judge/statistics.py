"""Rates with bounds, and whether two arms differ."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """`failures` of `trials`, with two-sided exact (Clopper-Pearson) 95 % bounds."""

    failures: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.failures / self.trials if self.trials else 0.0


def rate(failures: int, trials: int) -> Rate:
    """The rate with its bounds; of no trials nothing is known: 0 to 1."""
    if not 0 <= failures <= trials:
        raise ValueError(f"{failures} failures of {trials} trials")
    if trials == 0:
        return Rate(0, 0, 0.0, 1.0)
    found = stats.binomtest(failures, trials).proportion_ci(CONFIDENCE, method="exact")
    return Rate(failures, trials, float(found.low), float(found.high))


def upper_bound(failures: int, trials: int) -> float:
    """The one-sided 95 % upper bound: 59 clean trials give just below 0.05."""
    if trials == 0:
        return 1.0
    found = stats.binomtest(failures, trials, alternative="less")
    return float(found.proportion_ci(CONFIDENCE, method="exact").high)


def fisher(failures_a: int, trials_a: int, failures_b: int, trials_b: int) -> float:
    """P of Fisher's exact test that arm A does not fail more often than arm B."""
    table = _table(failures_a, trials_a, failures_b, trials_b)
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


def different(failures_a: int, trials_a: int, failures_b: int, trials_b: int) -> float:
    """P of Fisher's exact test, two-sided, that both arms fail equally often."""
    return float(stats.fisher_exact(_table(failures_a, trials_a, failures_b, trials_b)).pvalue)


def _table(
    failures_a: int, trials_a: int, failures_b: int, trials_b: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    return np.array([[failures_a, trials_a - failures_a], [failures_b, trials_b - failures_b]])
