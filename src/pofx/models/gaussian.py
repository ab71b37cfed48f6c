"""The Gaussian: closed under marginals and conditionals."""

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
from pofx.models.linear_gaussian.moments import TIED, Moments, Scale, scale_of
from pofx.models.linear_gaussian.shrinkage import log_prior_of_covariance, pseudo_variance

LOG_2PI = float(np.log(2 * np.pi))
RELATIVE = 1.01 * TIED
"""The share of the variance up to which a floor is one of digits and not of rounding."""


class Gaussian(AbstractEMModel):
    r"""The multivariate normal distribution of d real columns.

    log p(x_O) = -1/2 (x_O - μ_O)ᵀ Σ_OO⁻¹ (x_O - μ_O) - 1/2 log det 2πΣ_OO

    x_M | x_O ~ N(μ_M + G (x_O - μ_O), Σ_MM - G Σ_OM),  G = Σ_MO Σ_OO⁻¹

    `structure` is what the covariance is learned as: full, diagonal, spherical, or tied over the
    components of a mixture; `prior` is a number of pseudo-rows (0: maximum likelihood), whose
    scatter follows what is left of each column given the others, so that no tie is loosened
    (`shrinkage.pseudo_variance`). By maximum likelihood learning on complete rows is in closed
    form; under a prior, or with missing cells, it is by EM (Little and Rubin 2019, ch. 11).

    >>> import jax.numpy as jnp
    >>> p = gaussian(jnp.zeros(2), jnp.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> round(float(p.log_prob(jnp.zeros(2))), 4)
    -1.694
    """

    mean: Float[Array, "d"]
    covariance: Float[Array, "d d"]
    scale: Scale
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
        # Matheron's rule: a draw of all columns, moved by the regression on what it got wrong.
        noise = jax.random.normal(key, (self.size,), self.mean.dtype)
        root = self.covariance @ inverse_cholesky(self.covariance).T
        draw = self.mean + root @ noise
        return draw + self.regression(observed) @ jnp.where(observed, x - draw, 0)

    def _whiten(self, observed: Mask) -> Float[Array, "d d"]:
        """W with W Σ_OO Wᵀ = I; rows and columns not observed are those of the identity."""
        both = observed[:, None] & observed
        identity = jnp.eye(self.size, dtype=self.covariance.dtype)
        return inverse_cholesky(jnp.where(both, self.covariance, identity))

    def regression(self, observed: Mask) -> Float[Array, "d d"]:
        """G = Σ_MO Σ_OO⁻¹, laid out in all rows and columns, zero elsewhere."""
        w = self._whiten(observed)
        across = ~observed[:, None] & observed
        return jnp.where(across, self.covariance, 0) @ (w.T @ w)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Moments, Float[Array, ""]]:
        z = jnp.where(observed, x - self.mean, 0)

        def complete(z):
            return z, jnp.zeros_like(self.covariance)

        def completed(z):
            g = self.regression(observed)
            missing = ~observed[:, None] & ~observed
            left = jnp.where(missing, self.covariance - g @ self.covariance, 0)
            return z + z @ g.T, left

        z, left = jax.lax.cond(observed.all(), complete, completed, z)
        weighted = weight[:, None] * z
        total = weight.sum()
        log_prob = jax.vmap(self._log_prob, (0, None))(x, observed)
        return Moments(total, weighted.sum(0), weighted.T @ z + total * left), weight @ log_prob

    def m_step(self, statistics: Moments) -> "Gaussian":
        shift, scatter = statistics.scatter()
        weight = statistics.weight
        if self.prior:
            back = self._towards_centre(weight, self.mean + shift - self.scale.centre)
            share = self.prior * self._share()
            precision = self._precision(inverse_cholesky(self.covariance))
            pseudo = share * pseudo_variance(precision, self.scale.variance)
            shift = shift - back
            scatter = scatter + weight * jnp.outer(back, back) + jnp.diag(pseudo)
            weight = weight + share
        some = weight > 0
        learn = STRUCTURES[self.structure]
        covariance = learn(scatter, jnp.where(some, weight, 1), self.scale.floor)
        return eqx.tree_at(
            lambda p: (p.mean, p.covariance),
            self,
            (self.mean + shift, jnp.where(some, covariance, self.covariance)),
        )

    def _towards_centre(
        self, weight: Float[Array, ""], off: Float[Array, "d"]
    ) -> Float[Array, "d"]:
        """How far N(centre, V / prior), the prior of the mean, draws back a mean that is `off`."""
        both = self.covariance + jnp.diag(weight / self.prior * self.scale.variance)
        w = inverse_cholesky(both)
        return self.covariance @ (w.T @ (w @ off))

    def _share(self) -> Float[Array, ""]:
        """The share of a pseudo-row that is this component's: a tied covariance has but one."""
        one = jnp.ones((), self.mean.dtype)
        return 1 / sum_over_components(one) if self.structure == "tied" else one

    def _precision(self, w: Float[Array, "d d"]) -> Float[Array, "d"]:
        """The diagonal of Σ⁻¹ = Wᵀ W."""
        return (w**2).sum(0)

    def log_prior_density(self) -> Float[Array, ""]:
        if not self.prior:
            return jnp.zeros((), self.mean.dtype)
        w = inverse_cholesky(self.covariance)
        off = (self.mean - self.scale.centre) ** 2 / self.scale.variance
        spread = log_prior_of_covariance(half_log_det(w), self._precision(w), self.scale.variance)
        return self.prior * (self._share() * spread - 0.5 * off.sum())

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
        """Uncorrelated columns at the data's scale; the first step finds the rest."""
        if covariance not in STRUCTURES:
            raise unknown_name_error("covariance", covariance, STRUCTURES)
        scale, _ = scale_of(rows, columns)
        variance = jnp.maximum(scale.variance, scale.floor)
        return cls(scale.centre, jnp.diag(variance), scale, covariance, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        half = jax.random.normal(key, (3, 3))
        model = gaussian(jnp.array([1.0, -2.0, 0.5]), half @ half.T + 0.1 * jnp.eye(3))
        return Example(model, tuple(Column(f"x{i}", "real", family="normal") for i in range(3)))


def gaussian(mean: Float[Array, "d"], covariance: Float[Array, "d d"]) -> Gaussian:
    """The Gaussian of that mean and covariance."""
    variance = jnp.diagonal(covariance)
    return Gaussian(mean, covariance, Scale(mean, variance, 1e-6 * variance))


def on_floor(model: Any) -> Bool[np.ndarray, "d"] | None:
    """Which columns a model of one Gaussian gives more spread, given the others, than the data do.

    These are tied more tightly than the floor of a joint covariance, a share of each variance, and
    not for rounding alone. None for a model of several Gaussians, or of none.
    """

    def is_gaussian(node: Any) -> bool:
        return isinstance(node, Gaussian)

    nodes = list(filter(is_gaussian, jax.tree.leaves(model, is_leaf=is_gaussian)))
    if len(nodes) != 1 or nodes[0].covariance.ndim != 2 or nodes[0].size < 2:
        return None
    covariance, scale = np.asarray(nodes[0].covariance, np.float64), nodes[0].scale
    floor, variance = (np.asarray(a, np.float64) for a in (scale.floor, scale.variance))
    unit = np.sqrt(floor)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    clipped = values < 1 + 1e-3
    share = (vectors[:, clipped] ** 2).sum(1)
    return (share > 0.1) & (floor < RELATIVE * variance)


@closed_forms.condition.register(Gaussian)
def _condition(
    p: Gaussian, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Gaussian:
    k, o = np.flatnonzero(keep), np.flatnonzero(observed)
    s = p.covariance
    w = inverse_cholesky(s[np.ix_(o, o)])
    half = w @ s[np.ix_(o, k)]
    whitened = w @ (x - p.mean)[o]
    scale = jax.tree.map(lambda a: a[k], p.scale)
    mean, covariance = p.mean[k] + half.T @ whitened, s[np.ix_(k, k)] - half.T @ half
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
        return None  # of one column its distribution tells, of more it is a normal orthant
    if given is None:
        return p.log_prob(x, observed)
    w = p._whiten(given)
    half = w @ jnp.where(given[:, None], p.covariance, 0)
    mean = p.mean + half.T @ (w @ jnp.where(given, x - p.mean, 0))
    left = eqx.tree_at(lambda p: (p.mean, p.covariance), p, (mean, p.covariance - half.T @ half))
    return left.log_prob(x, observed & ~given)


@closed_forms.terms.register(Gaussian)
def _terms(p: Gaussian, x: Row, observed: Mask, fine: bool) -> Double:
    w = p._whiten(observed)
    r = w @ jnp.where(observed, x - p.mean, 0)
    each, common = rounded(-0.5 * r * r), -0.5 * observed.sum() * LOG_2PI - half_log_det(w)
    rest = jnp.zeros((), each.dtype)
    if fine:
        apart = add(_quadratic(p, w, x, observed), total(double(2 * each)))
        rest = -0.5 * apart.value()
    return Double(jnp.append(each, common), jnp.append(jnp.zeros_like(each), rest))


def _quadratic(p: Gaussian, w: Float[Array, "d d"], x: Row, observed: Mask) -> Double:
    """δᵀ Σ_OO⁻¹ δ for δ = (x - μ)_O, whatever digits the whitening has lost.

    For y near Σ_OO⁻¹ δ and ρ = δ - Σ_OO y it is y·δ + y·ρ + |W ρ|², in which errors of y cancel.
    """
    off = two_sum(jnp.where(observed, x, 0), -jnp.where(observed, p.mean, 0))
    y = w.T @ (w @ off.high)
    covariance = jnp.where(observed[:, None] & observed, p.covariance, 0)
    left = add(off, -total(two_product(covariance, y))).value()
    more = y @ (off.low + left) + (w @ left) @ (w @ left)
    return add(total(two_product(y, off.high)), double(more))


@closed_forms.entropy.register(Gaussian)
def _entropy(p: Gaussian, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    # H = 1/2 log det 2πeΣ (Cover and Thomas 2006, theorem 8.4.1)
    place = np.flatnonzero(asked)
    covariance = p.covariance[np.ix_(place, place)]
    if len(place) <= extended_precision.MAX_COLUMNS and not isinstance(covariance, Tracer):
        return jnp.asarray(extended_precision.normal_entropy(np.asarray(covariance)))
    return 0.5 * len(place) * (1 + LOG_2PI) + half_log_det(inverse_cholesky(covariance))


@closed_forms.as_gaussian.register(Gaussian)
@closed_forms.moments.register(Gaussian)
def _moments(p: Gaussian) -> tuple[Row, Float[Array, "d d"]]:
    return p.mean, p.covariance


@closed_forms.conditional_column.register(Gaussian)
def _column(p: Gaussian, x: Row, observed: Mask, j: int) -> ColumnMixture:
    w = p._whiten(observed)
    half = w @ jnp.where(observed, p.covariance[j], 0)
    centre = p.mean[j] + half @ (w @ jnp.where(observed, x - p.mean, 0))
    return one_normal(centre, p.covariance[j, j] - half @ half, p.covariance[j, j])


def one_normal(
    centre: Float[Array, ""], variance: Float[Array, ""], prior: Float[Array, ""]
) -> ColumnMixture:
    """The normal distribution of one entry; what rounding took from its variance is given back."""
    least = jnp.finfo(prior.dtype).eps * prior
    family = Normal(centre[None], jnp.maximum(variance, least)[None], least[None])
    return ColumnMixture(jnp.zeros(1, prior.dtype), family)


@closed_forms.expectation.register(Gaussian)
def _expectation(p: Gaussian, x: Row, observed: Mask) -> Row:
    return p.mean + p.regression(observed) @ jnp.where(observed, x - p.mean, 0)


@closed_forms.most_probable.register(Gaussian)
def _completion(p: Gaussian, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    # A Gaussian is highest at its mean.
    best = jnp.where(observed, x, _expectation(p, x, observed))
    return best, p.log_prob(best)


@closed_forms.groups.register(Gaussian)
def _groups(p: Gaussian) -> tuple[int, ...]:
    alone = p.structure in ("diagonal", "spherical")
    return tuple(range(p.size)) if alone else (0,) * p.size
