"""An inexact model with a proposal: asked anything by importance sampling."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt

from pofx.core import closed_forms
from pofx.core.abstract import AbstractTractable, Example, Mask, Row
from pofx.core.abstract_approximate import (
    AbstractApproximate,
    AbstractDirectConditionals,
    AbstractEnergyModel,
    AbstractImportanceSampled,
    AbstractPointwise,
)
from pofx.core.importance_weights import log_mean_weight
from pofx.models.independent import Independent

DRAWS = 64
"""Weighted draws behind a log-probability, and those of which a sample is one."""
STEPS = 32
"""Steps of an energy's Markov chain from the draw picked, which begins there with no more to forget
than what 64 draws left of the proposal's error. They cost what the 64 do, or a few times that."""


class ImportanceSampled(AbstractImportanceSampled):
    """An inexact model, and an exact one of the same rows that proposes what is missing.

    p(x_O) ≈ 1/S Σ_s w_s,  w_s = p(x_O, x_M^s) / g(x_M^s | x_O),  x_M^s ~ g(x_M | x_O)

    A conditional draw is one of the S, by its weight (sampling-importance-resampling; Rubin 1988),
    of an energy 32 steps on of a Markov chain that leaves p(x_M | x_O) as it is. A model with a
    proposal of its own, as a variational autoencoder has, weighs draws of that; one that draws from
    p(x_M | x_O) itself draws once. Of a complete row a density and an energy are evaluated once.
    One `seed` and row, one set of draws. Owen, "Monte Carlo theory, methods and examples" (2013),
    ch. 9.

    >>> p = ImportanceSampled.example(jax.random.key(0)).model
    >>> type(p.model).__name__, type(p.proposal).__name__, p.size
    ('VAE', 'Independent', 4)
    """

    model: AbstractApproximate
    proposal: AbstractTractable
    seed: UInt[Array, "2"]
    draws: int = eqx.field(static=True, default=DRAWS)

    @property
    def size(self) -> int:
        return self.proposal.size

    def weighted_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        def known(x, log_density):
            return jnp.tile(x, (self.draws, 1)), jnp.full(self.draws, log_density(x))

        return self._either(x, observed, known, lambda x: self._drawn(key, x, observed))

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        key = self.row_key(x, observed)

        def once(x):
            return self.model.weighted_completion(key, self.proposal, x, observed)[1]

        def weighed(x):
            _, log_w = self._drawn(key, x, observed)
            # A bound stays one: smoothing could lift it.
            return log_mean_weight(log_w, smooth=not self.model.is_lower_bound)

        def estimated(x):
            return self._direct(observed, once, weighed, x)

        own = self._either(x, observed, lambda x, log_density: log_density(x), estimated)
        return jnp.where(observed.any(), own, 0)

    def _either(self, x: Row, observed: Mask, known: Callable, drawn: Callable) -> Any:
        """What is known of a complete row whose log p is one number, else what is drawn."""
        x = x.astype(jnp.result_type(float))
        if not isinstance(self.model, AbstractPointwise):
            return drawn(x)
        log_density = self.model.log_density
        return jax.lax.cond(observed.all(), lambda x: known(x, log_density), drawn, x)

    def _drawn(self, key, x, observed):
        """Completions by the proposal, and their log-weights."""
        keys = jax.random.split(key, self.draws)
        return jax.vmap(lambda k: self.model.weighted_completion(k, self.proposal, x, observed))(keys)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        def resampled(key):
            drawing, picking, moving = jax.random.split(key, 3)
            rows, log_w = self.weighted_completion(drawing, x, observed)
            return self._moved(moving, rows[jax.random.categorical(picking, log_w)], observed)

        def once(key):
            whole = x.astype(jnp.result_type(float))
            return self.model.weighted_completion(key, self.proposal, whole, observed)[0]

        def given(key):
            return self._direct(observed, once, resampled, key)

        def new(key):
            return self.model.draw(key).astype(jnp.result_type(float))

        return jax.lax.cond(observed.any(), given, new, key).astype(x.dtype)

    def _direct(self, observed: Mask, once: Callable, weighed: Callable, *operands: Any) -> Any:
        """What one draw tells where the model draws from the conditional itself, else many."""
        if not isinstance(self.model, AbstractDirectConditionals):
            return weighed(*operands)
        return jax.lax.cond(self.model.draws_exactly(observed), once, weighed, *operands)

    def _moved(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """The row some steps on of the model's Markov chain, where it has one."""
        model = self.model
        if not isinstance(model, AbstractEnergyModel):
            return x

        def step(x, key):
            return model.step(key, x, observed).astype(x.dtype), None

        return jax.lax.scan(step, x, jax.random.split(key, STEPS))[0]

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        from pofx.models.vae import VAE

        proposal, columns = Independent.example(key)
        made = cls(model=VAE.example(key).model, proposal=proposal, seed=jax.random.key_data(key))
        return Example(made, columns)


@closed_forms.expectation.register(ImportanceSampled)
def _expectation(p: ImportanceSampled, x: Row, observed: Mask) -> Row:
    key = p.row_key(x, observed)
    rows, log_w = p.weighted_completion(key, x, observed)
    # Given nothing the model draws by itself, and its draws are the same for all such rows.
    new = jax.vmap(p.model.draw)(jax.random.split(key, p.draws))
    return jnp.where(observed.any(), jax.nn.softmax(log_w) @ rows, new.mean(0))
