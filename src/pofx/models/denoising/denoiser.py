"""What noise hid of a row, guessed: the part of a diffusion that is learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.models.denoising.noisy_encoding import NoisyEncoding
from pofx.nets.residual import ResidualMLP

HIGH = 7.0
"""The log-variance of the most noise over that of the signal, in units of the codes.

What is left of the signal, 0.03 of it, biases the probability flow, which forgets nothing."""


class Denoiser(eqx.Module):
    """The guess of v = α_t ε - σ_t c, for the codes c of a row in z = α_t c + σ_t ε.

    α_t² = sigmoid(-γ_t), σ_t² = sigmoid(γ_t),  γ_t linear in t, at first that of the least noise
    v_g(z, t | y) = (1 + g) v(z, t | y) - g v(z, t)

    `told` is what is known of the row in numbers, y; zeros say that nothing is. The guidance g
    leads away from rows that are likely whatever y is (Ho and Salimans, "Classifier-free diffusion
    guidance", 2022). Why v: Salimans and Ho, "Progressive distillation" (2022).
    """

    codes: NoisyEncoding
    net: ResidualMLP
    high: float = eqx.field(static=True, default=HIGH)

    @property
    def low(self) -> Float[Array, "c"]:
        """γ_0 of each code."""
        return 2 * jnp.log(self.codes.min_noise)

    def alpha_sigma(self, t: Array | float) -> tuple[Array, Array]:
        """α_t and σ_t of each code."""
        gamma = self.low + (self.high - self.low) * jnp.asarray(t, self.codes.min_noise.dtype)
        return jnp.sqrt(jax.nn.sigmoid(-gamma)), jnp.sqrt(jax.nn.sigmoid(gamma))

    def angle(self, t: Array | float) -> Float[Array, "c"]:
        """atan(σ_t / α_t)."""
        a, s = self.alpha_sigma(t)
        return jnp.arctan2(s, a)

    def __call__(
        self,
        z: Float[Array, "c"],
        t: Array,
        told: Float[Array, "y"],
        guidance: float = 0.0,
    ) -> Float[Array, "c"]:
        """v̂; of levels by way of that of their codes."""
        own = self.net(z, t, told)
        if guidance:
            # Of levels too before Bayes' rule: p(k | z, y)^(1 + g) / p(k | z)^g is a law of levels.
            own = (1 + guidance) * own - guidance * self.net(z, t, 0 * told)
        if not self.codes.discrete.any():
            return own
        a, s = self.alpha_sigma(t)
        guess = self.codes.posterior_mean_code(z / a, s / a, own)
        return jnp.where(self.codes.discrete, (a * z - guess) / s, own)

    def prediction_error(
        self, key: PRNGKeyArray, c: Float[Array, "c"], t: Array, told: Float[Array, "y"]
    ) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """v - v̂ at a random z_t, and its ε. By α times that ε̂ is off, by σ times it ĉ."""
        a, s = self.alpha_sigma(t)
        e = jax.random.normal(key, c.shape, c.dtype)
        return a * e - s * c - self(a * c + s * e, t, told), e


@eqx.filter_jit
def mean_squared_error(
    denoiser: Denoiser,
    key: PRNGKeyArray,
    c: Float[Array, "n c"],
    told: Float[Array, "n y"],
    weight: Float[Array, "n"],
    at: Float[Array, "steps"],
) -> Float[Array, "steps c"]:
    """The mean square of v - v̂ over the rows, at each of these times."""

    def one(own):
        key, t = own
        keys = jax.random.split(key, len(c))
        off, _ = jax.vmap(lambda k, c, y: denoiser.prediction_error(k, c, t, y))(keys, c, told)
        return weight @ off**2 / weight.sum()

    return jax.lax.map(one, (jax.random.split(key, len(at)), at))
