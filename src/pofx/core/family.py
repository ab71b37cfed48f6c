"""The one-column family: where columns of different types meet."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.column import Column, Kind
from pofx.core.double_double import Double, double

Statistics: TypeAlias = Any
"""A pytree of sums over rows; two of them add leaf by leaf."""


class AbstractFamily(eqx.Module):
    """A distribution of one cell, vectorised over c columns of one type.

    Parameters have shape (c,) or (c, levels); each method works column by column. Learning is by
    sums over rows only: `statistics` sums (expected) sufficient statistics, `m_step` returns the
    family that maximises the likelihood they state. In a family whose maximum has no closed form,
    `m_step` never lowers the likelihood of the rows behind the statistics, and repeating the
    pair converges to the maximum (Dempster, Laird and Rubin 1977).
    """

    kinds: ClassVar[frozenset[Kind]]
    """Kinds of column that it can carry."""
    support_point: ClassVar[float]
    """A value within the support, put in missing cells before arithmetic."""

    @abstractmethod
    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """log p(x) in nats, column by column; -inf outside the support."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        """One draw of each column."""

    @abstractmethod
    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """P(X <= x), column by column."""

    @abstractmethod
    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """P(X > x), column by column, to its own relative error far out."""

    @abstractmethod
    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        """`between` where low < high, down to rounding below zero."""

    @abstractmethod
    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_between` where low < high, however small the probability."""

    def quantile(
        self, u: Float[Array, "c"], above: Float[Array, "c"] | None = None
    ) -> Float[Array, "c"]:
        """The smallest x with P(X <= x) >= u, column by column.

        `above` is 1 - u, which has the digits that u near one has lost.
        """
        return self._quantile(u, 1 - u if above is None else above)

    @abstractmethod
    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        """`quantile` by the level from below, or from above where that has more digits."""

    @abstractmethod
    def mean(self) -> Float[Array, "c"]:
        """E[X], column by column."""

    @abstractmethod
    def variance(self) -> Float[Array, "c"]:
        """Var[X], column by column; of a level, that of its code."""

    @abstractmethod
    def mode(self) -> Float[Array, "c"]:
        """The smallest x of highest mass or density, column by column."""

    @abstractmethod
    def entropy(self) -> Float[Array, "c"]:
        """H(X) in nats, exact to rounding, or NaN where it is not known."""

    @abstractmethod
    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        """Sums over rows of weight times the sufficient statistics; each leaf is (c, ...)."""

    @abstractmethod
    def expected_statistics(self, other: Any) -> Statistics:
        """What `statistics` is expected to give for one row drawn from `other`, of the same class.

        A prior of a few pseudo-rows is this times their number.
        """

    @abstractmethod
    def m_step(self, statistics: Statistics) -> "AbstractFamily":
        """The family of greatest likelihood for the statistics; itself where they are empty."""

    @classmethod
    @abstractmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "AbstractFamily":
        """A start near the data of the columns: centre, scale and floors.

        Cells of weight zero (missing ones) count for nothing, whatever they hold.
        """

    @classmethod
    @abstractmethod
    def stack_key(cls, column: Column) -> tuple:
        """Columns with equal keys can be stacked into one instance."""

    @classmethod
    @abstractmethod
    def num_raw(cls, column: Column) -> int:
        """How many unconstrained numbers state one such column."""

    @abstractmethod
    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "AbstractFamily":
        """The same columns with parameters from unconstrained numbers; floors are kept."""

    @classmethod
    @abstractmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[AbstractFamily, tuple[Column, ...]]":
        """A small instance with at least two columns, for the laws."""


def between(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """P(low < X <= high), column by column, to its own relative error; zero where low >= high.

    Ends may be infinite, and intervals narrow or far out in a tail.
    """
    some = low < high
    # The whole line stands for nothing: of its probability the gradient is zero.
    p = family._between(jnp.where(some, low, -jnp.inf), jnp.where(some, high, jnp.inf))
    return jnp.where(some, jnp.maximum(p, 0), 0)


def log_between(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """log P(low < X <= high), column by column, however small the probability is.

    -inf where low >= high, or where the family gives the interval no probability.
    """
    some = low < high
    log_p = family._log_between(jnp.where(some, low, -jnp.inf), jnp.where(some, high, jnp.inf))
    return jnp.where(some, jnp.minimum(log_p, 0), -jnp.inf)


def fine_log_prob(family: AbstractFamily, x: Float[Array, "c"]) -> Double:
    """`log_prob`, and what rounding takes from it in a family in which that is much."""
    rule = closed_forms.fine.find(family)
    return rule(family, x) if rule else double(family.log_prob(x))
