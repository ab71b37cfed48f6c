"""The steps back from noise of a diffusion: its draws, and their weights."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.denoising.denoiser import Denoiser

Told = Float[Array, "y"]
Residue = Float[Array, "steps c"]
"""The mean squared error of the guessed codes at each step, in units of σ_t²."""


def sample_ancestral(
    key: PRNGKeyArray,
    denoiser: Denoiser,
    mean_squared_error: Residue,
    z: Float[Array, "c"],
    told: Told,
    guidance: float = 0.0,
) -> Float[Array, "c"]:
    """z_0 from z_1, by draws of p(z_s | z_t, y)."""

    def step(z, one):
        key, i = one
        mean, _, _, _, wide = _step(denoiser, mean_squared_error, z, i, told, guidance)
        return mean + wide * jax.random.normal(key, z.shape, z.dtype), None

    keys = jax.random.split(key, len(mean_squared_error))
    return jax.lax.scan(step, z, (keys, _backwards(mean_squared_error)))[0]


def log_weight(
    key: PRNGKeyArray,
    denoiser: Denoiser,
    mean_squared_error: Residue,
    x: Row,
    told: Told,
    guidance: float = 0.0,
) -> Float[Array, ""]:
    """log p(x, z | y) - log q(z | x) of the steps z that q draws."""
    c, keys = denoiser.codes(x), jax.random.split(key, len(mean_squared_error) + 1)

    def step(state, one):
        (z, log_w), (key, i) = state, one
        n = jax.random.normal(key, c.shape, c.dtype)
        mean, guess, put, own, wide = _step(denoiser, mean_squared_error, z, i, told, guidance)
        off = put * (c - guess) + own * n
        ratio = norm.logpdf(off, 0, wide) - norm.logpdf(n) + jnp.log(own)
        return (mean + off, log_w + ratio.sum()), None

    a, s = denoiser.alpha_sigma(1)
    n = jax.random.normal(keys[0], c.shape, c.dtype)
    z = a * c + s * n
    log_w = (norm.logpdf(z) - norm.logpdf(n) + jnp.log(s)).sum()
    (z, log_w), _ = jax.lax.scan(step, (z, log_w), (keys[1:], _backwards(mean_squared_error)))
    return log_w + denoiser.codes.log_prob(x, z / denoiser.alpha_sigma(0)[0])


def _step(denoiser, mean_squared_error, z, i, told, guidance) -> tuple[Array, ...]:
    """From the noise of t = (i + 1) / T to that of i / T.

    The mean of p(z_s | z_t, y), the guess of the codes and their share in it, and the spreads of
    q(z_s | z_t, x) and of p(z_s | z_t, y).
    """
    steps = len(mean_squared_error)
    t = (i + 1) / steps
    (a, s), (b, r) = denoiser.alpha_sigma(t), denoiser.alpha_sigma(i / steps)
    posterior_mean_code = a * z - s * denoiser(z, t, told, guidance)
    fresh = -jnp.expm1((denoiser.low - denoiser.high) / steps)
    put = b * fresh
    own = r * jnp.sqrt(fresh)
    wide = jnp.sqrt(own**2 + (put * s) ** 2 * mean_squared_error[i])
    return (b / a) * (1 - fresh) * z + put * guess, guess, put, own, wide


def _backwards(mean_squared_error) -> Array:
    return jnp.arange(len(mean_squared_error))[::-1]
