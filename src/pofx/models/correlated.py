"""Columns of numbers that are jointly normal, with independent columns of other kinds."""

from collections.abc import Callable, Sequence
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
    """Numbers that are jointly normal, positive ones in logarithm, and independent other columns.

    log p(x_O) = log N(t(x)_O; μ, Σ) - Σ_{positive j in O} log x_j + Σ_{other j in O} log p_j(x_j)

    Columns: all kinds, with at least one number. t takes the logarithm of positive columns. Columns
    with point masses, counts and levels are independent. As the part of a mixture, whose components
    make all columns dependent, it is a latent-class model with local dependence (Hunt and
    Jorgensen, "Mixture model clustering using the MULTIMIX program", 1999).

    >>> p = Correlated.example(jax.random.key(0)).model
    >>> p.size, p.place, p.logs
    (4, (0, 2, 3), (False, True, False))
    """

    normal: Gaussian
    independent: Independent | None
    place: tuple[int, ...] = eqx.field(static=True)
    logs: tuple[bool, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.place) + (self.independent.size if self.independent else 0)

    @property
    def other_place(self) -> tuple[int, ...]:
        """Indices of the independent columns."""
        return tuple(j for j in range(self.size) if j not in self.place)

    def transform(self, x: Array, observed: Array) -> tuple[Array, Array]:
        """t(x) of the numbers, and the mask of those that are observed."""
        place = np.array(self.place)
        values = x[..., place]
        logarithm = jnp.log(jnp.where(values > 0, values, 1))
        return jnp.where(np.array(self.logs), logarithm, values), observed[..., place]

    def select_others(self, x: Array, observed: Array) -> tuple[Array, Array]:
        """The independent columns, and the mask of those that are observed."""
        place = np.array(self.other_place, int)
        return x[..., place], observed[..., place]

    def merge(self, numbers: Float[Array, "p"], independent: Float[Array, "q"]) -> Row:
        """A row from its numbers (not transformed) and its independent columns."""
        order = np.argsort(np.array([*self.place, *self.other_place]))
        return jnp.concatenate([numbers, independent.astype(numbers.dtype)])[order]

    def invert(self, y: Float[Array, "p"]) -> Float[Array, "p"]:
        """The numbers x with t(x) = y."""
        logs = np.array(self.logs)
        return jnp.where(logs, jnp.exp(jnp.where(logs, y, 0)), y)

    def _log_det(self, x: Row, observed: Mask) -> Float[Array, ""]:
        """log |dt / dx| of the observed numbers; -inf if a number has no logarithm."""
        return self._log_slopes(x, observed).sum()

    def _log_slopes(self, x: Row, observed: Mask) -> Float[Array, "p"]:
        """log dt / dx of each number, zero if it is missing."""
        values = x[np.array(self.place)]
        mask = observed[np.array(self.place)] & np.array(self.logs)
        slopes = jnp.where(values > 0, -jnp.log(jnp.where(values > 0, values, 1)), -jnp.inf)
        return jnp.where(mask, slopes, 0)

    def _log_prob_numbers(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return self.normal.log_prob(*self.transform(x, observed)) + self._log_det(x, observed)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        log_p = self._log_prob_numbers(x, observed)
        if self.independent is None:
            return log_p
        return log_p + self.independent.log_prob(*self.select_others(x, observed))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        normal_key, other_key = jax.random.split(key)
        numbers = self.invert(self.normal.sample(normal_key, *self.transform(x, observed)))
        if self.independent is None:
            return numbers
        others = self.independent.sample(other_key, *self.select_others(x, observed))
        return self.merge(numbers, others)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        normal, total = self.normal.expected_statistics(*self.transform(x, observed), weight)
        log_det = jax.vmap(self._log_det, (0, None))(x, observed)
        total += jnp.where(weight > 0, weight * log_det, 0).sum()
        if self.independent is None:
            return (normal, None), total
        cells = self.select_others(x, observed)
        independent, log_likelihood = self.independent.expected_statistics(*cells, weight)
        return (normal, independent), total + log_likelihood

    def m_step(self, statistics: Any) -> "Correlated":
        normal = self.normal.m_step(statistics[0])
        independent = self.independent and self.independent.m_step(statistics[1])
        return replace(self, normal=normal, independent=independent)

    def log_prior_density(self) -> Float[Array, ""]:
        log_prior = self.normal.log_prior_density()
        return log_prior + self.independent.log_prior_density() if self.independent else log_prior

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
        """Uncorrelated numbers on the scale of the data; each other column near its data.

        Args:
            covariance: structure of Σ: "full" (default), "diagonal", "spherical" or "tied".
            prior: number of pseudo-rows, default 1 (0: maximum likelihood).

        Raises PofxError if no column is a number.
        """
        place = [j for j, c in enumerate(columns) if is_number(c)]
        others = [j for j in range(len(columns)) if j not in place]
        if not place:
            raise PofxError(
                "columns: expected one of real or positive numbers without point masses, got none; "
                "use model='independent', or a mixture of it"
            )
        x, observed, weight = rows.to_arrays()
        logs = tuple(columns[j].kind == "positive" for j in place)
        y, y_observed = x[:, place], observed[:, place]
        y = np.where(logs, np.log(np.where(y > 0, y, 1)), y)
        mean = np.average(y, 0, y_observed * weight[:, None] + 1e-30)
        # A resolution of r near a typical x is a resolution of r / x of log x.
        numbers = [
            replace(columns[j], kind="real", family="normal", resolution=columns[j].resolution / t)
            for j, t in zip(place, np.exp(np.where(logs, mean, 0)))
        ]
        y_rows = make_rows(y, y_observed, weight)
        normal = Gaussian.from_data(key, y_rows, numbers, covariance=covariance, prior=prior)
        independent = None
        if others:
            cells = x[:, others], (observed * weight[:, None])[:, others]
            independent = Independent.from_cells([columns[j] for j in others], *cells, prior)
        return cls(normal, independent, tuple(place), logs)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "positive", family="log_normal"),
            Column("d", "real", family="normal"),
        )
        rows = make_rows(np.array([[-1.0, 0, 0.5, 1], [1, 1, 2, 0], [0, 1, 1, 0.5]]))
        half = 0.3 * jax.random.normal(key, (3, 3))
        covariance = half @ half.T + 0.1 * jnp.eye(3)
        model = cls.from_data(key, rows, columns)
        return Example(eqx.tree_at(lambda p: p.normal.covariance, model, covariance), columns)


