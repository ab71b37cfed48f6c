"""The multivariate normal distribution of real columns, and its closed forms."""

from collections.abc import Sequence
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms, extended_precision
from pofx.core.abstract import AbstractEMModel, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.component_axis import sum_over_components
from pofx.core.double_double import Double, add, double, rounded, total, two_product, two_sum
from pofx.core.errors import unknown_name_error
from pofx.core.linalg import half_log_det, inverse_cholesky
from pofx.core.rows import Rows
from pofx.families.normal import Normal
from pofx.models.linear_gaussian.covariance import STRUCTURES
from pofx.models.linear_gaussian.moments import (
    MIN_RESIDUAL_VARIANCE_SHARE,
    ColumnScale,
    GaussianStatistics,
    column_scale,
)
from pofx.models.linear_gaussian.shrinkage import log_prior_of_covariance, pseudo_variance

LOG_2PI = float(np.log(2 * np.pi))
MAX_FLOOR_SHARE = 1.01 * MIN_RESIDUAL_VARIANCE_SHARE
"""A floor above this share of the variance comes from rounding, not from float precision."""


class Gaussian(AbstractEMModel):
    """The multivariate normal distribution of d real columns.

    log p(x_O) = -1/2 (x_O - μ_O)ᵀ Σ_OO⁻¹ (x_O - μ_O) - 1/2 log det 2πΣ_OO

    x_M | x_O ~ N(μ_M + G (x_O - μ_O), Σ_MM - G Σ_OM),  G = Σ_MO Σ_OO⁻¹

    Columns: real. Maximum likelihood on complete rows is in closed form. With a prior or missing
    cells, the model is learned by EM (Little and Rubin 2019, "Statistical analysis with missing
    data", ch. 11).

    >>> import jax.numpy as jnp
    >>> p = Gaussian.from_moments(jnp.zeros(2), jnp.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> round(float(p.log_prob(jnp.zeros(2))), 4)
    -1.694
    """

    mean: Float[Array, "d"]
    covariance: Float[Array, "d d"]
    scale: ColumnScale
    structure: Annotated[str, STRUCTURES] = eqx.field(static=True, default="full")
    prior: float = eqx.field(static=True, default=0.0)

    @property
    def size(self) -> int:
        return self.mean.shape[-1]

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        w = self._whiten(observed)
        r = w @ jnp.where(observed, x - self.mean, 0)
        return -0.5 * (r @ r + observed.sum() * LOG_2PI) - half_log_det(w)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        # Matheron's rule: draw all columns, then move the draw by the regression on its error in
        # the observed ones.
        noise = jax.random.normal(key, (self.size,), self.mean.dtype)
        root = self.covariance @ inverse_cholesky(self.covariance).T
        draw = self.mean + root @ noise
        return draw + self.regression(observed) @ jnp.where(observed, x - draw, 0)

    def _whiten(self, observed: Mask) -> Float[Array, "d d"]:
        """W with W Σ_OO Wᵀ = I; missing entries have rows and columns of the identity."""
        pair_mask = observed[:, None] & observed
        identity = jnp.eye(self.size, dtype=self.covariance.dtype)
        return inverse_cholesky(jnp.where(pair_mask, self.covariance, identity))

    def regression(self, observed: Mask) -> Float[Array, "d d"]:
        """The coefficients G = Σ_MO Σ_OO⁻¹ in a (d, d) matrix that is zero elsewhere."""
        w = self._whiten(observed)
        across = ~observed[:, None] & observed
        # In this order the errors of a nearly singular covariance cancel; WᵀW would square them.
        return (jnp.where(across, self.covariance, 0) @ w.T) @ w

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[GaussianStatistics, Float[Array, ""]]:
        z = jnp.where(observed, x - self.mean, 0)

        def keep_complete(z):
            return z, jnp.zeros_like(self.covariance)

        def fill_missing(z):
            gain = self.regression(observed)
            missing = ~observed[:, None] & ~observed
            residual = jnp.where(missing, self.covariance - gain @ self.covariance, 0)
            return z + z @ gain.T, residual

        z, residual = jax.lax.cond(observed.all(), keep_complete, fill_missing, z)
        weighted = weight[:, None] * z
        total = weight.sum()
        log_prob = jax.vmap(self._log_prob, (0, None))(x, observed)
        return GaussianStatistics(
            total, weighted.sum(0), weighted.T @ z + total * residual
        ), weight @ log_prob

    def m_step(self, statistics: GaussianStatistics) -> "Gaussian":
        shift, scatter = statistics.scatter()
        weight = statistics.weight
        if self.prior:
            pull = self._pull_to_centre(weight, self.mean + shift - self.scale.centre)
            share = self.prior * self._pseudo_row_share()
            precision = self._marginal_precision(inverse_cholesky(self.covariance))
            pseudo_scatter = share * pseudo_variance(precision, self.scale.variance)
            shift = shift - pull
            scatter = scatter + weight * jnp.outer(pull, pull) + jnp.diag(pseudo_scatter)
            weight = weight + share
        has_rows = weight > 0
        maximise = STRUCTURES[self.structure]
        covariance = maximise(scatter, jnp.where(has_rows, weight, 1), self.scale.floor)
        return eqx.tree_at(
            lambda p: (p.mean, p.covariance),
            self,
            (self.mean + shift, jnp.where(has_rows, covariance, self.covariance)),
        )

    def _pull_to_centre(
        self, weight: Float[Array, ""], deviation: Float[Array, "d"]
    ) -> Float[Array, "d"]:
        """The step by which the prior N(centre, V / prior) moves a mean back to the centre."""
        total = self.covariance + jnp.diag(weight / self.prior * self.scale.variance)
        w = inverse_cholesky(total)
        return self.covariance @ (w.T @ (w @ deviation))

    def _pseudo_row_share(self) -> Float[Array, ""]:
        """The share of a pseudo-row in this component; components share a tied covariance."""
        unit = jnp.ones((), self.mean.dtype)
        return 1 / sum_over_components(unit) if self.structure == "tied" else unit

    def _marginal_precision(self, w: Float[Array, "d d"]) -> Float[Array, "d"]:
        """The diagonal of Σ⁻¹ = Wᵀ W."""
        return (w**2).sum(0)

    def log_prior_density(self) -> Float[Array, ""]:
        if not self.prior:
            return jnp.zeros((), self.mean.dtype)
        w = inverse_cholesky(self.covariance)
        distance = (self.mean - self.scale.centre) ** 2 / self.scale.variance
        log_prior_covariance = log_prior_of_covariance(
            half_log_det(w), self._marginal_precision(w), self.scale.variance
        )
        return self.prior * (self._pseudo_row_share() * log_prior_covariance - 0.5 * distance.sum())

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset({"real"})

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        covariance: str = "full",
        prior: float = 0.0,
    ) -> "Gaussian":
        """Uncorrelated columns on the scale of the data, as a start for learning.

        Args:
            covariance: structure of the covariance: "full" (default), "diagonal", "spherical", or
                "tied", which the components of a mixture share.
            prior: number of pseudo-rows, default 0 for maximum likelihood. The scatter of
                pseudo-rows in a column follows its variance given the others
                (`shrinkage.pseudo_variance`), so the prior does not loosen close ties.

        Raises PofxError for an unknown structure or a column that is not real.
        """
        if covariance not in STRUCTURES:
            raise unknown_name_error("covariance", covariance, STRUCTURES)
        scale, _ = column_scale(rows, columns)
        variance = jnp.maximum(scale.variance, scale.floor)
        return cls(scale.centre, jnp.diag(variance), scale, covariance, prior)

    @classmethod
    def from_moments(cls, mean: Float[Array, "d"], covariance: Float[Array, "d d"]) -> "Gaussian":
        """The Gaussian with this mean and this covariance."""
        variance = jnp.diagonal(covariance)
        return cls(mean, covariance, ColumnScale(mean, variance, 1e-6 * variance))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        half = jax.random.normal(key, (3, 3))
        model = cls.from_moments(jnp.array([1.0, -2.0, 0.5]), half @ half.T + 0.1 * jnp.eye(3))
        return Example(model, tuple(Column(f"x{i}", "real", family="normal") for i in range(3)))


