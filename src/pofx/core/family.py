"""The abstract class of one-column distributions, and functions that serve all of them."""

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
"""A pytree of sums over rows; two such pytrees are added leaf by leaf."""


class AbstractFamily(eqx.Module):
    """A distribution of one cell, vectorised over c columns of one type.

    Parameters have shape (c,) or (c, levels), and each method works column by column. A family is
    learned from sums over rows only. If its maximum likelihood has no closed form, `m_step` never
    lowers the likelihood of the rows, and repeated steps converge to the maximum (Dempster, Laird
    and Rubin 1977).

    A subclass provides
        kinds, support_point: which columns it can model, and a value in its support;
        log_prob, cdf, survival, _between, _log_between, _quantile: probabilities and quantiles;
        sample: a draw;
        mean, variance, mode, entropy: its properties;
        statistics, expected_statistics, m_step, from_data: how it is learned;
        stack_key, num_raw, from_unconstrained: how columns share an instance, and its parameters
            from unconstrained numbers;
        example: a small instance for the tests.
    """

    kinds: ClassVar[frozenset[Kind]]
    """The kinds of column that it can model."""
    support_point: ClassVar[float]
    """A value in the support, put in missing cells before any arithmetic."""

    @abstractmethod
    def log_prob(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """log p(x) in nats per column; -inf outside the support."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray) -> Float[Array, "c"]:
        """One draw per column."""

    @abstractmethod
    def cdf(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """P(X <= x) per column."""

    @abstractmethod
    def survival(self, x: Float[Array, "c"]) -> Float[Array, "c"]:
        """P(X > x) per column, with a small relative error also in the far tail."""

    @abstractmethod
    def _between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        """`between` if low < high; rounding may make it slightly negative."""

    @abstractmethod
    def _log_between(self, low: Float[Array, "c"], high: Float[Array, "c"]) -> Float[Array, "c"]:
        """`log_between` if low < high, however small the probability is."""

    def quantile(
        self, u: Float[Array, "c"], above: Float[Array, "c"] | None = None
    ) -> Float[Array, "c"]:
        """The smallest x with P(X <= x) >= u, per column.

        Args:
            u: the levels.
            above: 1 - u; it has digits that u near one has lost.
        """
        return self._quantile(u, 1 - u if above is None else above)

    @abstractmethod
    def _quantile(self, u: Float[Array, "c"], above: Float[Array, "c"]) -> Float[Array, "c"]:
        """`quantile` from u, or from 1 - u if that has more digits."""

    @abstractmethod
    def mean(self) -> Float[Array, "c"]:
        """E[X] per column."""

    @abstractmethod
    def variance(self) -> Float[Array, "c"]:
        """Var[X] per column; for levels, the variance of their codes."""

    @abstractmethod
    def mode(self) -> Float[Array, "c"]:
        """The smallest x of highest mass or density, per column."""

    @abstractmethod
    def entropy(self) -> Float[Array, "c"]:
        """H(X) in nats per column, exact to rounding, or NaN if it is not known."""

    @abstractmethod
    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        """Weighted sums over rows of the sufficient statistics; each leaf has shape (c, ...)."""

    @abstractmethod
    def expected_statistics(self, other: Any) -> Statistics:
        """The expected `statistics` of one row drawn from `other`, a family of the same class.

        A prior of a few pseudo-rows is their number times these statistics.
        """

    @abstractmethod
    def m_step(self, statistics: Statistics) -> "AbstractFamily":
        """The family with the greatest likelihood; columns with empty statistics do not change."""

    @classmethod
    @abstractmethod
    def from_data(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n c"],
        weight: Float[np.ndarray, "n c"],
    ) -> "AbstractFamily":
        """Initial parameters near the data of the columns: centre, scale and floors.

        Cells of weight zero are missing; they do not count, whatever they hold.
        """

    @classmethod
    @abstractmethod
    def stack_key(cls, column: Column) -> tuple:
        """A key of the column; columns with equal keys can share one instance."""

    @classmethod
    @abstractmethod
    def num_raw(cls, column: Column) -> int:
        """The number of unconstrained numbers that determine one such column."""

    @abstractmethod
    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "AbstractFamily":
        """The same columns with parameters from unconstrained numbers; floors do not change."""

    @classmethod
    @abstractmethod
    def example(cls, key: PRNGKeyArray) -> "tuple[AbstractFamily, tuple[Column, ...]]":
        """A small instance with at least two columns, for the tests of all families."""


class AbstractFixedFamily(AbstractFamily):
    """A family whose parameters stay as they are: learning from rows does not change them.

    A subclass provides everything but statistics, expected_statistics, m_step, stack_key, num_raw
    and from_unconstrained.
    """

    def statistics(self, x: Float[Array, "n c"], weight: Float[Array, "n c"]) -> Statistics:
        return weight.sum(0)

    def expected_statistics(self, other: Any) -> Statistics:
        return jnp.ones_like(self.mean())

    def m_step(self, statistics: Statistics) -> "AbstractFixedFamily":
        return self

    @classmethod
    def stack_key(cls, column: Column) -> tuple:
        return ()

    @classmethod
    def num_raw(cls, column: Column) -> int:
        return 0

    def from_unconstrained(self, raw: Float[Array, "c size"]) -> "AbstractFixedFamily":
        return self


def between(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """P(low < X <= high) per column, with a small relative error; zero if low >= high.

    Ends may be infinite. Intervals may be narrow or far in a tail.
    """
    valid = low < high
    # Empty intervals become the real line, because the gradient of its probability is zero.
    p = family._between(jnp.where(valid, low, -jnp.inf), jnp.where(valid, high, jnp.inf))
    return jnp.where(valid, jnp.maximum(p, 0), 0)


def log_between(
    family: AbstractFamily, low: Float[Array, "c"], high: Float[Array, "c"]
) -> Float[Array, "c"]:
    """log P(low < X <= high) per column, however small the probability is.

    -inf if low >= high, or if the interval has no probability under the family.
    """
    valid = low < high
    log_p = family._log_between(jnp.where(valid, low, -jnp.inf), jnp.where(valid, high, jnp.inf))
    return jnp.where(valid, jnp.minimum(log_p, 0), -jnp.inf)


def fine_log_prob(family: AbstractFamily, x: Float[Array, "c"]) -> Double:
    """`log_prob` and its rounding error, for families in which that error is large."""
    rule = closed_forms.log_prob_double.find(family)
    return rule(family, x) if rule else double(family.log_prob(x))
