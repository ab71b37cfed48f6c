"""The denoiser: the learned part of a diffusion, which predicts what noise hides of a row."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.models.denoising.noisy_encoding import NoisyEncoding
from pofx.nets.residual import ResidualMLP

MAX_LOG_NOISE_TO_SIGNAL = 7.0
"""γ_1, the log of the variance of the noise over that of the signal at t = 1.

A share of 0.03 of the signal is left, which biases the probability flow, because that flow never
forgets its start."""


class Denoiser(eqx.Module):
    """A prediction of v = α_t ε - σ_t c from z = α_t c + σ_t ε, where c are the codes of a row.

    α_t² = sigmoid(-γ_t), σ_t² = sigmoid(γ_t), γ_t linear in t from the least noise at t = 0
    v_g(z, t | y) = (1 + g) v(z, t | y) - g v(z, t)

    y is the context: numbers that describe the given part of the row, all zero if nothing is
    given. The guidance g leads away from rows that are probable whatever y is (Ho and Salimans,
    "Classifier-free diffusion guidance", 2022). Predicting v: Salimans and Ho, "Progressive
    distillation" (2022).

    Attributes:
        codes: the encoding of rows.
        net: the network.
        high: γ_1.
    """

    codes: NoisyEncoding
    net: ResidualMLP
    high: float = eqx.field(static=True, default=MAX_LOG_NOISE_TO_SIGNAL)

    @property
    def low(self) -> Float[Array, "c"]:
        """γ_0 of each code."""
        return 2 * jnp.log(self.codes.min_noise)

    def alpha_sigma(self, t: Array | float) -> tuple[Array, Array]:
        """α_t and σ_t of each code."""
        gamma = self.low + (self.high - self.low) * jnp.asarray(t, self.codes.min_noise.dtype)
        return jnp.sqrt(jax.nn.sigmoid(-gamma)), jnp.sqrt(jax.nn.sigmoid(gamma))

    def angle(self, t: Array | float) -> Float[Array, "c"]:
        """atan(σ_t / α_t) of each code."""
        a, s = self.alpha_sigma(t)
        return jnp.arctan2(s, a)

    def __call__(
        self,
        z: Float[Array, "c"],
        t: Array,
        context: Float[Array, "y"],
        guidance: float = 0.0,
    ) -> Float[Array, "c"]:
        """The prediction v̂; for the codes of levels it follows from their posterior mean."""
        output = self.net(z, t, context)
        if guidance:
            # For levels too before Bayes' rule: p(k | z, y)^(1 + g) / p(k | z)^g is a distribution.
            output = (1 + guidance) * output - guidance * self.net(z, t, 0 * context)
        if not self.codes.discrete.any():
            return output
        a, s = self.alpha_sigma(t)
        prediction = self.codes.posterior_mean_code(z / a, s / a, output)
        return jnp.where(self.codes.discrete, (a * z - prediction) / s, output)

    def prediction_error(
        self, key: PRNGKeyArray, c: Float[Array, "c"], t: Array, context: Float[Array, "y"]
    ) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """v - v̂ at a random z_t, and the noise ε in z_t.

        The error of the predicted ε is α_t times v - v̂, that of the predicted codes σ_t times.
        """
        a, s = self.alpha_sigma(t)
        e = jax.random.normal(key, c.shape, c.dtype)
        return a * e - s * c - self(a * c + s * e, t, context), e


def mean_squared_error(
    denoiser: Denoiser,
    key: PRNGKeyArray,
    c: Float[Array, "n c"],
    context: Float[Array, "n y"],
    weight: Float[Array, "n"],
    times: Float[Array, "steps"],
) -> Float[Array, "steps c"]:
    """The weighted mean over rows of (v - v̂)², at each of the times."""

    def error_at(key_and_time):
        key, t = key_and_time
        keys = jax.random.split(key, len(c))
        predict = jax.vmap(lambda k, c, y: denoiser.prediction_error(k, c, t, y))
        error, _ = predict(keys, c, context)
        return weight @ error**2 / weight.sum()

    return jax.lax.map(error_at, (jax.random.split(key, len(times)), times))
