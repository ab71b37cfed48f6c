"""The continuous mixture: a latent point of few numbers, decoded to a simple model of the row."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from scipy.stats.qmc import Sobol

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
from pofx.core.double_double import Double
from pofx.core.errors import PofxError, check_at_least
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.nets.mlp import MLP

LARGEST = 2**24
"""The most numbers that the parameters of the finite mixture may come to."""


class ContinuousMixture(AbstractTractable, AbstractValidatesOnLoss, AbstractWithoutState):
    """A mixture over a latent point z, whose decoder gives the parameters of the row's model.

    p(x_O) = ∫ N(z; 0, I) p(x_O | decoder(z)) dz ≈ Σ_k w_k p(x_O | decoder(z_k))

    Integrated over quasi-random points: the decoder is trained on a Sobol sequence `grid`, shifted
    at random in each step; then, `free`, the points and their weights, the decoder held fast. At
    its points it is a finite mixture, and so exact again. `part` is the model at decoder(z) = 0.
    Correia et al., "Continuous mixtures of tractable probabilistic
    models" (2023).

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
    free: bool = eqx.field(static=True, default=False)

    @property
    def size(self) -> int:
        return self.part.size

    def mixture(self) -> Mixture:
        """The finite mixture at the points."""
        return Mixture(self.log_weights, self.decoded(self.points))

    def decoded(self, z: Float[Array, "m latent"]) -> AbstractParametric:
        """The models at these latent points, stacked."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]

        def one(z):
            raw = jnp.split(self.decoder(z), ends)
            return self.part.from_unconstrained(
                tuple(r.reshape(s) for r, s in zip(raw, self.shapes))
            )

        return eqx.filter_vmap(one)(z)

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
        if self.free:
            mixture = self.mixture()
        else:
            shift = jax.random.uniform(key, self.grid.shape[1:], self.grid.dtype)
            z = normal_points(self.grid + shift)
            mixture = Mixture(jnp.zeros(len(z)), self.decoded(z))
        return -jax.vmap(mixture.log_prob, (0, 0 if observed.ndim == 2 else None))(x, observed)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        if self.free:
            return eqx.tree_at(lambda p: (p.points, p.log_weights), fixed, (True, True))
        net = jax.tree.map(lambda _: True, self.decoder)
        return eqx.tree_at(lambda p: p.decoder, fixed, net)

    def next_phase(self) -> "ContinuousMixture | None":
        return None if self.free else self._at(self.points, self.log_weights, free=True)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> AbstractTractable:
        """The mixture; of a Sobol sequence twice as long while that gains a standard error."""
        best = _mixture(self)
        if self.free:
            return best
        kept, numbers = score(best), sum(math.prod(shape) for shape in self.shapes)
        points = len(self.points)
        while 2 * points * numbers <= LARGEST:
            points *= 2
            grid = sobol(jax.random.key(points), points, self.grid.shape[1])
            longer = _mixture(self._at(normal_points(grid), jnp.zeros(points)))
            own = score(longer)
            # A row that both hold impossible tells nothing between them.
            gain = np.subtract(own, kept, out=np.zeros_like(own), where=own != kept)
            if not gain.mean() > gain.std() / np.sqrt(len(gain)):
                break
            best, kept = longer, own
        return best

    def _at(self, points: Array, log_weights: Array, free: bool = False) -> "ContinuousMixture":
        return ContinuousMixture(
            self.decoder, self.part, self.grid, points, log_weights, self.shapes, free
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
        """One part learned from all rows, and a decoder that strays from it at random."""
        check_at_least(1, latent=latent, points=points, width=width)
        check_at_least(0, depth=depth)
        if latent > Sobol.MAXDIM:
            raise PofxError(f"latent: expected at most {Sobol.MAXDIM}, got {latent}")
        if points & (points - 1):
            raise PofxError(f"points: expected a power of two, as Sobol sequences do, got {points}")
        seed, inner, net = jax.random.split(key, 3)
        model = class_by_name("pofx.models", AbstractParametric, "part", part)
        one = _learned(model.from_data(inner, rows, columns, prior=prior), rows)
        shapes = one.raw_shapes(columns)
        sizes = [latent, *[width] * depth, sum(math.prod(s) for s in shapes)]
        grid = sobol(seed, points, latent)
        return cls(MLP.init(net, sizes), one, grid, normal_points(grid), jnp.zeros(points), shapes)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        part, columns = Independent.example(key)
        shapes = part.raw_shapes(columns)
        net = MLP.init(key, (2, 8, sum(math.prod(s) for s in shapes)))
        grid = sobol(key, 4, 2)
        return Example(cls(net, part, grid, normal_points(grid), jnp.zeros(4), shapes), columns)


@eqx.filter_jit
def _mixture(p: ContinuousMixture) -> Mixture:
    return p.mixture()


@eqx.filter_jit
def _learned(part: Any, rows: Rows) -> Any:
    return part.m_step(rows.sum(part.expected_statistics)[0])


def sobol(key: PRNGKeyArray, points: int, latent: int) -> Float[Array, "points latent"]:
    """A scrambled Sobol sequence in the unit cube (Owen 1998)."""
    seed = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return jnp.asarray(Sobol(latent, rng=seed).random(points))


@jax.jit
def normal_points(u: Float[Array, "k latent"]) -> Float[Array, "k latent"]:
    """Points of the unit cube, taken modulo one, as quantiles of a standard normal."""
    eps = jnp.finfo(u.dtype).eps
    return ndtri(jnp.clip(u % 1, eps, 1 - eps))


@closed_forms.conditional_column.register(ContinuousMixture)
def _column(p: ContinuousMixture, x: Row, observed: Mask, j: int) -> ColumnMixture | None:
    own = p.mixture()
    rule = closed_forms.conditional_column.find(own)
    return rule and rule(own, x, observed, j)


@closed_forms.expectation.register(ContinuousMixture)
def _expectation(p: ContinuousMixture, x: Row, observed: Mask) -> Row | None:
    own = p.mixture()
    rule = closed_forms.expectation.find(own)
    return rule and rule(own, x, observed)


@closed_forms.log_prob_box.register(ContinuousMixture)
def _box(p: ContinuousMixture, x: Row, observed: Mask, *interval: Any) -> Array | None:
    own = p.mixture()
    rule = closed_forms.log_prob_box.find(own)
    return rule and rule(own, x, observed, *interval)


@closed_forms.terms.register(ContinuousMixture)
def _terms(p: ContinuousMixture, x: Row, observed: Mask, fine: bool) -> Double | None:
    own = p.mixture()
    rule = closed_forms.terms.find(own)
    return rule and rule(own, x, observed, fine)


@closed_forms.moments.register(ContinuousMixture)
def _moments(p: ContinuousMixture) -> tuple[Row, Float[Array, "d d"]] | None:
    own = p.mixture()
    rule = closed_forms.moments.find(own)
    return rule and rule(own)


@closed_forms.most_probable.register(ContinuousMixture)
def _completion(
    p: ContinuousMixture, x: Row, observed: Mask
) -> tuple[Row, Float[Array, ""]] | None:
    own = p.mixture()
    rule = closed_forms.most_probable.find(own)
    return rule and rule(own, x, observed)
