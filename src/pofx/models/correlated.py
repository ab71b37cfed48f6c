"""Numbers that are jointly normal, beside independent columns of other kinds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, Example, Mask, Row
from pofx.core.column import KINDS, Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.double_double import Double, add, double
from pofx.core.errors import PofxError
from pofx.core.family import log_between
from pofx.core.log_ratios import log_conditional
from pofx.core.rows import Rows, make_rows
from pofx.families.column_families import family_class
from pofx.families.log_normal import LogNormal
from pofx.families.normal import Normal
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent


class Correlated(AbstractEMModel):
    """Numbers jointly normal, positive ones by their logarithm; other columns independent.

    log p(x_O) = log N(t(x)_O; μ, Σ) - Σ_{positive j in O} log x_j + Σ_{other j in O} log p_j(x_j)

    t takes the logarithm of positive columns. Columns with point masses, of counts and of levels
    are others. As the part of a mixture, whose components tie these to the numbers, it is a
    latent-class model with local dependence (Hunt and Jorgensen, "Mixture model clustering using
    the MULTIMIX program", 1999); `covariance` and `prior` are a Gaussian's.

    >>> p = Correlated.example(jax.random.key(0)).model
    >>> p.size, p.place, p.logs
    (4, (0, 2, 3), (False, True, False))
    """

    normal: Gaussian
    rest: Independent | None
    place: tuple[int, ...] = eqx.field(static=True)
    logs: tuple[bool, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.place) + (self.rest.size if self.rest else 0)

    @property
    def others(self) -> tuple[int, ...]:
        """Where the columns stand that are no such numbers."""
        return tuple(j for j in range(self.size) if j not in self.place)

    def numbers(self, x: Array, observed: Array) -> tuple[Array, Array]:
        """t(x) of the numbers, and which of them are observed."""
        place = np.array(self.place)
        own = x[..., place]
        logarithm = jnp.log(jnp.where(own > 0, own, 1))
        return jnp.where(np.array(self.logs), logarithm, own), observed[..., place]

    def remainder(self, x: Array, observed: Array) -> tuple[Array, Array]:
        """The other columns, and which of them are observed."""
        others = np.array(self.others, int)
        return x[..., others], observed[..., others]

    def whole(self, numbers: Float[Array, "p"], others: Float[Array, "q"]) -> Row:
        """A row of numbers as they are and of the other columns."""
        order = np.argsort(np.array([*self.place, *self.others]))
        return jnp.concatenate([numbers, others.astype(numbers.dtype)])[order]

    def outward(self, y: Float[Array, "p"]) -> Float[Array, "p"]:
        """The numbers whose t is y."""
        logs = np.array(self.logs)
        return jnp.where(logs, jnp.exp(jnp.where(logs, y, 0)), y)

    def _volume(self, x: Row, observed: Mask) -> Float[Array, ""]:
        """log |dt / dx| of the observed numbers; -inf for one that has no logarithm."""
        return self._volumes(x, observed).sum()

    def _volumes(self, x: Row, observed: Mask) -> Float[Array, "p"]:
        """log dt / dx of each number, zero if it is missing."""
        own = x[np.array(self.place)]
        seen = observed[np.array(self.place)] & np.array(self.logs)
        each = jnp.where(own > 0, -jnp.log(jnp.where(own > 0, own, 1)), -jnp.inf)
        return jnp.where(seen, each, 0)

    def _of_numbers(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return self.normal.log_prob(*self.numbers(x, observed)) + self._volume(x, observed)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        own = self._of_numbers(x, observed)
        return own + self.rest.log_prob(*self.remainder(x, observed)) if self.rest else own

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        first, second = jax.random.split(key)
        own = self.outward(self.normal.sample(first, *self.numbers(x, observed)))
        if self.rest is None:
            return own
        return self.whole(own, self.rest.sample(second, *self.remainder(x, observed)))

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        own, total = self.normal.expected_statistics(*self.numbers(x, observed), weight)
        volume = jax.vmap(self._volume, (0, None))(x, observed)
        total += jnp.where(weight > 0, weight * volume, 0).sum()
        if self.rest is None:
            return (own, None), total
        rest, more = self.rest.expected_statistics(*self.remainder(x, observed), weight)
        return (own, rest), total + more

    def m_step(self, statistics: Any) -> "Correlated":
        own, rest = statistics
        return replace(
            self,
            normal=self.normal.m_step(own),
            rest=self.rest and self.rest.m_step(rest),
        )

    def log_prior_density(self) -> Float[Array, ""]:
        own = self.normal.log_prior_density()
        return own + self.rest.log_prior_density() if self.rest else own

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        covariance: str = "full",
        prior: float = 1.0,
    ) -> "Correlated":
        """Uncorrelated numbers at the data's scale, and each other column near its data."""
        place = [j for j, c in enumerate(columns) if is_number(c)]
        others = [j for j in range(len(columns)) if j not in place]
        if not place:
            raise PofxError(
                "columns: expected one of real or positive numbers without point masses, and there "
                "is none; use model='independent', or a mixture of that"
            )
        x, observed, weight = rows.to_arrays()
        logs = tuple(columns[j].kind == "positive" for j in place)
        y, seen = x[:, place], observed[:, place]
        y = np.where(logs, np.log(np.where(y > 0, y, 1)), y)
        typical = np.exp(np.where(logs, np.average(y, 0, seen * weight[:, None] + 1e-30), 0))
        # A gap of r about a typical x is a gap of r / x about log x.
        own = [
            replace(columns[j], kind="real", family="normal", resolution=columns[j].resolution / t)
            for j, t in zip(place, typical)
        ]
        normal = Gaussian.from_data(
            key, make_rows(y, seen, weight), own, covariance=covariance, prior=prior
        )
        rest = None
        if others:
            heavy = (observed * weight[:, None])[:, others]
            rest = Independent.from_cells([columns[j] for j in others], x[:, others], heavy, prior)
        return cls(normal, rest, tuple(place), logs)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "positive", family="log_normal"),
            Column("d", "real", family="normal"),
        )
        few = make_rows(np.array([[-1.0, 0, 0.5, 1], [1, 1, 2, 0], [0, 1, 1, 0.5]]))
        half = 0.3 * jax.random.normal(key, (3, 3))
        covariance = half @ half.T + 0.1 * jnp.eye(3)
        model = cls.from_data(key, few, columns)
        return Example(eqx.tree_at(lambda p: p.normal.covariance, model, covariance), columns)


