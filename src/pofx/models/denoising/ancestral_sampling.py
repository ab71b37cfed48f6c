"""Ancestral sampling from a diffusion model, and importance weights of rows along its steps."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.denoising.denoiser import Denoiser

StepErrors = Float[Array, "steps c"]
"""The mean squared error of the predicted codes at each step, in units of σ_t²."""


def sample_ancestral(
    key: PRNGKeyArray,
    denoiser: Denoiser,
    mean_squared_error: StepErrors,
    z: Float[Array, "c"],
    context: Float[Array, "y"],
    guidance: float = 0.0,
) -> Float[Array, "c"]:
    """z_0, drawn from z_1 by steps of p(z_s | z_t, y)."""

    def step(z, key_and_index):
        key, i = key_and_index
        mean, _, _, _, model_sd = _step(denoiser, mean_squared_error, z, i, context, guidance)
        return mean + model_sd * jax.random.normal(key, z.shape, z.dtype), None

    keys = jax.random.split(key, len(mean_squared_error))
    return jax.lax.scan(step, z, (keys, _backwards(mean_squared_error)))[0]


def log_weight(
    key: PRNGKeyArray,
    denoiser: Denoiser,
    mean_squared_error: StepErrors,
    x: Row,
    context: Float[Array, "y"],
    guidance: float = 0.0,
) -> Float[Array, ""]:
    """log p(x, z | y) - log q(z | x) in nats, for steps z drawn from q."""
    c = denoiser.codes(x)
    keys = jax.random.split(key, len(mean_squared_error) + 1)

    def step(state, key_and_index):
        (z, log_w), (key, i) = state, key_and_index
        n = jax.random.normal(key, c.shape, c.dtype)
        mean, prediction, share, noising_sd, model_sd = _step(
            denoiser, mean_squared_error, z, i, context, guidance
        )
        deviation = share * (c - prediction) + noising_sd * n
        ratio = norm.logpdf(deviation, 0, model_sd) - norm.logpdf(n) + jnp.log(noising_sd)
        return (mean + deviation, log_w + ratio.sum()), None

    a, s = denoiser.alpha_sigma(1)
    n = jax.random.normal(keys[0], c.shape, c.dtype)
    z = a * c + s * n
    log_w = (norm.logpdf(z) - norm.logpdf(n) + jnp.log(s)).sum()
    (z, log_w), _ = jax.lax.scan(step, (z, log_w), (keys[1:], _backwards(mean_squared_error)))
    return log_w + denoiser.codes.log_prob(x, z / denoiser.alpha_sigma(0)[0])


def _step(denoiser, mean_squared_error, z, i, context, guidance) -> tuple[Array, ...]:
    """The step from the noise of t = (i + 1) / T to that of i / T.

    Returns the mean of p(z_s | z_t, y), the predicted codes, their share in the mean, and the
    standard deviations of q(z_s | z_t, x) and of p(z_s | z_t, y).
    """
    steps = len(mean_squared_error)
    t = (i + 1) / steps
    (a, s), (b, r) = denoiser.alpha_sigma(t), denoiser.alpha_sigma(i / steps)
    prediction = a * z - s * denoiser(z, t, context, guidance)
    removed = -jnp.expm1((denoiser.low - denoiser.high) / steps)
    share = b * removed
    noising_sd = r * jnp.sqrt(removed)
    model_sd = jnp.sqrt(noising_sd**2 + (share * s) ** 2 * mean_squared_error[i])
    mean = (b / a) * (1 - removed) * z + share * prediction
    return mean, prediction, share, noising_sd, model_sd


def _backwards(mean_squared_error) -> Array:
    return jnp.arange(len(mean_squared_error))[::-1]
