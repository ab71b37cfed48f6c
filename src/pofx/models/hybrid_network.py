"""Bayesian networks of discrete and other columns."""

import math
from functools import partial
from itertools import product
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import AbstractEMSteps, Example, Mask, Row
from pofx.core.column import Column
from pofx.core.family import AbstractFamily
from pofx.families.gamma import Gamma
from pofx.models.components.log_prob_terms import log_posterior, part_terms
from pofx.models.components.operations import (
    draw,
    log_probs,
    part_statistics,
    responsibilities,
)
from pofx.models.discrete_network import DiscreteNetwork
from pofx.models.gaussian import Gaussian
from pofx.models.graphs import hybrid_closed_forms
from pofx.models.graphs.elimination import Factor, Scope
from pofx.models.graphs.linear_gaussian import LinearGaussian, Moments, joint_moments
from pofx.models.independent import Independent
from pofx.models.product import Product

MAX_CONFIGURATIONS = 4096
"""The most joint levels of the discrete parents of other columns."""


class HybridNetwork(AbstractEMSteps):
    """A Bayesian network of discrete and other columns, exact for any pattern of missing cells.

    p(d, x) = p(d) p(x | s)

    with the discrete columns d, the others x, and s the discrete parents of x. Given s, the
    linear-Gaussian columns are jointly normal and the rest are independent, so everything is a
    finite mixture over s: Lauritzen, "Propagation of probabilities, means and variances in mixed
    graphical association models" (1992).

    Args:
        discrete: the network of the discrete columns, maybe of none.
        normals: the linear-Gaussian conditionals, parents before children.
        families: for each other column a family, with one of its columns per configuration of the
            discrete parents, the last of which changes fastest.
        family_levels: these discrete parents.
        places: the discrete, the normal, and the other columns, as indices of a row.

    >>> p = HybridNetwork.example(jax.random.key(0)).model
    >>> p.size, p.switches
    (5, (0, 1))
    """

    discrete: DiscreteNetwork
    normals: tuple[LinearGaussian, ...]
    families: tuple[AbstractFamily, ...]
    family_levels: tuple[Scope, ...] = eqx.field(static=True)
    places: tuple[Scope, Scope, Scope] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return sum(map(len, self.places))

    @property
    def switches(self) -> Scope:
        """The discrete columns s that others depend on."""
        scopes = (*(node.levels for node in self.normals), *self.family_levels)
        return tuple(sorted({j for scope in scopes for j in scope}))

    def configurations(self) -> np.ndarray:
        """The levels of s in each of its configurations, (k, s)."""
        levels = [range(self.discrete.levels[j]) for j in self.switches]
        rows = list(product(*levels))
        return np.array(rows, int).reshape(len(rows), len(levels))

    def _cells(self, scope: Scope) -> np.ndarray:
        """The index of the levels of `scope` in each configuration of s, (k,)."""
        configurations = self.configurations()
        columns = tuple(configurations[:, self.switches.index(j)] for j in scope)
        shape = tuple(self.discrete.levels[j] for j in scope)
        return np.ravel_multi_index(columns, shape) if scope else np.zeros(len(configurations), int)

    @property
    def parts(self) -> Product:
        """p(x | s) for each configuration of s, stacked."""
        blocks, places, start = [], [], 0
        if self.normals:
            blocks.append(self._gaussians())
            places.append(tuple(range(len(self.normals))))
            start = len(self.normals)
        if self.families:
            families = tuple(map(_in_cells, self.families, map(self._cells, self.family_levels)))
            one_column_each = tuple((i,) for i in range(len(families)))
            blocks.append(Independent(families, families, one_column_each))
            places.append(tuple(range(start, start + len(families))))
        return Product(tuple(blocks), tuple(places))

    def _gaussians(self) -> Gaussian:
        parameters = [node.in_cells(self._cells(node.levels)) for node in self.normals]
        moments = jax.vmap(lambda p: joint_moments(self.normals, p))(parameters)
        return jax.vmap(Gaussian.from_moments)(*moments)

    def split(self, row: Array) -> tuple[Array, Array]:
        """The entries of the discrete columns, and those of the others."""
        discrete, normal, other = (np.array(place, int) for place in self.places)
        return row[..., discrete], row[..., np.concatenate([normal, other])]

    def join(self, discrete: Array, others: Array) -> Array:
        """The inverse of `split`."""
        return jnp.concatenate([discrete, others], -1)[..., np.argsort(np.concatenate(self.places))]

    def log_prior(self, evidence: list[Array]) -> Float[Array, "k"]:
        """log p(d_O, s) for each configuration of s."""
        return self.discrete.log_joint(evidence, self.switches).reshape(-1)

    def configuration(self, codes: Array) -> Array:
        """The index of the configuration of s in a row of discrete columns."""
        index = jnp.zeros((), int)
        for j in self.switches:
            index = index * self.discrete.levels[j] + codes[j].astype(int)
        return index

    def factor(self, log_p: Float[Array, "k"]) -> Factor:
        """The factor over s of what is known about x."""
        shape = tuple(self.discrete.levels[j] for j in self.switches)
        return Factor(self.switches, log_p.reshape(shape))

    def _log_joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(d_O, x_O, s) for each configuration of s."""
        (codes, numbers), (seen, known) = self.split(x), self.split(observed)
        prior = self.log_prior(self.discrete.evidence(codes, seen))
        return prior + log_probs(self.parts, numbers, known)

    def log_posterior(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(s | d_O, x_O) for each configuration of s."""
        (codes, numbers), (seen, known) = self.split(x), self.split(observed)
        prior = self.log_prior(self.discrete.evidence(codes, seen))
        return log_posterior(prior, part_terms(self.parts, numbers, known, False))

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self._log_joint(x, observed))

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        switch_key, discrete_key, draw_key = jax.random.split(key, 3)
        k = jax.random.categorical(switch_key, self.log_posterior(x, observed))
        levels = jnp.asarray(self.configurations())[k]
        (codes, numbers), (seen, known) = self.split(x), self.split(observed)
        place = np.array(self.switches, int)
        codes, seen = codes.at[place].set(levels), seen.at[place].set(True)
        discrete = self.discrete.draw(discrete_key, self.discrete.evidence(codes, seen))
        others = draw(self.parts, k, draw_key, numbers, known)
        codes = jnp.stack(discrete).astype(x.dtype) if discrete else codes
        return self.join(codes, others)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        joint = jax.vmap(self._log_joint, (0, None), 1)(x, observed)
        shares, log_likelihood = responsibilities(joint, weight)
        (codes, numbers), (seen, known) = self.split(x), self.split(observed)
        of_parts = part_statistics(self.parts, shares, numbers, known)

        def log_discrete(tables, codes, others):
            network = DiscreteNetwork(tables, self.discrete.parents)
            evidence = network.evidence(codes, seen)
            return network.log_joint(evidence, others=[self.factor(others)])

        def counted(tables):
            others = jax.vmap(lambda row: log_probs(self.parts, row, known))(numbers)
            log_p = jax.vmap(log_discrete, (None, 0, 0))(tables, codes, others)
            return jnp.where(weight > 0, weight * log_p, 0).sum()

        return (jax.grad(counted)(self.discrete.tables), of_parts), log_likelihood

    def m_step(self, statistics: Any) -> "HybridNetwork":
        counts, of_parts = statistics
        normals, families = [], []
        if self.normals:
            moments = Moments.around_common_centre(of_parts[0], self._gaussians().mean)
            for i, node in enumerate(self.normals):
                pooled = moments.pooled(self._cells(node.levels), node.intercept.size)
                normals.append(node.m_step(pooled, i))
        for i, (family, scope) in enumerate(zip(self.families, self.family_levels)):
            count = math.prod(self.discrete.levels[j] for j in scope)
            pool = partial(_pool, cells=self._cells(scope), count=count)
            families.append(family.m_step(jax.tree.map(pool, of_parts[-1][i])))
        return HybridNetwork(
            self.discrete.m_step(counts),
            tuple(normals),
            tuple(families),
            self.family_levels,
            self.places,
        )

    def log_prior_density(self) -> Float[Array, ""]:
        return jnp.zeros(())

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        keys = jax.random.split(key, 4)
        discrete = DiscreteNetwork(
            tuple(
                jax.nn.log_softmax(jax.random.normal(k, shape))
                for k, shape in zip(keys, ((2,), (2, 3)))
            ),
            ((), (0,)),
        )
        floor = jnp.full((), 1e-6)
        first = LinearGaussian(
            jax.random.normal(keys[2], (2,)),
            jnp.zeros((2, 0)),
            jnp.array([0.5, 1.0]),
            floor,
            (),
            (0,),
        )
        second = LinearGaussian(
            jax.random.normal(keys[3], (3,)),
            jnp.array([[0.5], [-1.0], [0.2]]),
            jnp.array([0.3, 0.6, 0.2]),
            floor,
            (0,),
            (1,),
        )
        positive = Gamma(jnp.array([1.5, 4.0]), jnp.array([1.0, 2.0]), jnp.full(2, 1e-6))
        columns = (
            Column("w", "positive", family="gamma"),
            Column("x", "real"),
            Column("s", "binary", levels=2),
            Column("y", "real"),
            Column("t", "categorical", levels=3),
        )
        places = (2, 4), (1, 3), (0,)
        return Example(cls(discrete, (first, second), (positive,), ((0,),), places), columns)


def _in_cells(family: AbstractFamily, cells: np.ndarray) -> AbstractFamily:
    """A family of one column for each configuration, from the column of its cell."""
    return jax.tree.map(lambda a: a[cells][:, None], family)


def _pool(sums: Array, cells: np.ndarray, count: int) -> Array:
    """The sums over the configurations of each cell."""
    return jax.ops.segment_sum(sums[:, 0], cells, count)


hybrid_closed_forms.register(HybridNetwork)
