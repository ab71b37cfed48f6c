"""The product rule as a class: p(y) p(x | y)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractEMModel, AbstractTractable, Example, Mask, Row
from pofx.core.column import DISCRETE, Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import over_components, stack_modules
from pofx.core.double_double import Double
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.rows import Rows, make_rows
from pofx.families.special_functions import divergence
from pofx.models.components.log_prob_terms import log_posterior, mixture_terms, part_terms
from pofx.models.components.operations import (
    draw,
    most_probable_component,
    log_prior_density,
    log_probs,
    log_weights,
    m_step_parts,
    mixture_log_prob_box,
    mixture_column,
    mixture_expectation,
    mixture_moments,
    part_class,
    part_statistics,
    responsibilities,
)
from pofx.models.gaussian import Gaussian
from pofx.models.mixture import Mixture

FEW = 5


class ClassConditional(AbstractEMModel):
    """p(y) p(x | y) for a discrete column y: a generative classifier, a generator by class.

    log p(x_O, y) = log p(y) + log p(x_O | y); where y is missing, the sum over y of its exponential

    `parts` holds one tractable model of the other columns for each level of y, its arrays stacked;
    `on` is the place of y. A row without y counts for each level by its posterior probability, so
    learning is semi-supervised (Nigam et al. 2000). `prior` is a number of pseudo-rows a level.

    >>> p = ClassConditional.example(jax.random.key(0)).model
    >>> p.size, p.on
    (4, 1)
    """

    log_prior: Float[Array, "k"]
    parts: AbstractTractable
    on: int = eqx.field(static=True)
    prior: float = eqx.field(static=True, default=0.0)

    random_start: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return self.parts.size + 1

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self._joint(x, observed))

    def _joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y, x_O) for each level y, -inf for the levels that x rules out."""
        return self._prior(x, observed) + log_probs(
            self.parts, self._others(x), self._others(observed)
        )

    def _prior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y) for each level y, -inf for the levels that an observed one rules out."""
        possible = ~observed[self.on] | (jnp.arange(len(self.log_prior)) == x[self.on])
        return jnp.where(possible, jax.nn.log_softmax(self.log_prior), -jnp.inf)

    def _posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y | x_O) for each level y."""
        return log_posterior(self._prior(x, observed), self._terms(x, observed, False))

    def _terms(self, x: Row, observed: Mask, fine: bool) -> Double:
        """The terms of the other columns under each level, (k, d)."""
        return part_terms(self.parts, self._others(x), self._others(observed), fine)

    def _others(self, x: Array) -> Array:
        return jnp.concatenate([x[..., : self.on], x[..., self.on + 1 :]], axis=-1)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        choose, own = jax.random.split(key)
        y = jax.random.categorical(choose, self._posterior(x, observed))
        others = draw(self.parts, y, own, self._others(x), self._others(observed))
        return jnp.insert(others, self.on, y.astype(others.dtype))

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        joint = jax.vmap(self._joint, (0, None), 1)(x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        own = part_statistics(self.parts, shares, self._others(x), self._others(observed))
        return (shares.sum(1), own), log_likelihood

    def m_step(self, statistics: Any) -> "ClassConditional":
        shares, own = statistics
        log_prior = log_weights(shares, self.prior, self.log_prior)
        return ClassConditional(log_prior, m_step_parts(self.parts, own), self.on, self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        return log_prior_density(self.log_prior, self.prior, self.parts)

    @classmethod
    def supported_kinds(
        cls, variable: str, *, on: str | None = None, part: str = "independent", **options: Any
    ) -> frozenset[Kind]:
        if variable == on:
            return DISCRETE
        one, options = part_class(part, options)
        return one.supported_kinds(variable, **options)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        on: str | None = None,
        part: str = "independent",
        prior: float = 1.0,
        **options: Any,
    ) -> "ClassConditional":
        """Each level's part started on the rows of that level.

        Parts of unlike structure, as trees, cannot be one batch: then one start from all rows.
        """
        place = _place(columns, on)
        levels = columns[place].levels
        others = [c for j, c in enumerate(columns) if j != place]
        if not others:
            raise PofxError(f"on: expected columns beside {on!r}, and there are none")
        x, observed, weight = rows.to_arrays()
        model, options = part_class(part, options)
        y, seen = x[:, place], observed[:, place]
        x, observed = np.delete(x, place, 1), np.delete(observed, place, 1)
        parts = []
        for level, k in enumerate(jax.random.split(key, levels)):
            own = seen & (y == level)
            # A level with hardly a row, or hardly a cell of a column, starts from all rows: nothing
            # of its own would tell that column's scale.
            rare = (observed[own].sum(0) < FEW) & observed.any(0)
            own = np.ones_like(own) if own.sum() < FEW or rare.any() else own
            part_rows = make_rows(x[own], observed[own], weight[own])
            parts.append(model.from_data(k, part_rows, others, prior=prior, **options))
        if len(set(map(jax.tree.structure, parts))) > 1:
            every = make_rows(x, observed, weight)
            parts = [model.from_data(key, every, others, prior=prior, **options)] * levels
        counts = np.array([weight[seen & (y == level)].sum() for level in range(levels)])
        return cls(jnp.log(jnp.asarray(counts + 1.0)), stack_modules(parts), place, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        examples = [Gaussian.example(k) for k in jax.random.split(key, 2)]
        parts = stack_modules([e.model for e in examples])
        columns = list(examples[0].columns)
        columns.insert(1, Column("y", "binary", levels=2, family="bernoulli"))
        return Example(cls(jnp.log(jnp.array([0.4, 0.6])), parts, 1), tuple(columns))


def _place(columns: Sequence[Column], on: str | None) -> int:
    """Where the discrete column `on` stands."""
    discrete = [c.variable for c in columns if c.discrete]
    if on is None:
        raise PofxError(
            "on: expected the discrete column y of p(y) p(x | y), as in on='species'; there are: "
            + (", ".join(dict.fromkeys(discrete)) or "none")
        )
    names = [c.variable for c in columns]
    if on not in names:
        raise unknown_name_error("column", on, dict.fromkeys(names))
    if discrete.count(on) != 1:
        raise PofxError(f"on: expected one discrete column, and {on!r} is not")
    return names.index(on)


@closed_forms.condition.register(ClassConditional)
def _condition(
    p: ClassConditional, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> ClassConditional | Mixture | AbstractTractable | None:
    rule = closed_forms.condition.find(p.parts)
    if rule is None or keep.sum() == keep[p.on]:
        return None
    o, k = np.delete(observed, p.on), np.delete(keep, p.on)
    if observed[p.on]:
        part = jax.tree.map(lambda a: a[int(x[p.on])], p.parts)
        return rule(part, p._others(x), o, k)
    log_prior = p._posterior(x, jnp.asarray(observed))
    parts = over_components(lambda part, x: rule(part, x, o, k), shared=1)(p.parts, p._others(x))
    if parts is None:
        return None
    if keep[p.on]:
        return ClassConditional(log_prior, parts, int(keep[: p.on].sum()), p.prior)
    return Mixture(log_prior, parts, p.prior)


@closed_forms.entropy.register(ClassConditional)
def _entropy(p: ClassConditional, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # H(x, y) = H(y) + Σ_y p(y) H(x | y); without y it is a mixture's, which is not closed.
    rule, others = closed_forms.entropy.find(p.parts), np.delete(asked, p.on)
    if rule is None or not asked[p.on]:
        return None
    prior = jax.nn.softmax(p.log_prior)
    given = over_components(lambda part: rule(part, others))(p.parts)
    return None if given is None else entr(prior).sum() + prior @ given


@closed_forms.kl.register(ClassConditional, ClassConditional)
def _kl(
    p: ClassConditional, q: ClassConditional, asked: Bool[np.ndarray, "d"]
) -> Float[Array, ""] | None:
    # KL(p(x, y) || q(x, y)) = KL(p(y) || q(y)) + Σ_y p(y) KL(p(x | y) || q(x | y))
    rule, others = closed_forms.kl.find(p.parts, q.parts), np.delete(asked, p.on)
    if rule is None or p.on != q.on or not asked[p.on]:
        return None
    given = over_components(lambda one, other: rule(one, other, others))(p.parts, q.parts)
    if given is None:
        return None
    prior = jax.nn.softmax(p.log_prior)
    of_levels = divergence(prior, jax.nn.softmax(q.log_prior)).sum()
    # A level that p never has counts for nothing, infinite though its own divergence is.
    return of_levels + jnp.where(prior > 0, prior * jnp.where(prior > 0, given, 0), 0).sum()


@closed_forms.moments.register(ClassConditional)
def _moments(p: ClassConditional) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.moments.find(p.parts)
    own = over_components(rule)(p.parts) if rule else None
    if own is None:
        return None
    levels = jnp.arange(len(p.log_prior), dtype=own[0].dtype)
    mean = jnp.insert(own[0], p.on, levels, axis=1)
    covariance = jnp.insert(jnp.insert(own[1], p.on, 0, axis=1), p.on, 0, axis=2)
    return mixture_moments(p.log_prior, mean, covariance)


@closed_forms.conditional_column.register(ClassConditional)
def _column(p: ClassConditional, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    if j == p.on:
        return None
    others = p._others(x), p._others(observed)
    return mixture_column(p._posterior(x, observed), p.parts, *others, j - (j > p.on))


@closed_forms.log_prob_box.register(ClassConditional)
def _box(
    p: ClassConditional,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    if p.on in place:
        return None
    before = None
    weights = p._prior(x, observed)
    if given is not None:
        before = p._others(given)
        weights = jnp.where(weights > -jnp.inf, p._posterior(x, given), -jnp.inf)
    place = tuple(j - (j > p.on) for j in place)
    return mixture_log_prob_box(weights, p.parts, p._others(x), p._others(observed), place, low, high, before)


@closed_forms.terms.register(ClassConditional)
def _terms(p: ClassConditional, x: Row, observed: Mask, fine: bool) -> Double:
    own = mixture_terms(p._prior(x, observed), p._terms(x, observed, fine))
    return Double(*(jnp.insert(a, p.on, 0) for a in own))


@closed_forms.expectation.register(ClassConditional)
def _expectation(p: ClassConditional, x: Row, observed: Mask) -> Row | None:
    posterior = p._posterior(x, observed)
    own = mixture_expectation(posterior, p.parts, p._others(x), p._others(observed))
    levels = jnp.arange(len(posterior), dtype=x.dtype)
    return None if own is None else jnp.insert(own, p.on, jnp.exp(posterior) @ levels)


@closed_forms.most_probable.register(ClassConditional)
def _completion(p: ClassConditional, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    weights = p._prior(x, observed)
    # The level rides along as one more entry of its part's row.
    rule = closed_forms.most_probable.find(p.parts)
    if rule is None:
        return None
    own = over_components(rule, shared=2)(p.parts, p._others(x), p._others(observed))
    if own is None:
        return None
    levels = jnp.arange(len(weights), dtype=x.dtype)
    return most_probable_component(weights, jnp.insert(own[0], p.on, levels, axis=1), own[1])
