"""An approximate model with a proposal model, queried by importance sampling."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt

from pofx.core import closed_forms
from pofx.core.abstract import AbstractTractable, Example, Mask, Row
from pofx.core.abstract_approximate import (
    AbstractApproximate,
    AbstractDirectConditionals,
    AbstractEnergyModel,
    AbstractImportanceSampled,
    AbstractLowerBound,
    AbstractPointwise,
)
from pofx.core.importance_weights import log_mean_weight
from pofx.models.independent import Independent

DEFAULT_DRAWS = 64
"""Weighted draws per log-probability, and candidates per sample."""
CHAIN_STEPS = 32
"""Steps of an energy model's Markov chain after resampling.

The chain starts from the resampled draw, so it only has to remove the error of the proposal that 64
candidates left. The steps cost as much as the 64 draws, or a few times that.
"""


class ImportanceSampled(AbstractImportanceSampled):
    """An approximate model with an exact proposal model g that draws missing entries.

    p(x_O) ≈ 1/S Σ_s w_s,  w_s = p(x_O, x_M^s) / g(x_M^s | x_O),  x_M^s ~ g(x_M | x_O)

    A conditional draw is one of the S draws, picked with its weight (sampling-importance-
    resampling; Rubin 1988). For an energy model a Markov chain that leaves p(x_M | x_O) invariant
    then moves it by 32 steps. A model with its own proposal, such as a variational autoencoder,
    weights draws of that proposal. A model that draws from p(x_M | x_O) itself draws once. For a
    complete row a density or an energy is evaluated once. The same `seed` and row give the same
    draws. Owen, "Monte Carlo theory, methods and examples" (2013), ch. 9.

    Args:
        model: the approximate model.
        proposal: a tractable model of the same rows.
        seed: the data of a random key.
        draws: the number S of weighted draws, default 64.
        masks: what is known of the masks of all rows when a program is compiled: they are
            "complete", "empty", "direct" (the model draws from p(x_M | x_O) itself) or "any".

    >>> p = ImportanceSampled.example(jax.random.key(0)).model
    >>> type(p.model).__name__, type(p.proposal).__name__, p.size
    ('VAE', 'Independent', 4)
    """

    model: AbstractApproximate
    proposal: AbstractTractable
    seed: UInt[Array, "2"]
    draws: int = eqx.field(static=True, default=DEFAULT_DRAWS)
    masks: Literal["any", "complete", "empty", "direct"] = eqx.field(
        static=True, default="any", metadata={"stored": False}
    )

    @property
    def size(self) -> int:
        return self.proposal.size

    def weighted_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        def repeat_row(x, log_density):
            return jnp.tile(x, (self.draws, 1)), jnp.full(self.draws, log_density(x))

        return self._if_density_known(
            x, observed, repeat_row, lambda x: self._draw_weighted(key, x, observed)
        )

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        if self.masks == "empty":
            return jnp.zeros((), jnp.result_type(float))
        key = self.row_key(x, observed)

        def draw_once(model, x):
            return model.direct_completion(key, x, observed)[1]

        def average_weights(x):
            _, log_w = self._draw_weighted(key, x, observed)
            # Smoothing could raise a lower bound above log p.
            return log_mean_weight(log_w, smooth=not self.model.is_lower_bound)

        def estimate(x):
            return self._if_draws_exactly(observed, draw_once, average_weights, x)

        log_p = self._if_density_known(x, observed, lambda x, log_density: log_density(x), estimate)
        return jnp.where(observed.any(), log_p, 0)

    def _if_density_known(
        self, x: Row, observed: Mask, evaluate: Callable, estimate: Callable
    ) -> Any:
        """`evaluate` for a complete row of a model with `log_density`, else `estimate`."""
        x = x.astype(jnp.result_type(float))
        if not isinstance(self.model, AbstractPointwise) or self.masks in ("empty", "direct"):
            return estimate(x)
        log_density = self.model.log_density
        if self.masks == "complete":
            return evaluate(x, log_density)
        return jax.lax.cond(observed.all(), lambda x: evaluate(x, log_density), estimate, x)

    def _draw_weighted(self, key, x, observed):
        """Completions by the proposal, and their log-weights."""
        keys = jax.random.split(key, self.draws)
        model = self.model

        def complete(key):
            if self.masks == "complete" and isinstance(model, AbstractLowerBound):
                return x, model.log_weight(key, x)
            if self.masks == "direct" and isinstance(model, AbstractDirectConditionals):
                return model.direct_completion(key, x, observed)
            return model.weighted_completion(key, self.proposal, x, observed)

        return jax.vmap(complete)(keys)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        def resample(key):
            draw_key, pick_key, chain_key = jax.random.split(key, 3)
            rows, log_w = self.weighted_completion(draw_key, x, observed)
            row = rows[jax.random.categorical(pick_key, log_w)]
            return self._run_chain(chain_key, row, observed)

        def draw_once(model, key):
            return model.direct_completion(key, x.astype(jnp.result_type(float)), observed)[0]

        def draw_conditional(key):
            return self._if_draws_exactly(observed, draw_once, resample, key)

        def draw_new(key):
            return self.model.draw(key).astype(jnp.result_type(float))

        if self.masks == "complete":
            return x
        if self.masks == "empty":
            return draw_new(key).astype(x.dtype)
        if self.masks == "direct":
            return draw_conditional(key).astype(x.dtype)
        return jax.lax.cond(observed.any(), draw_conditional, draw_new, key).astype(x.dtype)

    def _if_draws_exactly(
        self, observed: Mask, draw_once: Callable, draw_many: Callable, operand: Any
    ) -> Any:
        """`draw_once` if the model draws from p(x_M | x_O) itself, else `draw_many`."""
        model = self.model
        if not isinstance(model, AbstractDirectConditionals):
            return draw_many(operand)
        once = partial(draw_once, model)
        if self.masks == "direct":
            return once(operand)
        if self.masks == "complete":
            return draw_many(operand)
        return jax.lax.cond(model.draws_exactly(observed), once, draw_many, operand)

    def _run_chain(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """The row after some steps of the Markov chain of an energy model; else the row itself."""
        model = self.model
        if not isinstance(model, AbstractEnergyModel):
            return x

        def step(x, key):
            return model.step(key, x, observed).astype(x.dtype), None

        return jax.lax.scan(step, x, jax.random.split(key, CHAIN_STEPS))[0]

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        from pofx.models.vae import VAE

        proposal, columns = Independent.example(key)
        seed = jax.random.key_data(key)
        model = cls(model=VAE.example(key).model, proposal=proposal, seed=seed)
        return Example(model, columns)


@closed_forms.expectation.register(ImportanceSampled)
def _expectation(p: ImportanceSampled, x: Row, observed: Mask) -> Row:
    key = p.row_key(x, observed)
    rows, log_w = p.weighted_completion(key, x, observed)
    # Without evidence the model draws without a proposal, and all such rows share their draws.
    draws = jax.vmap(p.model.draw)(jax.random.split(key, p.draws))
    return jnp.where(observed.any(), jax.nn.softmax(log_w) @ rows, draws.mean(0))


@closed_forms.for_masks.register(ImportanceSampled)
def _for_masks(p: ImportanceSampled, masks: Bool[np.ndarray, "n d"]) -> ImportanceSampled:
    if masks.all():
        return replace(p, masks="complete")
    if not masks.any():
        return replace(p, masks="empty")
    model = p.model
    if not isinstance(model, AbstractDirectConditionals):
        return p
    # An empty row beside others is drawn as in a table of any rows, so it takes the general way.
    is_direct = all(m.any() and model.draws_exactly(m) for m in np.unique(masks, axis=0))
    return replace(p, masks="direct") if is_direct else p
