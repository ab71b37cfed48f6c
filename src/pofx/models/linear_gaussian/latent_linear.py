"""x = μ + Λz + ε: what factor analysis and PPCA share, at a cost linear in the columns."""

import operator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import Mask, Row
from pofx.core.column_mixture import ColumnMixture
from pofx.core.double_double import Double, double
from pofx.core.errors import PofxError
from pofx.core.linalg import eigh, half_log_det, inverse_cholesky
from pofx.models.gaussian import univariate_normal

LOG_2PI = float(np.log(2 * np.pi))


class Posterior(NamedTuple):
    """p(z | x_O) and the density of x_O for one pattern of observed entries.

    z | x_O ~ N(m, V),  V = (I + Λᵀ Ψ⁻¹ Λ)⁻¹,  m = V Λᵀ Ψ⁻¹ (x - μ), sums over observed entries

    Methods take a row z of deviations x - μ, zero in missing entries.

    Attributes:
        loading: Λ.
        precision: the diagonal of Ψ⁻¹, zero in missing entries.
        whiten: a matrix W with Wᵀ W = V.
    """

    loading: Float[Array, "d q"]
    precision: Float[Array, "d"]
    whiten: Float[Array, "q q"]

    @staticmethod
    def from_pattern(loading: Float[Array, "d q"], noise: Row, observed: Mask) -> "Posterior":
        """The posterior for a pattern of observed entries; `noise` is the diagonal of Ψ."""
        precision = jnp.where(observed, 1 / noise, 0)
        identity = jnp.eye(loading.shape[1], dtype=loading.dtype)
        inner = identity + (loading.T * precision) @ loading
        return Posterior(loading, precision, inverse_cholesky(inner))

    def mean(self, z: Row) -> Float[Array, "q"]:
        """m."""
        return self.whiten.T @ (self.whiten @ (self.loading.T @ (self.precision * z)))

    def covariance(self) -> Float[Array, "q q"]:
        """V."""
        return self.whiten.T @ self.whiten

    def covariance_root(self) -> Float[Array, "q q"]:
        """A matrix R with R Rᵀ = V."""
        return self.whiten.T

    def log_det(self) -> Float[Array, ""]:
        """Half the log-determinant of the covariance of x_O (matrix determinant lemma)."""
        log_precision = jnp.log(jnp.where(self.precision > 0, self.precision, 1))
        return half_log_det(self.whiten) - 0.5 * log_precision.sum()

    def log_prob(self, z: Row) -> Float[Array, ""]:
        """log N(z_O; 0, Λ_O Λ_Oᵀ + Ψ_O) in nats.

        The quadratic form is computed as |z - Λm|²_Ψ⁻¹ + |m|², because the difference in Woodbury's
        formula would cancel.
        """
        return self.terms(z).sum()

    def terms(self, z: Row) -> Float[Array, "d+1"]:
        """Numbers whose sum is `log_prob`: one per column, and one that all columns share."""
        m = self.mean(z)
        residual = z - self.loading @ m
        shared = m @ m + (self.precision > 0).sum() * LOG_2PI
        return jnp.append(
            -0.5 * self.precision * residual * residual, -0.5 * shared - self.log_det()
        )

    def condition(self, z: Row) -> tuple[Row, Float[Array, "d q"]]:
        """The shift of μ and the new Λ in p(x_M | x_O).

        z | x_O is Gaussian, so x_M | x_O has the same form as x_M, with the same noise.
        """
        return self.loading @ self.mean(z), self.loading @ self.covariance_root()

    def entropy(self) -> Float[Array, ""]:
        """H(x_O) = 1/2 log det 2πe(ΛΛᵀ + Ψ)_OO in nats."""
        return 0.5 * (self.precision > 0).sum() * (1 + LOG_2PI) + self.log_det()

    def sample(self, key: PRNGKeyArray, z: Row, noise: Row) -> Row:
        """A draw of all deviations given the observed ones; `noise` is the diagonal of Ψ."""
        latent_key, noise_key = jax.random.split(key)
        latent_noise = jax.random.normal(latent_key, self.whiten.shape[:1])
        latent = self.mean(z) + self.covariance_root() @ latent_noise
        return self.loading @ latent + jnp.sqrt(noise) * jax.random.normal(noise_key, z.shape)


