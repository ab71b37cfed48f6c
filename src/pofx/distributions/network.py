"""A directed graph of written conditionals, made into one exact model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractQueryable
from pofx.core.errors import PofxError
from pofx.core.family import AbstractFamily
from pofx.core.float_width import float64
from pofx.core.written_numbers import log_in_float64
from pofx.distributions.continuous import FLOOR
from pofx.distributions.written import as_joint
from pofx.joint.joint import Joint
from pofx.models.discrete_network import DiscreteNetwork
from pofx.models.gaussian import Gaussian
from pofx.models.graphs.elimination import connected, plan
from pofx.models.graphs.linear_gaussian import LinearGaussian, joint_moments
from pofx.models.hybrid_network import MAX_CONFIGURATIONS, HybridNetwork
from pofx.models.independent import Independent
from pofx.models.product import Product
from pofx.table.schema import Variable

MAX_CELLS = 2**24
"""The most cells of a table on the way to an exact sum."""


@dataclass(frozen=True, eq=False)
class TableNode:
    """p(x | discrete parents), with an axis for each parent and one for x."""

    variable: Variable
    parents: tuple[str, ...]
    table: np.ndarray


@dataclass(frozen=True, eq=False)
class NormalNode:
    """x | u, s ~ N(intercept_s + coefficients_s · u, variance_s), with an axis for each of s."""

    variable: Variable
    parents: tuple[str, ...]
    numbers: tuple[str, ...]
    intercept: np.ndarray
    coefficients: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class FamilyNode:
    """x | s from a family, with one of its columns for each configuration of s."""

    variable: Variable
    parents: tuple[str, ...]
    family: AbstractFamily


Node = TableNode | NormalNode | FamilyNode


def network(nodes: Sequence[Node]) -> Joint:
    """The joint distribution p(x) = Π_j p(x_j | parents of x_j), exact for any question.

    Args:
        nodes: the conditionals, parents before children.

    Raises PofxError for a graph whose sums are too large.
    """
    with float64(True):
        return as_joint(_product(nodes), [node.variable for node in nodes])


def _product(nodes: Sequence[Node]) -> AbstractQueryable:
    """The model of each connected part of the graph; the parts are independent."""
    index = _index(nodes)
    groups = np.array(connected([tuple(index[name] for name in _parents(n)) for n in nodes]))
    places = [tuple(np.flatnonzero(groups == g).tolist()) for g in dict.fromkeys(groups.tolist())]
    models = tuple(_model([nodes[j] for j in place]) for place in places)
    return models[0] if len(models) == 1 else Product(models, tuple(places))


def _parents(node: Node) -> tuple[str, ...]:
    return (*node.parents, *node.numbers) if isinstance(node, NormalNode) else node.parents


def _model(nodes: Sequence[Node]) -> AbstractQueryable:
    """The model of a connected graph."""
    first = nodes[0]
    if len(nodes) == 1 and isinstance(first, FamilyNode):
        return Independent((first.family,), (first.family,), ((0,),))
    tables = [node for node in nodes if isinstance(node, TableNode)]
    normals = [node for node in nodes if isinstance(node, NormalNode)]
    families = [node for node in nodes if isinstance(node, FamilyNode)]
    discrete = _discrete(tables)
    if len(tables) == len(nodes):
        return discrete
    places = _index(tables), _index(normals)
    conditionals = tuple(_linear_gaussian(node, *places) for node in normals)
    # A Gaussian has an edge between any two; with fewer, learning must keep what is absent.
    if all(len(node.numbers) == i for i, node in enumerate(normals)) and len(normals) == len(nodes):
        cell = np.zeros(1, int)
        parameters = [
            (intercept[0], coefficients[0], variance[0])
            for intercept, coefficients, variance in (node.in_cells(cell) for node in conditionals)
        ]
        return Gaussian.from_moments(*joint_moments(conditionals, parameters))
    levels = tuple(tuple(places[0][name] for name in node.parents) for node in families)
    indices = _index(nodes)
    rows: Any = tuple(
        tuple(indices[node.variable.name] for node in kind) for kind in (tables, normals, families)
    )
    model = HybridNetwork(
        discrete, conditionals, tuple(node.family for node in families), levels, rows
    )
    count = math.prod(discrete.levels[j] for j in model.switches)
    if count > MAX_CONFIGURATIONS:
        raise PofxError(
            f"numbers depend on {count} configurations of levels; at most {MAX_CONFIGURATIONS} "
            "are summed"
        )
    return model


def _index(nodes: Sequence[Node]) -> dict[str, int]:
    return {node.variable.name: i for i, node in enumerate(nodes)}


def _discrete(nodes: Sequence[TableNode]) -> DiscreteNetwork:
    index = _index(nodes)
    parents = tuple(tuple(index[name] for name in node.parents) for node in nodes)
    model = DiscreteNetwork(tuple(log_in_float64(node.table) for node in nodes), parents)
    cells = plan(model.scopes, model.levels).max_cells
    if cells > MAX_CELLS:
        raise PofxError(
            f"a sum over this graph needs a table of {cells} cells; at most {MAX_CELLS}"
        )
    return model


def _linear_gaussian(
    node: NormalNode, levels: dict[str, int], numbers: dict[str, int]
) -> LinearGaussian:
    variance = jnp.asarray(node.variance)
    return LinearGaussian(
        jnp.asarray(node.intercept),
        jnp.asarray(node.coefficients),
        variance,
        FLOOR * variance.min(),
        tuple(numbers[name] for name in node.numbers),
        tuple(levels[name] for name in node.parents),
    )


def stacked(families: Sequence[AbstractFamily]) -> AbstractFamily:
    """One family with the columns of all."""
    with float64(True):
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *families)
