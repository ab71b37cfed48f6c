"""The abstract classes of models without closed marginals, and the tools that query them.

Such a model draws missing entries from a proposal and weights each draw so that E[w] = p(x_O).
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt

from pofx.core.abstract import AbstractDistribution, AbstractQueryable, AbstractTractable, Mask, Row

NUM_SEEDS = 8
"""How often a question is answered by a model with estimates, each time with another seed."""


class AbstractApproximate(AbstractDistribution):
    """A distribution that is queried by weighted draws.

    A subclass provides
        draw: a new row;
        weighted_completion: a weighted draw of the missing entries of a row;
        is_lower_bound: True, if E[w] may be less than p(x_O), so that answers are lower bounds
            for any number of draws;
        learns_from_missing: False, if it cannot learn from rows with missing entries, which are
            then drawn from the proposal model first;
        needs_proposal: False, if it draws missing entries without a proposal model.
    """

    is_lower_bound: ClassVar[bool] = False
    runs_briefly: ClassVar[bool] = False
    learns_from_missing: ClassVar[bool] = True
    needs_proposal: ClassVar[bool] = True

    @abstractmethod
    def draw(self, key: PRNGKeyArray) -> Row:
        """A new row."""

    @abstractmethod
    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x with its missing entries drawn from a proposal, and log w, such that E[w] = p(x_O).

        Args:
            key: a random key.
            proposal: a model of the same rows, which may propose the missing entries.
            x: one row, of shape (d,); its missing entries are zero.
            observed: the mask of observed entries.
        """


class AbstractDirectConditionals(AbstractApproximate):
    """A distribution that can draw exactly from some of its conditionals.

    A subclass provides
        draws_exactly: for which masks that is so;
        direct_completion: such a draw.
    """

    @abstractmethod
    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        """Whether `weighted_completion` draws from p(x_M | x_O), so that its weight is p(x_O)."""

    @abstractmethod
    def direct_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x with its missing entries drawn from p(x_M | x_O), and log p(x_O), for these masks.

        The arguments are those of `weighted_completion`, and so is the result.
        """


class AbstractStepSampler(AbstractApproximate):
    """A distribution drawn in steps, whose sampler may be chosen after training.

    A subclass provides
        with_sampler: the same model with another sampler;
        flow_log_prob: an estimate of log p(x).
    """

    @abstractmethod
    def with_sampler(
        self,
        sampler: str | None = None,
        timesteps: int | None = None,
        guidance: float | None = None,
    ) -> "AbstractStepSampler":
        """The same model with another sampler; None leaves a setting as it is.

        Raises PofxError for a setting that the model does not have.
        """

    @abstractmethod
    def flow_log_prob(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        """An estimate of log p(x) in nats, from the density of the probability flow."""


class AbstractPointwise(AbstractApproximate):
    """A distribution whose log p(x) of a complete row is one number, without any draw.

    A subclass provides
        log_density: that number.
    """

    @abstractmethod
    def log_density(self, x: Row) -> Float[Array, ""]:
        """log p(x) of a complete row in nats."""


class AbstractExactDensity(AbstractPointwise):
    """A distribution with the exact density of a complete row."""


class AbstractEnergyModel(AbstractPointwise):
    """A distribution p(x) = exp(-E(x)) / Z, whose log Z may be known with an error only.

    A subclass provides
        energy: E(x);
        step: a step of a Markov chain;
        log_z: log Z in nats;
        log_z_stderr: its standard error, shared by all answers; zero if log Z is exact.
    """

    log_z: eqx.AbstractVar[Float[Array, ""]]
    log_z_stderr: eqx.AbstractVar[Float[Array, ""]]

    @abstractmethod
    def energy(self, x: Row) -> Float[Array, ""]:
        """E(x) of a complete row in nats."""

    @abstractmethod
    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """A complete row after a step of a Markov chain that leaves p(x_M | x_O) invariant."""

    def log_density(self, x: Row) -> Float[Array, ""]:
        return -self.energy(x) - self.log_z

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return importance_weighted(key, proposal, self.log_density, x, observed)


class AbstractLowerBound(AbstractApproximate):
    """A distribution with a lower bound: E[log w] <= log p(x_O), tighter with more draws.

    The model has its own proposal for its latent variables.

    A subclass provides
        log_weight: the weight of a complete row.
    """

    is_lower_bound: ClassVar[bool] = True

    @abstractmethod
    def log_weight(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        """The log w of `weighted_completion` for a complete row, which needs no proposal."""


class AbstractImportanceSampled(AbstractQueryable):
    """An approximate model whose `log_prob` and `sample` are estimates from weighted draws.

    The random key of an estimate is a function of `seed` and the row. One seed gives one function;
    another seed gives an independent estimate. Different rows have different keys, so that errors
    average out over a table as their standard errors say.

    A subclass provides
        model: the approximate model;
        seed: the data of a random key;
        draws: the number of weighted draws per row;
        weighted_completion: these draws.
    """

    runs_briefly: ClassVar[bool] = False

    model: eqx.AbstractVar[AbstractApproximate]
    seed: eqx.AbstractVar[UInt[Array, "2"]]
    draws: eqx.AbstractVar[int]

    def row_key(self, x: Row, observed: Mask) -> PRNGKeyArray:
        """The random key for the draws of this row."""
        key = jax.random.wrap_key_data(self.seed)
        # Zero has two signs, and both must give the same key.
        entries = jnp.where(observed & (x != 0), x, 0).astype(jnp.float32)
        bits = jax.lax.bitcast_convert_type(entries, jnp.uint32)
        entry_keys = jax.vmap(jax.random.fold_in)(jax.random.split(key, bits.size), bits)
        return jax.random.fold_in(key, jax.vmap(jax.random.bits)(entry_keys).sum(dtype=jnp.uint32))

    def is_known(self, observed: Mask) -> Bool[Array, ""]:
        """Whether log p(x_O) is one number that needs no draw."""
        is_known = observed.all() & isinstance(self.model, AbstractPointwise)
        if isinstance(self.model, AbstractDirectConditionals) and not self.model.is_lower_bound:
            is_known |= self.model.draws_exactly(observed)
        return is_known

    @abstractmethod
    def weighted_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        """The row completed `draws` times, and the log-weights in nats.

        For a complete row whose log p is known, all draws are equal, from one evaluation.
        """


def importance_weighted(
    key: PRNGKeyArray,
    proposal: AbstractTractable,
    log_p: Callable[[Row], Float[Array, ""]],
    x: Row,
    observed: Mask,
) -> tuple[Row, Float[Array, ""]]:
    """x completed by the proposal g, and the log-weight log p(x_O, x_M) - log g(x_M | x_O)."""
    completed = proposal.sample(key, x, observed)
    log_joint = log_p(completed)
    # A row that is impossible for the model may be so for the proposal: -inf + inf would be NaN.
    possible = log_joint > -jnp.inf
    log_weight = log_joint - log_proposal(proposal, completed, observed)
    return completed, jnp.where(possible, log_weight, log_joint)


def log_proposal(proposal: AbstractTractable, completed: Row, observed: Mask) -> Float[Array, ""]:
    """log g(x_M | x_O) of the entries that the proposal filled in; zero if none were missing."""

    def log_conditional(row):
        return proposal.log_prob(row) - proposal.log_prob(row, observed)

    return jax.lax.cond(
        observed.all(), lambda row: jnp.zeros((), row.dtype), log_conditional, completed
    )


def has_estimates(model: Any) -> bool:
    """Whether a model's answers are estimates, because it or a part of it is importance-sampled."""
    return any(_is_estimated(leaf) for leaf in jax.tree.leaves(model, is_leaf=_is_estimated))