def columns_at_floor(model: Any) -> Bool[np.ndarray, "d"] | None:
    """Mask of the columns whose variance given the others is raised to the floor, in a Gaussian.

    The floor of a joint covariance is a share of each variance. Columns whose floor comes from
    rounding are not marked. Returns None unless the model holds exactly one Gaussian of at least
    two columns.
    """

    def is_gaussian(node: Any) -> bool:
        return isinstance(node, Gaussian)

    nodes = list(filter(is_gaussian, jax.tree.leaves(model, is_leaf=is_gaussian)))
    if len(nodes) != 1 or nodes[0].covariance.ndim != 2 or nodes[0].size < 2:
        return None
    covariance = np.asarray(nodes[0].covariance, np.float64)
    scale = nodes[0].scale
    floor, variance = (np.asarray(a, np.float64) for a in (scale.floor, scale.variance))
    unit = np.sqrt(floor)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    clipped = values < 1 + 1e-3
    share = (vectors[:, clipped] ** 2).sum(1)
    return (share > 0.1) & (floor < MAX_FLOOR_SHARE * variance)


@closed_forms.condition.register(Gaussian)
def _condition(
    p: Gaussian, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Gaussian:
    k = np.flatnonzero(keep)
    o = np.flatnonzero(observed)
    s = p.covariance
    w = inverse_cholesky(s[np.ix_(o, o)])
    half = w @ s[np.ix_(o, k)]
    whitened = w @ (x - p.mean)[o]
    scale = jax.tree.map(lambda a: a[k], p.scale)
    mean = p.mean[k] + half.T @ whitened
    covariance = s[np.ix_(k, k)] - half.T @ half
    return Gaussian(mean, covariance, scale, p.structure, p.prior)


@closed_forms.log_prob_box.register(Gaussian)
def _box(
    p: Gaussian,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    if place:
        return None  # one column has `conditional_column`; several need a normal orthant
    if given is None:
        return p.log_prob(x, observed)
    w = p._whiten(given)
    half = w @ jnp.where(given[:, None], p.covariance, 0)
    mean = p.mean + half.T @ (w @ jnp.where(given, x - p.mean, 0))
    conditional = eqx.tree_at(
        lambda p: (p.mean, p.covariance), p, (mean, p.covariance - half.T @ half)
    )
    return conditional.log_prob(x, observed & ~given)


@closed_forms.terms.register(Gaussian)
def _terms(p: Gaussian, x: Row, observed: Mask, fine: bool) -> Double:
    w = p._whiten(observed)
    r = w @ jnp.where(observed, x - p.mean, 0)
    squares = rounded(-0.5 * r * r)
    constant = -0.5 * observed.sum() * LOG_2PI - half_log_det(w)
    correction = jnp.zeros((), squares.dtype)
    if fine:
        error = add(_quadratic(p, w, x, observed), total(double(2 * squares)))
        correction = -0.5 * error.value()
    return Double(jnp.append(squares, constant), jnp.append(jnp.zeros_like(squares), correction))


def _quadratic(p: Gaussian, w: Float[Array, "d d"], x: Row, observed: Mask) -> Double:
    """δᵀ Σ_OO⁻¹ δ for δ = (x - μ)_O, correct whatever digits the whitening lost.

    With y near Σ_OO⁻¹ δ and ρ = δ - Σ_OO y it is y·δ + y·ρ + |W ρ|², in which errors of y cancel.
    """
    deviation = two_sum(jnp.where(observed, x, 0), -jnp.where(observed, p.mean, 0))
    y = w.T @ (w @ deviation.high)
    covariance = jnp.where(observed[:, None] & observed, p.covariance, 0)
    residual = add(deviation, -total(two_product(covariance, y))).value()
    correction = y @ (deviation.low + residual) + (w @ residual) @ (w @ residual)
    return add(total(two_product(y, deviation.high)), double(correction))


@closed_forms.entropy.register(Gaussian)
def _entropy(p: Gaussian, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    # H = 1/2 log det 2πeΣ (Cover and Thomas 2006, theorem 8.4.1)
    columns = np.flatnonzero(target_mask)
    covariance = p.covariance[np.ix_(columns, columns)]
    if len(columns) <= extended_precision.MAX_COLUMNS and not isinstance(covariance, Tracer):
        return jnp.asarray(extended_precision.normal_entropy(np.asarray(covariance)))
    return 0.5 * len(columns) * (1 + LOG_2PI) + half_log_det(inverse_cholesky(covariance))


@closed_forms.as_gaussian.register(Gaussian)
@closed_forms.moments.register(Gaussian)
def _moments(p: Gaussian) -> tuple[Row, Float[Array, "d d"]]:
    return p.mean, p.covariance


@closed_forms.conditional_column.register(Gaussian)
def _column(p: Gaussian, x: Row, observed: Mask, j: int) -> ColumnMixture:
    w = p._whiten(observed)
    half = w @ jnp.where(observed, p.covariance[j], 0)
    centre = p.mean[j] + half @ (w @ jnp.where(observed, x - p.mean, 0))
    return univariate_normal(centre, p.covariance[j, j] - half @ half, p.covariance[j, j])


def univariate_normal(
    centre: Float[Array, ""], variance: Float[Array, ""], prior: Float[Array, ""]
) -> ColumnMixture:
    """The normal distribution of one entry, with a variance of at least the rounding error.

    Args:
        centre: the mean.
        variance: the variance given the observed entries, which rounding may have made too small.
        prior: the variance before observing; its rounding error is the lower limit.
    """
    floor = jnp.finfo(prior.dtype).eps * prior
    family = Normal(centre[None], jnp.maximum(variance, floor)[None], floor[None])
    return ColumnMixture(jnp.zeros(1, prior.dtype), family)


@closed_forms.expectation.register(Gaussian)
def _expectation(p: Gaussian, x: Row, observed: Mask) -> Row:
    return p.mean + p.regression(observed) @ jnp.where(observed, x - p.mean, 0)


@closed_forms.most_probable.register(Gaussian)
def _completion(p: Gaussian, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    # A Gaussian density is highest at its mean.
    best = jnp.where(observed, x, _expectation(p, x, observed))
    return best, p.log_prob(best)


@closed_forms.groups.register(Gaussian)
def _groups(p: Gaussian) -> tuple[int, ...]:
    independent = p.structure in ("diagonal", "spherical")
    return tuple(range(p.size)) if independent else (0,) * p.size