def check_latent(latent: int, columns: int) -> None:
    """Raises PofxError unless 1 <= latent < columns."""
    if not 1 <= latent < columns:
        raise PofxError(
            f"latent: expected 1 to {columns - 1}, less than the number of columns; got {latent}"
        )


def fit_factors(
    covariance: Float[Array, "d d"], latent: int, floor: Float[Array, ""]
) -> tuple[Float[Array, "d q"], Float[Array, ""]]:
    """The loading and noise of PPCA with the greatest likelihood, Λ = U (L - σ²I)^(1/2).

    σ² is the mean of the smallest d - q eigenvalues (Tipping and Bishop 1999, eqs. 7 and 8), but
    at least `floor`; `latent` is q.
    """
    values, vectors = eigh(covariance)
    noise = jnp.maximum(values[:-latent].mean(), floor)
    return vectors[:, -latent:] * jnp.sqrt(jnp.maximum(values[-latent:] - noise, 0)), noise


def register_closed_forms(cls: type[Any]) -> None:
    """Registers the closed forms of a model of this form.

    The model has a `mean`, a `loading`, a `noise` (one number, or one per column), a `scale`, and
    `_posterior(observed)`.
    """
    closed_forms.condition.register(cls)(_condition)
    closed_forms.log_prob_box.register(cls)(_log_prob_box)
    closed_forms.terms.register(cls)(_terms)
    closed_forms.entropy.register(cls)(_entropy)
    closed_forms.as_gaussian.register(cls)(_moments)
    closed_forms.moments.register(cls)(_moments)
    closed_forms.conditional_column.register(cls)(_column)
    closed_forms.expectation.register(cls)(_expectation)
    closed_forms.most_probable.register(cls)(_most_probable)
    closed_forms.latent.register(cls)(_latent)


def _conditional(
    p: Any, x: Row, observed: Mask | Bool[np.ndarray, "d"]
) -> tuple[Row, Float[Array, "d q"]]:
    """The shift of the mean and the loading of p(x_M | x_O)."""
    return p._posterior(jnp.asarray(observed)).condition(jnp.where(observed, x - p.mean, 0))


def _condition(p: Any, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]) -> Any:
    index = np.flatnonzero(keep)
    pick = operator.itemgetter(index)
    shift, loading, scale = jax.tree.map(pick, (*_conditional(p, x, observed), p.scale))
    noise = pick(p.noise) if p.noise.ndim else p.noise
    return eqx.tree_at(
        lambda p: (p.mean, p.loading, p.noise, p.scale),
        p,
        (p.mean[index] + shift, loading, noise, scale),
    )


def _log_prob_box(
    p: Any,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""] | None:
    if place:
        return None  # one column is answered by its distribution; several are a normal orthant
    if given is None:
        return p.log_prob(x, observed)
    shift, loading = _conditional(p, x, given)
    conditional = eqx.tree_at(lambda p: (p.mean, p.loading), p, (p.mean + shift, loading))
    return conditional.log_prob(x, observed & ~given)


def _terms(p: Any, x: Row, observed: Mask, fine: bool) -> Double:
    return double(p._posterior(observed).terms(jnp.where(observed, x - p.mean, 0)))


def _entropy(p: Any, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    return p._posterior(jnp.asarray(target_mask)).entropy()


def _moments(p: Any) -> tuple[Row, Float[Array, "d d"]]:
    return p.mean, p.loading @ p.loading.T + jnp.diag(jnp.broadcast_to(p.noise, p.mean.shape))


def _column(p: Any, x: Row, observed: Mask, j: int) -> ColumnMixture:
    shift, loading = jax.tree.map(operator.itemgetter(j), _conditional(p, x, observed))
    variance = loading @ loading + jnp.broadcast_to(p.noise, p.mean.shape)[j]
    return univariate_normal(p.mean[j] + shift, variance, variance)


def _expectation(p: Any, x: Row, observed: Mask) -> Row:
    z = jnp.where(observed, x - p.mean, 0)
    return p.mean + p.loading @ p._posterior(observed).mean(z)


def _most_probable(p: Any, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    # A Gaussian density is highest at its mean.
    best = jnp.where(observed, x, _expectation(p, x, observed))
    return best, p.log_prob(best)


def _latent(p: Any, x: Row, observed: Mask) -> dict[str, Float[Array, "q"]]:
    # Factor scores by regression, E[z | x_O] (Thomson 1951).
    return {"factor": p._posterior(observed).mean(jnp.where(observed, x - p.mean, 0))}
