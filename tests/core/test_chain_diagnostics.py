"""Diagnostics of chains against theory and a reference implementation."""

import numpy as np
import pytest

from pofx.core.chain_diagnostics import RHAT_THRESHOLD, effective_size, split_rhat


def autoregressive(rho, n=2000, chains=8, seed=0):
    """Stationary chains x_t = rho x_{t-1} + noise of variance one."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=chains)]
    for _ in range(n - 1):
        x.append(rho * x[-1] + np.sqrt(1 - rho**2) * rng.normal(size=chains))
    return np.array(x)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.5])
def test_effective_size_is_that_of_theory(rho):
    x = autoregressive(rho)
    assert effective_size(x) == pytest.approx(x.size * (1 - rho) / (1 + rho), rel=0.15)


def test_chains_that_agree_have_mixed():
    assert 0.99 < split_rhat(autoregressive(0.5)) < 1.02


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + np.arange(8),
        lambda x: x * np.linspace(0.3, 3, 8),
        lambda x: x + np.linspace(0, 2, len(x))[:, None],
        lambda x: np.sign(np.arange(8) - 3.5) * np.abs(x) ** 9,
    ],
    ids=["location", "scale", "drift", "heavy tails"],
)
def test_chains_that_differ_are_found(change):
    assert split_rhat(change(autoregressive(0.5))) > RHAT_THRESHOLD


def test_values_all_alike_are_no_quarrel():
    assert split_rhat(np.ones((10, 3))) == 1
    assert effective_size(np.ones((10, 3))) == 30
    assert split_rhat(np.broadcast_to(np.arange(3.0), (10, 3))) == np.inf


@pytest.mark.parametrize("rho", [0.3, 0.95])
def test_against_a_reference(rho):
    reference = pytest.importorskip("blackjax").diagnostics
    x = autoregressive(rho, n=501, chains=4) ** 3
    assert split_rhat(x) == pytest.approx(float(reference.rhat(x.T)), rel=2e-3)
    assert effective_size(x) == pytest.approx(float(reference.ess_bulk(x.T)), rel=0.03)