def is_number(column: Column) -> bool:
    """Whether a column is normal, or its logarithm, in such a model."""
    return family_class(column) in (Normal, LogNormal)


@closed_forms.condition.register(Correlated)
def _condition(
    p: Correlated, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Correlated | Independent | None:
    def part(model, own, seen, kept):
        if model is None or not kept.any():
            return None
        rule = closed_forms.condition.find(model)
        assert rule is not None
        return rule(model, own, seen, kept)

    place, others = np.array(p.place), np.array(p.others, int)
    y, _ = p.numbers(x, jnp.asarray(observed))
    normal = part(p.normal, y, observed[place], keep[place])
    rest = part(p.rest, x[..., others], observed[others], keep[others])
    if normal is None:
        return rest
    new = np.cumsum(keep) - 1
    place = tuple(int(new[j]) for j in p.place if keep[j])
    return Correlated(normal, rest, place, tuple(g for j, g in zip(p.place, p.logs) if keep[j]))


@closed_forms.entropy.register(Correlated)
def _entropy(p: Correlated, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    # H(x) = H(t(x)) + Σ_positive E[log x_j] + Σ_others H(x_j)
    rule, own = closed_forms.entropy.find(p.normal), asked[np.array(p.place)]
    assert rule is not None
    total = rule(p.normal, own) + jnp.where(own & np.array(p.logs), p.normal.mean, 0).sum()
    if p.rest is None:
        return total
    other = closed_forms.entropy.find(p.rest)
    assert other is not None
    return total + other(p.rest, asked[np.array(p.others)])


@closed_forms.moments.register(Correlated)
def _moments(p: Correlated) -> tuple[Row, Float[Array, "d d"]]:
    s, logs = p.normal.covariance, np.array(p.logs)
    mean = _means(p, p.normal.mean, jnp.diagonal(s))
    # Of normal a, b: Cov[e^a, e^b] = E[e^a] E[e^b] (e^s_ab - 1), Cov[e^a, b] = E[e^a] s_ab.
    both = logs[:, None] & logs
    factor = jnp.where(logs, mean, 1)
    covariance = jnp.where(both, jnp.expm1(jnp.where(both, s, 0)), s) * jnp.outer(factor, factor)
    if p.rest is None:
        return mean, covariance
    order = np.argsort(np.array([*p.place, *p.others]))
    block = jax.scipy.linalg.block_diag(covariance, jnp.diag(p.rest.variances()))
    return p.whole(mean, p.rest.means()), block[np.ix_(order, order)]


def _means(
    p: Correlated, mean: Float[Array, "p"], variance: Float[Array, "p"]
) -> Float[Array, "p"]:
    """E[x_j] of numbers whose t has that mean and variance."""
    return p.outward(mean + jnp.where(np.array(p.logs), variance / 2, 0))


@closed_forms.expectation.register(Correlated)
def _expectation(p: Correlated, x: Row, observed: Mask) -> Row:
    mean, covariance = _given(p, x, observed)
    own = _means(p, mean, jnp.diagonal(covariance))
    return own if p.rest is None else p.whole(own, p.rest.means())


def _given(p: Correlated, x: Row, observed: Mask) -> tuple[Float[Array, "p"], Float[Array, "p p"]]:
    """Mean and covariance of t(x_M) given x_O, laid out in all rows and columns."""
    y, seen = p.numbers(x, observed)
    g = p.normal.regression(seen)
    mean = p.normal.mean + g @ jnp.where(seen, y - p.normal.mean, 0)
    missing = ~seen[:, None] & ~seen
    return mean, jnp.where(missing, p.normal.covariance - g @ p.normal.covariance, 0)


@closed_forms.most_probable.register(Correlated)
def _completion(p: Correlated, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    # The density of x is highest where log N(y) - Σ_positive y_j is: at mean less Σ 1_positive.
    mean, covariance = _given(p, x, observed)
    own = p.outward(mean - covariance @ jnp.array(p.logs, mean.dtype))
    best = own if p.rest is None else p.whole(own, p.rest.modes())
    best = jnp.where(observed, x, best)
    return best, p.log_prob(best)


@closed_forms.conditional_column.register(Correlated)
def _column(p: Correlated, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    if j not in p.place:
        rule = closed_forms.conditional_column.find(p.rest)
        return rule and rule(p.rest, *p.remainder(x, observed), p.others.index(j))
    rule, i = closed_forms.conditional_column.find(p.normal), p.place.index(j)
    assert rule is not None
    own = rule(p.normal, *p.numbers(x, observed), i)
    return ColumnMixture(own.log_weights, LogNormal(own.family)) if p.logs[i] else own


@closed_forms.log_prob_box.register(Correlated)
def _box(
    p: Correlated,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    own = [i for i, j in enumerate(place) if j in p.place]
    rest = np.array([i for i, j in enumerate(place) if j not in p.place], int)
    if len(own) > 1:
        return None  # a probability of a normal orthant
    total = _numbers_given(p, x, observed, given)
    for i in own:
        found = _column(p, x, observed, place[i])
        assert found is not None
        total += log_between(found.family, low[i : i + 1], high[i : i + 1])[0]
    if p.rest is None:
        return total
    rule, inside = (
        closed_forms.log_prob_box.find(p.rest),
        tuple(p.others.index(place[i]) for i in rest),
    )
    assert rule is not None
    before = None if given is None else p.remainder(x, given)[1]
    others = *p.remainder(x, observed), inside, low[rest], high[rest], before
    return total + rule(p.rest, *others)


def _numbers_given(p: Correlated, x: Row, observed: Mask, given: Mask | None) -> Float[Array, ""]:
    """log p of the observed numbers given those of G."""
    if given is None:
        return p._of_numbers(x, observed)
    ratio = log_conditional(p.normal, *p.numbers(x, observed), p.numbers(x, given)[1])
    possible = p._volume(x, given) > -jnp.inf
    return jnp.where(possible, ratio + p._volume(x, observed & ~given), jnp.nan)


@closed_forms.terms.register(Correlated)
def _terms(p: Correlated, x: Row, observed: Mask, fine: bool) -> Double:
    rule = closed_forms.terms.find(p.normal)
    assert rule is not None
    each = rule(p.normal, *p.numbers(x, observed), fine)
    own = add(Double(each.high[:-1], each.low[:-1]), double(p._volumes(x, observed)))
    rest = double(jnp.zeros(0, x.dtype))
    if p.rest is not None:
        other = closed_forms.terms.find(p.rest)
        assert other is not None
        rest = Double(*(a[:-1] for a in other(p.rest, *p.remainder(x, observed), fine)))
    rows = zip(own, rest, each)
    return Double(*(jnp.append(p.whole(n, o), e[-1]) for n, o, e in rows))


@closed_forms.groups.register(Correlated)
def _groups(p: Correlated) -> tuple[int, ...]:
    numbers = closed_forms.groups.find(p.normal)
    of_number = dict(zip(p.place, numbers(p.normal) if numbers else [0] * len(p.place)))
    return tuple(of_number.get(j, p.size + j) for j in range(p.size))
