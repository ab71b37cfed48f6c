"""Class-conditional models: the product rule p(y) p(x | y) for a discrete column y."""

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
    log_prior_density,
    log_probs,
    log_weights,
    m_step_parts,
    mixture_column,
    mixture_expectation,
    mixture_log_prob_box,
    mixture_moments,
    most_probable_component,
    part_class,
    part_statistics,
    responsibilities,
)
from pofx.models.gaussian import Gaussian
from pofx.models.mixture import Mixture

MIN_ROWS_PER_LEVEL = 5
"""With fewer rows of a level, its part starts from the rows of all levels."""


class ClassConditional(AbstractEMModel):
    """A generative classifier p(y) p(x | y): a class y, and a model of the other columns per class.

    log p(x_O, y) = log p(y) + log p(x_O | y)
    log p(x_O) = log Σ_y p(y) p(x_O | y)  if y is missing

    Columns: y is discrete, the others are of the kinds that the part supports. `parts` holds one
    tractable model of the other columns per level of y, its arrays stacked; `on` is the index of y.
    A row without y counts for each level with its posterior probability, so learning is
    semi-supervised (Nigam et al., "Text classification from labeled and unlabeled documents using
    EM", 2000).

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
        return jax.nn.logsumexp(self._log_joint(x, observed))

    def _log_joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y, x_O) for each level y; -inf for levels that an observed y rules out."""
        return self._log_prior_of_levels(x, observed) + log_probs(
            self.parts, self._without_y(x), self._without_y(observed)
        )

    def _log_prior_of_levels(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y) for each level y; -inf for levels that an observed y rules out."""
        possible = ~observed[self.on] | (jnp.arange(len(self.log_prior)) == x[self.on])
        return jnp.where(possible, jax.nn.log_softmax(self.log_prior), -jnp.inf)

    def _log_posterior_of_levels(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(y | x_O) for each level y."""
        return log_posterior(
            self._log_prior_of_levels(x, observed), self._part_terms(x, observed, False)
        )

    def _part_terms(self, x: Row, observed: Mask, fine: bool) -> Double:
        """The terms of the other columns given each level, of shape (k, d)."""
        return part_terms(self.parts, self._without_y(x), self._without_y(observed), fine)

    def _without_y(self, x: Array) -> Array:
        """An array of rows or of one row without the entry of y."""
        return jnp.concatenate([x[..., : self.on], x[..., self.on + 1 :]], axis=-1)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        level_key, draw_key = jax.random.split(key)
        y = jax.random.categorical(level_key, self._log_posterior_of_levels(x, observed))
        others = draw(self.parts, y, draw_key, self._without_y(x), self._without_y(observed))
        return jnp.insert(others, self.on, y.astype(others.dtype))

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        log_joint = jax.vmap(self._log_joint, (0, None), 1)(x, observed)
        shares, log_likelihood = responsibilities(log_joint, weight)
        part_sums = part_statistics(
            self.parts, shares, self._without_y(x), self._without_y(observed)
        )
        return (shares.sum(1), part_sums), log_likelihood

    def m_step(self, statistics: Any) -> "ClassConditional":
        shares, part_sums = statistics
        log_prior = log_weights(shares, self.prior, self.log_prior)
        return ClassConditional(log_prior, m_step_parts(self.parts, part_sums), self.on, self.prior)

    def log_prior_density(self) -> Float[Array, ""]:
        return log_prior_density(self.log_prior, self.prior, self.parts)

    @classmethod
    def supported_kinds(
        cls, variable: str, *, on: str | None = None, part: str = "independent", **options: Any
    ) -> frozenset[Kind]:
        if variable == on:
            return DISCRETE
        part_model, options = part_class(part, options)
        return part_model.supported_kinds(variable, **options)

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
        """One part per level, started on the rows of that level.

        Args:
            on: name of the discrete column y; required.
            part: model of the other columns given y, default "independent".
            prior: number of pseudo-rows per level and part, default 1.
            options: options of the part.

        If the parts differ in structure, as trees do, their arrays cannot be stacked; then all
        parts start from all rows. Raises PofxError if `on` is not one discrete column among others.
        """
        place = _find_column(columns, on)
        levels = columns[place].levels
        others = [c for j, c in enumerate(columns) if j != place]
        if not others:
            raise PofxError(f"on: expected columns beside {on!r}, got none")
        x, observed, weight = rows.to_arrays()
        model, options = part_class(part, options)
        y = x[:, place]
        y_observed = observed[:, place]
        x, observed = np.delete(x, place, 1), np.delete(observed, place, 1)
        parts = []
        for level, k in enumerate(jax.random.split(key, levels)):
            mask = y_observed & (y == level)
            # A level with too few rows, or too few cells in a column, starts from all rows because
            # its rows do not show the scale of that column.
            rare = (observed[mask].sum(0) < MIN_ROWS_PER_LEVEL) & observed.any(0)
            if mask.sum() < MIN_ROWS_PER_LEVEL or rare.any():
                mask = np.ones_like(mask)
            part_rows = make_rows(x[mask], observed[mask], weight[mask])
            parts.append(model.from_data(k, part_rows, others, prior=prior, **options))
        if len(set(map(jax.tree.structure, parts))) > 1:
            all_rows = make_rows(x, observed, weight)
            parts = [model.from_data(key, all_rows, others, prior=prior, **options)] * levels
        counts = np.array([weight[y_observed & (y == level)].sum() for level in range(levels)])
        return cls(jnp.log(jnp.asarray(counts + 1.0)), stack_modules(parts), place, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        examples = [Gaussian.example(k) for k in jax.random.split(key, 2)]
        parts = stack_modules([e.model for e in examples])
        columns = list(examples[0].columns)
        columns.insert(1, Column("y", "binary", levels=2, family="bernoulli"))
        return Example(cls(jnp.log(jnp.array([0.4, 0.6])), parts, 1), tuple(columns))


def _find_column(columns: Sequence[Column], on: str | None) -> int:
    """The index of the discrete column `on`."""
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
    part_observed = np.delete(observed, p.on)
    part_keep = np.delete(keep, p.on)
    if observed[p.on]:
        level = x[p.on].astype(int)
        part = jax.tree.map(lambda a: a[level], p.parts)
        return rule(part, p._without_y(x), part_observed, part_keep)
    is_marginal = not np.any(observed)
    log_prior = p.log_prior if is_marginal else p._log_posterior_of_levels(x, jnp.asarray(observed))
    parts = over_components(lambda part, x: rule(part, x, part_observed, part_keep), shared=1)(
        p.parts, p._without_y(x)
    )
    if parts is None:
        return None
    if keep[p.on]:
        return ClassConditional(log_prior, parts, int(keep[: p.on].sum()), p.prior)
    return Mixture(log_prior, parts, p.prior)


@closed_forms.entropy.register(ClassConditional)
def _entropy(p: ClassConditional, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    # H(x, y) = H(y) + Σ_y p(y) H(x | y). H(x) is that of a mixture, which has no closed form.
    rule = closed_forms.entropy.find(p.parts)
    others = np.delete(target_mask, p.on)
    if rule is None or not target_mask[p.on]:
        return None
    prior = jax.nn.softmax(p.log_prior)
    conditionals = over_components(lambda part: rule(part, others))(p.parts)
    return None if conditionals is None else entr(prior).sum() + prior @ conditionals


@closed_forms.kl.register(ClassConditional, ClassConditional)
def _kl(
    p: ClassConditional, q: ClassConditional, target_mask: Bool[np.ndarray, "d"]
) -> Float[Array, ""] | None:
    # KL(p(x, y) || q(x, y)) = KL(p(y) || q(y)) + Σ_y p(y) KL(p(x | y) || q(x | y))
    rule = closed_forms.kl.find(p.parts, q.parts)
    others = np.delete(target_mask, p.on)
    if rule is None or p.on != q.on or not target_mask[p.on]:
        return None
    conditionals = over_components(lambda one, other: rule(one, other, others))(p.parts, q.parts)
    if conditionals is None:
        return None
    prior = jax.nn.softmax(p.log_prior)
    prior_kl = divergence(prior, jax.nn.softmax(q.log_prior)).sum()
    # A level of probability 0 under p adds 0, even if its own divergence is infinite.
    return prior_kl + jnp.where(prior > 0, prior * jnp.where(prior > 0, conditionals, 0), 0).sum()


@closed_forms.moments.register(ClassConditional)
def _moments(p: ClassConditional) -> tuple[Row, Float[Array, "d d"]] | None:
    rule = closed_forms.moments.find(p.parts)
    part_moments = over_components(rule)(p.parts) if rule else None
    if part_moments is None:
        return None
    levels = jnp.arange(len(p.log_prior), dtype=part_moments[0].dtype)
    mean = jnp.insert(part_moments[0], p.on, levels, axis=1)
    covariance = jnp.insert(jnp.insert(part_moments[1], p.on, 0, axis=1), p.on, 0, axis=2)
    return mixture_moments(p.log_prior, mean, covariance)


@closed_forms.conditional_column.register(ClassConditional)
def _column(p: ClassConditional, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    if j == p.on:
        return None
    others = p._without_y(x), p._without_y(observed)
    return mixture_column(p._log_posterior_of_levels(x, observed), p.parts, *others, j - (j > p.on))


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
    part_given = None
    weights = p._log_prior_of_levels(x, observed)
    if given is not None:
        part_given = p._without_y(given)
        weights = jnp.where(weights > -jnp.inf, p._log_posterior_of_levels(x, given), -jnp.inf)
    place = tuple(j - (j > p.on) for j in place)
    return mixture_log_prob_box(
        weights, p.parts, p._without_y(x), p._without_y(observed), place, low, high, part_given
    )


@closed_forms.terms.register(ClassConditional)
def _terms(p: ClassConditional, x: Row, observed: Mask, fine: bool) -> Double:
    terms = mixture_terms(p._log_prior_of_levels(x, observed), p._part_terms(x, observed, fine))
    return Double(*(jnp.insert(a, p.on, 0) for a in terms))


@closed_forms.expectation.register(ClassConditional)
def _expectation(p: ClassConditional, x: Row, observed: Mask) -> Row | None:
    posterior = p._log_posterior_of_levels(x, observed)
    others = mixture_expectation(posterior, p.parts, p._without_y(x), p._without_y(observed))
    levels = jnp.arange(len(posterior), dtype=x.dtype)
    return None if others is None else jnp.insert(others, p.on, jnp.exp(posterior) @ levels)


@closed_forms.most_probable.register(ClassConditional)
def _completion(p: ClassConditional, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]] | None:
    weights = p._log_prior_of_levels(x, observed)
    # The level is added as one more entry to the row of its part.
    rule = closed_forms.most_probable.find(p.parts)
    if rule is None:
        return None
    part_modes = over_components(rule, shared=2)(p.parts, p._without_y(x), p._without_y(observed))
    if part_modes is None:
        return None
    levels = jnp.arange(len(weights), dtype=x.dtype)
    return most_probable_component(
        weights, jnp.insert(part_modes[0], p.on, levels, axis=1), part_modes[1]
    )
