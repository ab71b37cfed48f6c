"""An inexact model with a guide: asked anything by importance sampling."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt

from pofx.core import rules
from pofx.core.distribution import Example, Mask, Row, Tractable
from pofx.core.importance import pareto_smoothed
from pofx.core.inexact import Estimated, Inexact
from pofx.models.independent import Independent

DRAWS = 64
"""Weighted draws behind a log-probability, and those of which a sample is one."""


class Guided(Estimated):
    """An inexact model, and an exact one of the same rows that proposes what is missing.

    p(x_O) ≈ 1/S Σ_s w_s,  w_s = p(x_O, x_M^s) / g(x_M^s | x_O),  x_M^s ~ g(x_M | x_O)

    A conditional draw is one of the S, by its weight (sampling-importance-resampling; Rubin 1988).
    A model with a proposal of its own, as a variational autoencoder has, weighs draws of that. The
    draws are the same for one `seed`. Owen, "Monte Carlo theory, methods and examples" (2013), ch.9

    >>> p = Guided.example(jax.random.key(0)).model
    >>> type(p.model).__name__, type(p.guide).__name__, p.size
    ('VAE', 'Independent', 4)
    """

    model: Inexact
    guide: Tractable
    seed: UInt[Array, "2"]
    draws: int = eqx.field(static=True, default=DRAWS)

    @property
    def size(self) -> int:
        return self.guide.size

    def weighted(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        """The draws, and their log-weights in nats."""
        keys = jax.random.split(key, self.draws)
        return jax.vmap(lambda k: self.model.weighted(k, self.guide, x, observed))(keys)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        key = jax.random.wrap_key_data(self.seed)

        def mean(x):
            _, log_w = self.weighted(key, x, observed)
            # A bound stays one: smoothing could lift it.
            log_w = log_w if self.model.below else pareto_smoothed(log_w)[0]
            return jax.nn.logsumexp(log_w) - jnp.log(self.draws)

        def whole(x):
            return self.model.weighted(key, self.guide, x, jnp.ones(self.size, bool))[1]

        own = jax.lax.cond(observed.all(), whole, mean, x) if self.model.exact_rows else mean(x)
        return jnp.where(observed.any(), own, 0)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        def resampled(key):
            drawing, picking = jax.random.split(key)
            rows, log_w = self.weighted(drawing, x, observed)
            return rows[jax.random.categorical(picking, log_w)].astype(x.dtype)

        def new(key):
            return self.model.draw(key).astype(x.dtype)

        return jax.lax.cond(observed.any(), resampled, new, key)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        from pofx.models.vae import VAE

        guide, columns = Independent.example(key)
        made = cls(model=VAE.example(key).model, guide=guide, seed=jax.random.key_data(key))
        return Example(made, columns)


@rules.expectation.register(Guided)
def _expectation(p: Guided, x: Row, observed: Mask) -> Row:
    rows, log_w = p.weighted(jax.random.wrap_key_data(p.seed), x, observed)
    return jax.nn.softmax(log_w) @ rows
