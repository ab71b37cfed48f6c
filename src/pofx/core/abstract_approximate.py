"""Promises of models whose marginals no closed form gives, and what asks them all the same.

Each draws what is missing from a proposal, and weighs the draw so that E[w] = p(x_O).
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
"""How often a question is put of a model that estimates, each time with other noise."""


class AbstractApproximate(AbstractDistribution):
    """A distribution that is asked by weighted draws.

    `below` says whether E[w] may be less than p(x_O), so that answers are lower bounds however many
    the draws; `holes` whether it learns from rows with missing entries, which are else drawn from
    the guide; `needs_proposal` whether the guide proposes, or the model by itself.
    """

    below: ClassVar[bool] = False
    holes: ClassVar[bool] = True
    needs_proposal: ClassVar[bool] = True

    @abstractmethod
    def draw(self, key: PRNGKeyArray) -> Row:
        """A new row."""

    @abstractmethod
    def weighted(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x with its missing entries drawn from a proposal, and log w, where E[w] = p(x_O).

        The guide, a model of the same rows, may be the proposal; missing entries are zero.
        """


class AbstractDirectConditionals(AbstractApproximate):
    """A distribution that draws from some of its conditionals as they are."""

    @abstractmethod
    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        """Whether `weighted` draws x_M from p(x_M | x_O) itself, so that its weight is p(x_O)."""


