"""The continuous mixture: a network decodes a latent point to a simple model of the row."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import (
    AbstractParametric,
    AbstractQueryable,
    AbstractTractable,
    AbstractValidatesOnLoss,
    AbstractWithoutState,
    Example,
    Mask,
    Row,
)
from pofx.core.column import Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.compilation import compiled
from pofx.core.double_double import Double
from pofx.core.errors import PofxError, check_at_least
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.nets.mlp import MLP

MAX_SOBOL_DIMENSION = 21201
"""Largest number of latent numbers: that of scipy's Sobol sequence."""
MAX_PARAMETERS = 2**24
"""The largest number of parameters of the finite mixture."""


class ContinuousMixture(AbstractTractable, AbstractValidatesOnLoss, AbstractWithoutState):
    """A mixture over a latent point z, decoded by a network to the parameters of a simple model.

    p(x_O) = ∫ N(z; 0, I) p(x_O | decoder(z)) dz ≈ Σ_k w_k p(x_O | decoder(z_k))

    Columns: those that the part supports. The integral is a sum over quasi-random points. The
    decoder is trained first, on a Sobol sequence `grid` that each step shifts at random. In a
    second phase (`learns_points`) the points and their weights are trained with the decoder fixed.
    At its points the model is a finite mixture, so its answers are exact. `part` is the model at
    decoder(z) = 0. Correia et al., "Continuous mixtures of tractable probabilistic models" (2023).

    >>> p = ContinuousMixture.example(jax.random.key(0)).model
    >>> type(p.mixture()).__name__, p.points.shape
    ('Mixture', (4, 2))
    """

    decoder: MLP
    part: AbstractParametric
    grid: Float[Array, "k latent"]
    points: Float[Array, "m latent"]
    log_weights: Float[Array, "m"]
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    learns_points: bool = eqx.field(static=True, default=False)

    @property
    def size(self) -> int:
        return self.part.size

    def mixture(self) -> Mixture:
        """The finite mixture at the latent points."""
        return Mixture(self.log_weights, self.decode(self.points))

    def decode(self, z: Float[Array, "m latent"]) -> AbstractParametric:
        """The models at these latent points, their arrays stacked."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]

        def decode_point(z):
            raw = jnp.split(self.decoder(z), ends)
            return self.part.from_unconstrained(
                tuple(r.reshape(s) for r, s in zip(raw, self.shapes))
            )

        return eqx.filter_vmap(decode_point)(z)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return self.mixture().log_prob(x, observed)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        return self.mixture().sample(key, x, observed)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        if self.learns_points:
            mixture = self.mixture()
        else:
            shift = jax.random.uniform(key, self.grid.shape[1:], self.grid.dtype)
            z = to_normal(self.grid + shift)
            mixture = Mixture(jnp.zeros(len(z)), self.decode(z))
        return -jax.vmap(mixture.log_prob, (0, 0 if observed.ndim == 2 else None))(x, observed)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        if self.learns_points:
            return eqx.tree_at(lambda p: (p.points, p.log_weights), fixed, (True, True))
        net = jax.tree.map(lambda _: True, self.decoder)
        return eqx.tree_at(lambda p: p.decoder, fixed, net)

    def next_phase(self) -> "ContinuousMixture | None":
        if self.learns_points:
            return None
        return self._with_points(self.points, self.log_weights, learns_points=True)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> AbstractTractable:
        """The finite mixture at the points.

        If only the decoder was trained, the Sobol sequence is doubled as long as that improves the
        mean score by more than one standard error.
        """
        best = _mixture(self)
        if self.learns_points:
            return best
        best_scores = score(best)
        parameters = sum(math.prod(shape) for shape in self.shapes)
        points = len(self.points)
        while 2 * points * parameters <= MAX_PARAMETERS:
            points *= 2
            grid = draw_sobol(jax.random.key(points), points, self.grid.shape[1])
            candidate = _mixture(self._with_points(to_normal(grid), jnp.zeros(points)))
            scores = score(candidate)
            # A row that is impossible under both does not count: -inf minus -inf is NaN.
            gain = np.subtract(
                scores, best_scores, out=np.zeros_like(scores), where=scores != best_scores
            )
            if not gain.mean() > gain.std() / np.sqrt(len(gain)):
                break
            best, best_scores = candidate, scores
        return best

    def _with_points(
        self, points: Array, log_weights: Array, learns_points: bool = False
    ) -> "ContinuousMixture":
        return ContinuousMixture(
            self.decoder, self.part, self.grid, points, log_weights, self.shapes, learns_points
        )

    @classmethod
    def supported_kinds(
        cls, variable: str, *, part: str = "chow_liu_tree", **options: Any
    ) -> frozenset[Kind]:
        return class_by_name("pofx.models", AbstractParametric, "part", part).supported_kinds(
            variable
        )

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        part: str = "chow_liu_tree",
        latent: int = 4,
        points: int = 1024,
        width: int = 256,
        depth: int = 3,
        prior: float = 1.0,
    ) -> "ContinuousMixture":
        """One part learned from all rows, and a decoder with random weights that varies it.

        Args:
            part: model of the row given z, "chow_liu_tree" (default) or "independent".
            latent: number of latent dimensions, default 4.
            points: number of latent points, a power of two, default 1024.
            width: number of units in each hidden layer of the decoder, default 256.
            depth: number of hidden layers, default 3.
            prior: number of pseudo-rows of the part, default 1.

        Raises PofxError for an option out of range.
        """
        check_at_least(1, latent=latent, points=points, width=width)
        check_at_least(0, depth=depth)
        if latent > MAX_SOBOL_DIMENSION:
            raise PofxError(f"latent: expected at most {MAX_SOBOL_DIMENSION}, got {latent}")
        if points & (points - 1):
            raise PofxError(
                f"points: expected a power of two, because of the Sobol sequence; got {points}"
            )
        seed, inner, net = jax.random.split(key, 3)
        model = class_by_name("pofx.models", AbstractParametric, "part", part)
        fitted_part = _fit_part(model.from_data(inner, rows, columns, prior=prior), rows)
        shapes = fitted_part.raw_shapes(columns)
        sizes = [latent, *[width] * depth, sum(math.prod(s) for s in shapes)]
        grid = draw_sobol(seed, points, latent)
        return cls(
            MLP.init(net, sizes), fitted_part, grid, to_normal(grid), jnp.zeros(points), shapes
        )

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        part, columns = Independent.example(key)
        shapes = part.raw_shapes(columns)
        net = MLP.init(key, (2, 8, sum(math.prod(s) for s in shapes)))
        grid = draw_sobol(key, 4, 2)
        return Example(cls(net, part, grid, to_normal(grid), jnp.zeros(4), shapes), columns)


@compiled
def _mixture(p: ContinuousMixture) -> Mixture:
    return p.mixture()


@compiled
def _fit_part(part: Any, rows: Rows) -> Any:
    return part.m_step(rows.sum(part.expected_statistics)[0])


def draw_sobol(key: PRNGKeyArray, points: int, latent: int) -> Float[Array, "points latent"]:
    """A scrambled Sobol sequence in the unit cube, of shape (points, latent) (Owen 1998)."""
    # Imported late, because it takes a second.
    from scipy.stats.qmc import Sobol

    seed = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return jnp.asarray(Sobol(latent, rng=seed).random(points))


@compiled
def to_normal(u: Float[Array, "k latent"]) -> Float[Array, "k latent"]:
    """Standard normal quantiles of points of the unit cube, taken modulo one."""
    eps = jnp.finfo(u.dtype).eps
    return ndtri(jnp.clip(u % 1, eps, 1 - eps))


@closed_forms.conditional_column.register(ContinuousMixture)
def _column(p: ContinuousMixture, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    mixture = p.mixture()
    rule = closed_forms.conditional_column.find(mixture)
    return rule and rule(mixture, x, observed, j)


@closed_forms.expectation.register(ContinuousMixture)
def _expectation(p: ContinuousMixture, x: Row, observed: Mask) -> Row | None:
    mixture = p.mixture()
    rule = closed_forms.expectation.find(mixture)
    return rule and rule(mixture, x, observed)


@closed_forms.log_prob_box.register(ContinuousMixture)
def _box(p: ContinuousMixture, x: Row, observed: Mask, *interval: Any) -> Array | None:
    mixture = p.mixture()
    rule = closed_forms.log_prob_box.find(mixture)
    return rule and rule(mixture, x, observed, *interval)


@closed_forms.terms.register(ContinuousMixture)
def _terms(p: ContinuousMixture, x: Row, observed: Mask, fine: bool) -> Double | None:
    mixture = p.mixture()
    rule = closed_forms.terms.find(mixture)
    return rule and rule(mixture, x, observed, fine)


@closed_forms.moments.register(ContinuousMixture)
def _moments(p: ContinuousMixture) -> tuple[Row, Float[Array, "d d"]] | None:
    mixture = p.mixture()
    rule = closed_forms.moments.find(mixture)
    return rule and rule(mixture)


@closed_forms.most_probable.register(ContinuousMixture)
def _completion(
    p: ContinuousMixture, x: Row, observed: Mask
) -> tuple[Row, Float[Array, ""]] | None:
    mixture = p.mixture()
    rule = closed_forms.most_probable.find(mixture)
    return rule and rule(mixture, x, observed)