def reseeded(model: Any, number: int) -> Any:
    """The model with other seeds for its estimates; `number` is one of `NUM_SEEDS`."""

    def with_new_seed(leaf):
        if not _is_estimated(leaf):
            return leaf
        key = jax.random.fold_in(jax.random.wrap_key_data(leaf.seed), number)
        return eqx.tree_at(lambda m: m.seed, leaf, jax.random.key_data(key))

    return jax.tree.map(with_new_seed, model, is_leaf=_is_estimated)


def energy_ids(models: Any) -> list[bytes]:
    """Identifiers of the energy models among the models whose log Z is estimated."""
    leaves = jax.tree.leaves(models, is_leaf=_is_estimated)
    ids = (_energy_id(leaf) for leaf in leaves if _is_energy(leaf) and leaf.model.log_z_stderr > 0)
    return list(dict.fromkeys(ids))


def with_shifted_log_z(model: Any, energy: bytes, errors: float) -> Any:
    """The model with the log Z of one of its `energy_ids` shifted by so many standard errors."""

    def shift(leaf):
        if not _is_energy(leaf) or _energy_id(leaf) != energy:
            return leaf
        log_z = leaf.model.log_z + errors * leaf.model.log_z_stderr
        return eqx.tree_at(lambda m: m.model.log_z, leaf, log_z)

    return jax.tree.map(shift, model, is_leaf=_is_estimated)


def _energy_id(leaf: Any) -> bytes:
    # Fits of one seed have the same seed for their draws, but not the same log Z.
    return np.asarray(leaf.seed).tobytes() + np.asarray(leaf.model.log_z).tobytes()


def _is_energy(leaf: Any) -> bool:
    return _is_estimated(leaf) and isinstance(leaf.model, AbstractEnergyModel)


def _is_estimated(leaf: Any) -> bool:
    return isinstance(leaf, AbstractImportanceSampled)
