"""Factor analysis: real columns depend on each other through a few latent factors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMModel, Example, Mask, Row
from pofx.core.column import Column, Kind
from pofx.core.linalg import inverse_cholesky
from pofx.core.rows import Rows
from pofx.models.linear_gaussian.latent_linear import (
    Posterior,
    check_latent,
    fit_factors,
    register_closed_forms,
)
from pofx.models.linear_gaussian.moments import ColumnScale, column_scale
from pofx.models.linear_gaussian.shrinkage import log_prior_of_covariance, pseudo_variance


class RegressionStatistics(NamedTuple):
    """Weighted sums for the regression of each column on (z, 1), over the rows that observe it.

    `weight` sums the rows, `latent` E[(z, 1) (z, 1)ᵀ], `cross` (x - μ) E[(z, 1)] and `square`
    (x - μ)². `latent_all` is `latent` summed over all rows.
    """

    weight: Float[Array, "d"]
    latent: Float[Array, "d q+1 q+1"]
    cross: Float[Array, "d q+1"]
    square: Float[Array, "d"]
    latent_all: Float[Array, "q+1 q+1"]


class FactorAnalysis(AbstractEMModel):
    """Factor analysis: real columns are linear in q latent factors, plus independent noise.

    x = μ + Λz + ε,  z ~ N(0, I) of q dimensions,  ε ~ N(0, Ψ) with Ψ diagonal

    Columns: real. Marginals and conditionals are exact. The cost of answers and of learning is
    linear in the number of columns. Learning is EM: a weighted regression of each column on z over
    the rows that observe it (Rubin and Thayer, "EM algorithms for ML factor analysis", 1982). To
    converge faster EM also learns the covariance of z and folds it into Λ (PX-EM; Liu, Rubin and
    Wu 1998).

    >>> p = FactorAnalysis.example(jax.random.key(0)).model
    >>> p.loading.shape
    (4, 2)
    """

    mean: Float[Array, "d"]
    loading: Float[Array, "d q"]
    noise: Float[Array, "d"]
    scale: ColumnScale
    prior: float = eqx.field(static=True, default=0.0)

    @property
    def size(self) -> int:
        return self.mean.shape[-1]

    def _posterior(self, observed: Mask) -> Posterior:
        return Posterior.from_pattern(self.loading, self.noise, observed)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        z = jnp.where(observed, x - self.mean, 0)
        return self._posterior(observed).log_prob(z)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        z = jnp.where(observed, x - self.mean, 0)
        return self.mean + self._posterior(observed).sample(key, z, self.noise)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[RegressionStatistics, Float[Array, ""]]:
        posterior = self._posterior(observed)
        deviation = jnp.where(observed, x - self.mean, 0)
        latent = jax.vmap(posterior.mean)(deviation)
        latent = jnp.concatenate([latent, jnp.ones((len(x), 1), x.dtype)], axis=1)
        weighted = weight[:, None] * latent
        total = weight.sum()
        moments = weighted.T @ latent + total * jnp.pad(posterior.covariance(), (0, 1))
        log_prob = jax.vmap(posterior.log_prob)(deviation)
        statistics = RegressionStatistics(
            total * observed,
            observed[:, None, None] * moments,
            deviation.T @ weighted,
            weight @ deviation**2,
            moments,
        )
        return statistics, weight @ log_prob

    def m_step(self, statistics: RegressionStatistics) -> "FactorAnalysis":
        s = statistics
        identity = jnp.eye(self.loading.shape[-1] + 1, dtype=self.mean.dtype)
        has_cells = s.weight > 0
        latent = jnp.where(has_cells[:, None, None], s.latent, identity)
        w = inverse_cholesky(latent)
        pseudo_scatter = pseudo_variance(1 / self.noise, self.scale.variance)
        slope = (w.mT @ (w @ s.cross[..., None]))[..., 0]
        residual = s.square - (slope * s.cross).sum(1) + self.prior * pseudo_scatter
        weight = s.weight + self.prior
        noise = jnp.maximum(residual / jnp.where(weight > 0, weight, 1), self.scale.floor)
        loading = jnp.where(has_cells[:, None], slope[:, :-1], self.loading)
        centre, root = _latent_moments(s.latent_all)
        return eqx.tree_at(
            lambda p: (p.mean, p.loading, p.noise),
            self,
            (
                self.mean + jnp.where(has_cells, slope[:, -1], 0) + loading @ centre,
                loading @ root,
                jnp.where(weight > 0, noise, self.noise),
            ),
        )

    def log_prior_density(self) -> Float[Array, ""]:
        half_log_det = 0.5 * jnp.log(self.noise).sum()
        log_prior = log_prior_of_covariance(half_log_det, 1 / self.noise, self.scale.variance)
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
    ) -> "FactorAnalysis":
        """Principal components of the standardised rows, with column means in the missing cells.

        Args:
            latent: number of factors q, default 2.
            prior: number of pseudo-rows for the noise of each column, default 0 for maximum
                likelihood.

        Raises PofxError if `latent` is out of range or a column is not real.
        """
        check_latent(latent, len(columns))
        scale, x = column_scale(rows, columns)
        unit = np.sqrt(np.asarray(scale.variance, np.float64))
        correlation = np.cov(x.T / unit[:, None], bias=True)
        loading, noise = fit_factors(jnp.asarray(correlation), latent, jnp.asarray(1e-3))
        return cls(scale.centre, loading * unit[:, None], noise * scale.variance, scale, prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        loading = jax.random.normal(key, (4, 2))
        noise = jnp.array([0.2, 0.5, 1.0, 0.3])
        variance = (loading**2).sum(1) + noise
        mean = jnp.arange(4.0)
        model = cls(mean, loading, noise, ColumnScale(mean, variance, 1e-6 * variance))
        return Example(model, tuple(Column(f"x{i}", "real", family="normal") for i in range(4)))


def _latent_moments(
    moments: Float[Array, "q+1 q+1"],
) -> tuple[Float[Array, "q"], Float[Array, "q q"]]:
    """The mean of z over all rows and a root of its covariance; 0 and I if there are no rows."""
    total = moments[-1, -1]
    has_rows = total > 0
    mean = moments[-1] / jnp.where(has_rows, total, 1)
    covariance = moments[:-1, :-1] / jnp.where(has_rows, total, 1) - jnp.outer(mean[:-1], mean[:-1])
    identity = jnp.eye(len(covariance), dtype=covariance.dtype)
    covariance = jnp.where(has_rows, covariance, identity)
    return jnp.where(has_rows, mean[:-1], 0), covariance @ inverse_cholesky(covariance).T


register_closed_forms(FactorAnalysis)