def _rule(rules: closed_forms.Rule, part: Any) -> Callable[..., Any]:
    """The closed form of a part, which has one."""
    rule = rules.find(part)
    assert rule is not None
    return rule


def is_number(column: Column) -> bool:
    """Whether `Correlated` treats a column as a number: normal, or normal in logarithm."""
    return family_class(column) in (Normal, LogNormal)


@closed_forms.condition.register(Correlated)
def _condition(
    p: Correlated, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Correlated | Independent | None:
    def condition_part(model, values, mask, keep_part):
        if model is None or not keep_part.any():
            return None
        return _rule(closed_forms.condition, model)(model, values, mask, keep_part)

    place, others = np.array(p.place), np.array(p.other_place, int)
    y, _ = p.transform(x, jnp.asarray(observed))
    normal = condition_part(p.normal, y, observed[place], keep[place])
    independent = condition_part(p.independent, x[..., others], observed[others], keep[others])
    if normal is None:
        return independent
    new_index = np.cumsum(keep) - 1
    place = tuple(int(new_index[j]) for j in p.place if keep[j])
    logs = tuple(log for j, log in zip(p.place, p.logs) if keep[j])
    return Correlated(normal, independent, place, logs)


@closed_forms.entropy.register(Correlated)
def _entropy(p: Correlated, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    # H(x) = H(t(x)) + Σ_positive E[log x_j] + Σ_others H(x_j)
    number_mask = target_mask[np.array(p.place)]
    total = _rule(closed_forms.entropy, p.normal)(p.normal, number_mask)
    total += jnp.where(number_mask & np.array(p.logs), p.normal.mean, 0).sum()
    if p.independent is None:
        return total
    other_mask = target_mask[np.array(p.other_place)]
    return total + _rule(closed_forms.entropy, p.independent)(p.independent, other_mask)


@closed_forms.moments.register(Correlated)
def _moments(p: Correlated) -> tuple[Row, Float[Array, "d d"]]:
    s = p.normal.covariance
    logs = np.array(p.logs)
    mean = _means(p, p.normal.mean, jnp.diagonal(s))
    # For normal a, b: Cov[e^a, e^b] = E[e^a] E[e^b] (e^s_ab - 1), Cov[e^a, b] = E[e^a] s_ab.
    pairs = logs[:, None] & logs
    factor = jnp.where(logs, mean, 1)
    covariance = jnp.where(pairs, jnp.expm1(jnp.where(pairs, s, 0)), s) * jnp.outer(factor, factor)
    if p.independent is None:
        return mean, covariance
    order = np.argsort(np.array([*p.place, *p.other_place]))
    block = jax.scipy.linalg.block_diag(covariance, jnp.diag(p.independent.variances()))
    return p.merge(mean, p.independent.means()), block[np.ix_(order, order)]


def _means(p: Correlated, mean: Float[Array, "p"], variance: Float[Array, "p"]) -> Array:
    """E[x_j] of the numbers if t(x) has this mean and variance."""
    return p.invert(mean + jnp.where(np.array(p.logs), variance / 2, 0))


@closed_forms.expectation.register(Correlated)
def _expectation(p: Correlated, x: Row, observed: Mask) -> Row:
    mean, covariance = _conditional_moments(p, x, observed)
    numbers = _means(p, mean, jnp.diagonal(covariance))
    return numbers if p.independent is None else p.merge(numbers, p.independent.means())


def _conditional_moments(p: Correlated, x: Row, observed: Mask) -> tuple[Array, Array]:
    """Mean and covariance of t(x) of the numbers given x_O; covariances in O are zero."""
    y, number_mask = p.transform(x, observed)
    gain = p.normal.regression(number_mask)
    mean = p.normal.mean + gain @ jnp.where(number_mask, y - p.normal.mean, 0)
    missing = ~number_mask[:, None] & ~number_mask
    return mean, jnp.where(missing, p.normal.covariance - gain @ p.normal.covariance, 0)


@closed_forms.most_probable.register(Correlated)
def _completion(p: Correlated, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    # The mode of x maximises log N(y) - Σ_positive y_j over y = t(x): it is at mean - Σ 1_positive.
    mean, covariance = _conditional_moments(p, x, observed)
    numbers = p.invert(mean - covariance @ jnp.array(p.logs, mean.dtype))
    best = numbers if p.independent is None else p.merge(numbers, p.independent.modes())
    best = jnp.where(observed, x, best)
    return best, p.log_prob(best)


@closed_forms.conditional_column.register(Correlated)
def _column(p: Correlated, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    if j not in p.place:
        rule = closed_forms.conditional_column.find(p.independent)
        return rule and rule(p.independent, *p.select_others(x, observed), p.other_place.index(j))
    i = p.place.index(j)
    rule = _rule(closed_forms.conditional_column, p.normal)
    column = rule(p.normal, *p.transform(x, observed), i)
    return ColumnMixture(column.log_weights, LogNormal(column.family)) if p.logs[i] else column


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
    number_places = [i for i, j in enumerate(place) if j in p.place]
    others = np.array([i for i, j in enumerate(place) if j not in p.place], int)
    if len(number_places) > 1:
        return None  # the probability of a normal orthant has no closed form
    total = _log_prob_given(p, x, observed, given)
    for i in number_places:
        column = _column(p, x, observed, place[i])
        assert column is not None
        log_mass = log_between(column.family, low[i : i + 1], high[i : i + 1])[0]
        total += jnp.where(observed[place[i]], 0, log_mass)
    if p.independent is None:
        return total
    rule = _rule(closed_forms.log_prob_box, p.independent)
    places = tuple(p.other_place.index(place[i]) for i in others)
    other_given = None if given is None else p.select_others(x, given)[1]
    cells = p.select_others(x, observed)
    return total + rule(p.independent, *cells, places, low[others], high[others], other_given)


def _log_prob_given(p: Correlated, x: Row, observed: Mask, given: Mask | None) -> Float[Array, ""]:
    """log p of the observed numbers given those of G, the mask `given`."""
    if given is None:
        return p._log_prob_numbers(x, observed)
    ratio = log_conditional(p.normal, *p.transform(x, observed), p.transform(x, given)[1])
    possible = p._log_det(x, given) > -jnp.inf
    return jnp.where(possible, ratio + p._log_det(x, observed & ~given), jnp.nan)


@closed_forms.terms.register(Correlated)
def _terms(p: Correlated, x: Row, observed: Mask, fine: bool) -> Double:
    normal_terms = _rule(closed_forms.terms, p.normal)(p.normal, *p.transform(x, observed), fine)
    quadratic_terms = Double(normal_terms.high[:-1], normal_terms.low[:-1])
    number_terms = add(quadratic_terms, double(p._log_slopes(x, observed)))
    independent_terms = double(jnp.zeros(0, x.dtype))
    if p.independent is not None:
        rule = _rule(closed_forms.terms, p.independent)
        terms = rule(p.independent, *p.select_others(x, observed), fine)
        independent_terms = Double(*(a[:-1] for a in terms))
    parts = zip(number_terms, independent_terms, normal_terms)
    return Double(*(jnp.append(p.merge(n, i), e[-1]) for n, i, e in parts))


@closed_forms.groups.register(Correlated)
def _groups(p: Correlated) -> tuple[int, ...]:
    rule = closed_forms.groups.find(p.normal)
    group_of_number = dict(zip(p.place, rule(p.normal) if rule else [0] * len(p.place)))
    return tuple(group_of_number.get(j, p.size + j) for j in range(p.size))
