"""Diagnostics of Markov chains: whether they have mixed, and their effective number of draws.

Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and localization: an
improved R-hat for assessing convergence of MCMC" (2021). All is computed on the host, in float64.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

RHAT_THRESHOLD = 1.05
"""The largest R-hat of chains that count as mixed."""


def split_rhat(draws: Float[np.ndarray, "n chains"]) -> float:
    """Rank-normalised split R-hat of a number along several chains: 1 if all of them agree.

    It is the larger of two R-hats: of the ranks, and of the ranks of distances from the median.
    The second one detects chains that differ in spread only.

    >>> rng = np.random.default_rng(0)
    >>> same = rng.normal(size=(500, 4))
    >>> split_rhat(same) < RHAT_THRESHOLD < split_rhat(same + np.arange(4))
    True
    """
    halves = _halves(draws)
    if halves.min() == halves.max():
        return 1.0
    folded = np.abs(halves - np.median(halves))
    return max(_rhat(_scores(halves)), _rhat(_scores(folded)))


def effective_size(draws: Float[np.ndarray, "n chains"]) -> float:
    """The number of independent draws that locate the bulk of a distribution as well.

    Autocorrelations are summed over Geyer's initial monotone sequence (Geyer 1992), on ranks.

    >>> 1500 < effective_size(np.random.default_rng(0).normal(size=(500, 4))) < 2500
    True
    """
    halves = _halves(draws)
    if halves.min() == halves.max():
        return float(halves.size)
    z = _scores(halves)
    n, m = z.shape
    centred = z - z.mean(0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n].mean(1) / n
    within = covariance[0] * n / (n - 1)
    total_variance = covariance[0] + z.mean(0).var(ddof=1)
    correlation = 1 - (within - covariance) / total_variance
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(1)
    # The first pair always counts, because it contains the correlation at lag zero.
    pairs[0] = max(pairs[0], 1e-12)
    length = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    time = 2 * np.minimum.accumulate(pairs[:length]).sum() - 1
    # Chains that alternate may be worth more than independent draws, but not without limit.
    return float(n * m / max(time, 1 / np.log10(n * m)))


def _halves(draws: Float[np.ndarray, "n chains"]) -> Float[np.ndarray, "k more"]:
    """Each chain split in two, so that drift along a chain is a difference between chains."""
    draws = np.asarray(draws, np.float64)
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[len(draws) - half :]], axis=1)


def _scores(values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Normal scores of the ranks (Blom 1958), which have moments even if the values have none."""
    # Imported late, because it takes a second.
    from scipy.stats import rankdata

    ranks = rankdata(values.ravel()).reshape(values.shape)
    return ndtri((ranks - 0.375) / (values.size + 0.25))


def _rhat(z: Float[np.ndarray, "n m"]) -> float:
    n = len(z)
    within, between = z.var(0, ddof=1).mean(), n * z.mean(0).var(ddof=1)
    if within == 0:
        return float("inf") if between > 0 else 1.0
    return float(np.sqrt((between / within + n - 1) / n))
