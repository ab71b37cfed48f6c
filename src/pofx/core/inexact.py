"""Promises of models whose marginals no closed form gives, and what asks them all the same.

Each draws what is missing from a proposal, and weighs the draw so that E[w] = p(x_O).
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt

from pofx.core.distribution import Distribution, Mask, Queryable, Row, Tractable


class Inexact(Distribution):
    """A distribution that is asked by weighted draws.

    `exact_rows` says whether log w of a complete row is log p(x) itself; `below` whether E[w] may
    be less than p(x_O), so that answers are lower bounds however many the draws; `holes` whether it
    learns from rows with missing entries, which are else drawn from the guide.
    """

    exact_rows: ClassVar[bool] = False
    below: ClassVar[bool] = False
    holes: ClassVar[bool] = True

    @abstractmethod
    def draw(self, key: PRNGKeyArray) -> Row:
        """A new row."""

    @abstractmethod
    def weighted(
        self, key: PRNGKeyArray, guide: Tractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x with its missing entries drawn from a proposal, and log w, where E[w] = p(x_O).

        The guide, a model of the same rows, may be the proposal; missing entries are zero.
        """


class Density(Inexact):
    """A distribution with the exact density of a complete row."""

    exact_rows: ClassVar[bool] = True

    @abstractmethod
    def log_density(self, x: Row) -> Float[Array, ""]:
        """log p(x) in nats."""


class Unnormalised(Inexact):
    """A distribution with an energy: p(x) = exp(-E(x)) / Z, and Z known with an error.

    `log_z_stderr` is the standard error of `log_z`, which all answers share: zero where Z is exact.
    """

    log_z: eqx.AbstractVar[Float[Array, ""]]
    log_z_stderr: eqx.AbstractVar[Float[Array, ""]]

    @abstractmethod
    def energy(self, x: Row) -> Float[Array, ""]:
        """E(x) in nats, of a complete row."""

    def weighted(
        self, key: PRNGKeyArray, guide: Tractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return by_guide(key, guide, lambda x: -self.energy(x) - self.log_z, x, observed)


class Bounded(Inexact):
    """A distribution with a lower bound: E[log w] <= log p(x_O), tighter with more draws.

    It brings its own proposal, of what is hidden in it.
    """

    below: ClassVar[bool] = True


class Estimated(Queryable):
    """A distribution whose two functions are estimates, their noise fixed by `seed`.

    One seed, one function: it may be differentiated, and compared between rows. Another seed is an
    independent estimate of the same.
    """

    model: eqx.AbstractVar[Inexact]
    seed: eqx.AbstractVar[UInt[Array, "2"]]

    @abstractmethod
    def weighted(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Float[Array, "s d"], Float[Array, "s"]]:
        """Draws of the row's missing entries, and their log-weights in nats."""


def by_guide(
    key: PRNGKeyArray,
    guide: Tractable,
    log_p: Callable[[Row], Float[Array, ""]],
    x: Row,
    observed: Mask,
) -> tuple[Row, Float[Array, ""]]:
    """x completed by the guide, and log p(x_O, x_M) - log g(x_M | x_O)."""
    whole = guide.sample(key, x, observed)
    return whole, log_p(whole) - proposed(guide, whole, observed)


def proposed(guide: Tractable, whole: Row, observed: Mask) -> Float[Array, ""]:
    """log g(x_M | x_O) of the entries that the guide filled in; zero where it filled in none."""

    def density(whole):
        return guide.log_prob(whole) - guide.log_prob(whole, observed)

    return jax.lax.cond(observed.all(), lambda whole: jnp.zeros((), whole.dtype), density, whole)


def estimates(model: Any) -> bool:
    """Whether a model's answers are estimates, for it is one or holds one."""
    return any(_is_estimated(leaf) for leaf in jax.tree.leaves(model, is_leaf=_is_estimated))


def reseeded(model: Any, number: int) -> Any:
    """The model with the noise of its estimates drawn anew."""

    def anew(leaf):
        if not _is_estimated(leaf):
            return leaf
        key = jax.random.fold_in(jax.random.wrap_key_data(leaf.seed), number)
        return eqx.tree_at(lambda m: m.seed, leaf, jax.random.key_data(key))

    return jax.tree.map(anew, model, is_leaf=_is_estimated)


def _is_estimated(leaf: Any) -> bool:
    return isinstance(leaf, Estimated)