class AbstractStepSampler(AbstractApproximate):
    """A distribution drawn in steps, which may be chosen after training."""

    @abstractmethod
    def with_sampler(
        self,
        sampler: str | None = None,
        timesteps: int | None = None,
        guidance: float | None = None,
    ) -> "AbstractStepSampler":
        """The same, drawn from otherwise; None leaves a setting as it is.

        Raises PofxError for settings that it does not have.
        """

    @abstractmethod
    def flow_log_prob(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        """An estimate of log p(x) in nats, by the density of the flow that its steps follow."""


class AbstractPointwise(AbstractApproximate):
    """A distribution whose log p(x) of a complete row is one number, without a draw."""

    @abstractmethod
    def log_density(self, x: Row) -> Float[Array, ""]:
        """log p(x) in nats, of a complete row."""


class AbstractExactDensity(AbstractPointwise):
    """A distribution with the exact density of a complete row."""


class AbstractEnergyModel(AbstractPointwise):
    """A distribution with an energy: p(x) = exp(-E(x)) / Z, and Z known with an error.

    `log_z_stderr` is the standard error of `log_z`, which all answers share: zero where Z is exact.
    """

    log_z: eqx.AbstractVar[Float[Array, ""]]
    log_z_stderr: eqx.AbstractVar[Float[Array, ""]]

    @abstractmethod
    def energy(self, x: Row) -> Float[Array, ""]:
        """E(x) in nats, of a complete row."""

    @abstractmethod
    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """A complete row after a step of a Markov chain that leaves p(x_M | x_O) as it is."""

    def log_density(self, x: Row) -> Float[Array, ""]:
        return -self.energy(x) - self.log_z

    def weighted(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return importance_weighted(key, proposal, self.log_density, x, observed)


class AbstractLowerBound(AbstractApproximate):
    """A distribution with a lower bound: E[log w] <= log p(x_O), tighter with more draws.

    It brings a proposal of its own of what is hidden in it.
    """

    below: ClassVar[bool] = True


class AbstractImportanceSampled(AbstractQueryable):
    """A distribution whose two functions are estimates, their noise fixed by `seed` and the row.

    One seed, one function; another is an independent estimate of the same. Unlike rows have noise
    of their own, so that errors average out over a table as their standard errors say.
    """

    model: eqx.AbstractVar[AbstractApproximate]
    seed: eqx.AbstractVar[UInt[Array, "2"]]
    draws: eqx.AbstractVar[int]

    def noise(self, x: Row, observed: Mask) -> PRNGKeyArray:
        """The key of what is drawn for this row."""
        key = jax.random.wrap_key_data(self.seed)
        # Zero has two signs, and here one.
        entries = jnp.where(observed & (x != 0), x, 0).astype(jnp.float32)
        bits = jax.lax.bitcast_convert_type(entries, jnp.uint32)
        own = jax.vmap(jax.random.fold_in)(jax.random.split(key, bits.size), bits)
        return jax.random.fold_in(key, jax.vmap(jax.random.bits)(own).sum(dtype=jnp.uint32))

    def known(self, observed: Mask) -> Bool[Array, ""]:
        """Whether log p(x_O) is one number, without a draw that could miss something."""
        known = observed.all() & isinstance(self.model, AbstractPointwise)
        if isinstance(self.model, AbstractDirectConditionals) and not self.model.below:
            known |= self.model.draws_exactly(observed)
        return known

    @abstractmethod
    def weighted(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        """The row completed `draws` times, and log-weights in nats.

        Alike of a complete row whose log p is known, in one evaluation of it.
        """


def importance_weighted(
    key: PRNGKeyArray,
    proposal: AbstractTractable,
    log_p: Callable[[Row], Float[Array, ""]],
    x: Row,
    observed: Mask,
) -> tuple[Row, Float[Array, ""]]:
    """x completed by the guide, and log p(x_O, x_M) - log g(x_M | x_O)."""
    whole = proposal.sample(key, x, observed)
    own = log_p(whole)
    # What is impossible to the model may be so to the guide, of which -inf + inf is not a number.
    return whole, jnp.where(own > -jnp.inf, own - log_proposal(proposal, whole, observed), own)


def log_proposal(proposal: AbstractTractable, whole: Row, observed: Mask) -> Float[Array, ""]:
    """log g(x_M | x_O) of the entries that the guide filled in; zero where it filled in none."""

    def density(whole):
        return proposal.log_prob(whole) - proposal.log_prob(whole, observed)

    return jax.lax.cond(observed.all(), lambda whole: jnp.zeros((), whole.dtype), density, whole)


def estimates(model: Any) -> bool:
    """Whether a model's answers are estimates, for it is one or holds one."""
    return any(_is_estimated(leaf) for leaf in jax.tree.leaves(model, is_leaf=_is_estimated))


def reseeded(model: Any, number: int) -> Any:
    """The model as it answers one of `NUM_SEEDS`: the noise of its estimates drawn anew."""

    def anew(leaf):
        if not _is_estimated(leaf):
            return leaf
        key = jax.random.fold_in(jax.random.wrap_key_data(leaf.seed), number)
        return eqx.tree_at(lambda m: m.seed, leaf, jax.random.key_data(key))

    return jax.tree.map(anew, model, is_leaf=_is_estimated)


def energy_ids(models: Any) -> list[bytes]:
    """What tells apart the energies among the models whose log Z is estimated."""
    leaves = jax.tree.leaves(models, is_leaf=_is_estimated)
    known = (_name(leaf) for leaf in leaves if _is_energy(leaf) and leaf.model.log_z_stderr > 0)
    return list(dict.fromkeys(known))


def with_shifted_log_z(model: Any, energy: bytes, errors: float) -> Any:
    """The model with log Z of one of its `energy_ids` so many standard errors higher."""

    def moved(leaf):
        if not _is_energy(leaf) or _name(leaf) != energy:
            return leaf
        log_z = leaf.model.log_z + errors * leaf.model.log_z_stderr
        return eqx.tree_at(lambda m: m.model.log_z, leaf, log_z)

    return jax.tree.map(moved, model, is_leaf=_is_estimated)


def _name(leaf: Any) -> bytes:
    # Fits of one seed have the same seed of draws, but not the same log Z.
    return np.asarray(leaf.seed).tobytes() + np.asarray(leaf.model.log_z).tobytes()


def _is_energy(leaf: Any) -> bool:
    return _is_estimated(leaf) and isinstance(leaf.model, AbstractEnergyModel)


def _is_estimated(leaf: Any) -> bool:
    return isinstance(leaf, AbstractImportanceSampled)
