"""Probabilistic principal component analysis: factor analysis with one noise variance."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.rows import Rows
from pofx.models.linear_gaussian.latent_linear import (
    Posterior,
    check_latent,
    fit_factors,
    register_closed_forms,
)
from pofx.models.linear_gaussian.moments import ColumnScale, GaussianStatistics, column_scale
from pofx.models.linear_gaussian.shrinkage import log_prior_of_covariance, pseudo_variance


class PPCA(AbstractEMModel):
    """Probabilistic PCA: a Gaussian of q latent factors plus noise of one variance.

    x = μ + Λz + ε,  z ~ N(0, I) of q dimensions,  ε ~ N(0, σ²I)

    Columns: real. Marginals and conditionals are exact, at a cost linear in the columns. Complete
    rows are learned in closed form: Λ = U (L - σ²I)^(1/2) from the eigenvectors and eigenvalues of
    the covariance. Rows with missing cells are learned by EM over those cells, with z integrated
    out. Learning needs the d by d covariance matrix; factor analysis does not.

    The noise variance is the same for all columns as the model sees them. `pofx.fit` standardises
    each plain column, so σ² refers to the correlation matrix; it scales all pixels of an image by
    one number. Tipping and Bishop, "Probabilistic principal component analysis" (1999).

    >>> p = PPCA.example(jax.random.key(0)).model
    >>> p.loading.shape
    (4, 2)
    """

    mean: Float[Array, "d"]
    loading: Float[Array, "d q"]
    noise: Float[Array, ""]
    scale: ColumnScale
    prior: float = eqx.field(static=True, default=0.0)

    @property
    def size(self) -> int:
        return self.mean.shape[-1]

    def _posterior(self, observed: Mask) -> Posterior:
        return Posterior.from_pattern(self.loading, jnp.full(self.size, self.noise), observed)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        z = jnp.where(observed, x - self.mean, 0)
        return self._posterior(observed).log_prob(z)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        z = jnp.where(observed, x - self.mean, 0)
        return self.mean + self._posterior(observed).sample(key, z, self.noise)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[GaussianStatistics, Float[Array, ""]]:
        posterior = self._posterior(observed)
        z = jnp.where(observed, x - self.mean, 0)
        z = jnp.where(observed, z, jax.vmap(posterior.mean)(z) @ self.loading.T)
        root = jnp.where(observed[:, None], 0, self.loading @ posterior.covariance_root())
        residual = root @ root.T + jnp.diag(jnp.where(observed, 0, self.noise))
        weighted = weight[:, None] * z
        total = weight.sum()
        log_prob = jax.vmap(self._log_prob, (0, None))(x, observed)
        scatter = weighted.T @ z + total * residual
        return GaussianStatistics(total, weighted.sum(0), scatter), weight @ log_prob

    def m_step(self, statistics: GaussianStatistics) -> "PPCA":
        weight = statistics.weight + self.prior
        has_rows = weight > 0
        shift, scatter = statistics.scatter()
        pseudo = pseudo_variance(self._precision(), self.scale.variance)
        scatter = scatter + self.prior * jnp.diag(pseudo)
        covariance = scatter / jnp.where(has_rows, weight, 1)
        loading, noise = fit_factors(covariance, self.loading.shape[-1], self.scale.floor.max())
        return eqx.tree_at(
            lambda p: (p.mean, p.loading, p.noise),
            self,
            (
                self.mean + shift,
                jnp.where(has_rows, loading, self.loading),
                jnp.where(has_rows, noise, self.noise),
            ),
        )

    def _precision(self) -> Float[Array, "d"]:
        """The diagonal of the inverse covariance, by Woodbury's identity."""
        p = self._posterior(jnp.ones(self.size, bool))
        return (1 - ((self.loading @ p.covariance_root()) ** 2).sum(1) / self.noise) / self.noise

    def log_prior_density(self) -> Float[Array, ""]:
        half_log_det = self._posterior(jnp.ones(self.size, bool)).log_det()
        log_prior = log_prior_of_covariance(half_log_det, self._precision(), self.scale.variance)
        return self.prior * log_prior if self.prior else jnp.zeros(())

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
        latent: int = 2,
        prior: float = 0.0,
    ) -> "PPCA":
        """The principal components of the rows, with column means in the missing cells.

        Args:
            latent: number q of factors, default 2; less than the number of columns.
            prior: number of pseudo-rows in the prior of the covariance
                (`shrinkage.pseudo_variance`), default 0.

        Raises PofxError for a number of factors out of range.
        """
        check_latent(latent, len(columns))
        scale, filled = column_scale(rows, columns)
        covariance = jnp.asarray(np.atleast_2d(np.cov(filled.T, bias=True)))
        loading, noise = fit_factors(covariance, latent, scale.floor.max())
        return cls(scale.centre, loading, noise, scale, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        loading = jax.random.normal(key, (4, 2))
        variance = (loading**2).sum(1) + 0.3
        mean = jnp.arange(4.0)
        model = cls(mean, loading, jnp.asarray(0.3), ColumnScale(mean, variance, 1e-6 * variance))
        return Example(model, tuple(Column(f"x{i}", "real", family="normal") for i in range(4)))


register_closed_forms(PPCA)
