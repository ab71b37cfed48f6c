"""The nodes of a graph, from the distributions that are written for each configuration."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.family import AbstractFamily
from pofx.core.written_numbers import SUM_TOLERANCE
from pofx.distributions import continuous, discrete
from pofx.distributions.arguments import Arguments
from pofx.distributions.network import FamilyNode, NormalNode, TableNode, stacked
from pofx.distributions.written import level_variable, number_variable
from pofx.families.bernoulli import Bernoulli
from pofx.families.categorical import Categorical
from pofx.joint.joint import Joint
from pofx.models.independent import Independent
from pofx.notation.definitions import Call
from pofx.table.schema import Variable

FAMILIES: dict[str, Callable[..., Joint]] = {
    "Bernoulli": discrete.bernoulli,
    "Beta": continuous.beta,
    "Categorical": discrete.categorical,
    "Exponential": continuous.exponential,
    "Gamma": continuous.gamma,
    "LogNormal": continuous.log_normal,
    "NegativeBinomial": discrete.negative_binomial,
    "Poisson": discrete.poisson,
    "StudentT": continuous.student_t,
    "Uniform": continuous.uniform,
}
NORMAL, TABLE = "Normal", "table"
YES_OR_NO = ("no", "yes")
"""The levels of a Bernoulli variable that has no others."""


class Leaf(NamedTuple):
    """The distribution in one configuration of the discrete parents.

    `levels` holds the levels of the parents that no case has told apart.
    """

    call: Call
    levels: tuple[int, ...]


def single_node(
    reader: Arguments, target: str, parents: tuple[str, ...], leaves: np.ndarray
) -> TableNode | FamilyNode:
    """The node of a family of one column, or of a table.

    Args:
        reader: of the arguments.
        target: the name of the column.
        parents: the names of its parents.
        leaves: a `Leaf` for each configuration of the parents, in an axis for each.
    """
    _check_alike(reader, leaves)
    if leaves.ravel()[0].call.family.text == TABLE:
        return _table(reader, target, parents, leaves)
    joints = [_joint(reader, leaf.call, target) for leaf in leaves.ravel()]
    variable = joints[0].schema.variables[0]
    families = [_family(joint) for joint in joints]
    for leaf, family in zip(leaves.ravel(), families):
        if type(family) is not type(families[0]):
            reader.fail(leaf.call.family.at, "expected the same family in all cases")
    if not variable.discrete:
        return FamilyNode(variable, parents, stacked(families))
    for leaf, joint in zip(leaves.ravel(), joints):
        if joint.schema.variables[0].levels != variable.levels:
            reader.fail(leaf.call.family.at, "expected the same levels in all cases")
    rows = np.array([_shares(family) for family in families])
    return TableNode(variable, parents, rows.reshape(*leaves.shape, -1))


def _check_alike(reader: Arguments, leaves: np.ndarray) -> None:
    """Raises NotationError if only some leaves are Normal, or tables."""
    first = leaves.ravel()[0].call.family.text
    for leaf in leaves.ravel():
        family = leaf.call.family
        if family.text != first and {family.text, first} & {NORMAL, TABLE}:
            reader.fail(family.at, f"expected {first} in all cases, found {family.text}")


def _joint(reader: Arguments, call: Call, name: str) -> Joint:
    """The distribution of one column in one configuration of its parents."""
    at, family = call.family.at, call.family.text
    if family not in FAMILIES:
        reader.fail(at, str(unknown_name_error("family", family, [*FAMILIES, NORMAL, TABLE])))
    constructor = FAMILIES[family]
    in_order = [reader.value(value) for value in call.arguments]
    named = {key: reader.value(value) for key, value in call.named.items()}
    if "name" in named:
        reader.fail(at, f"{family}: expected no name, the column is {name}")
    if family == "Bernoulli":
        named.setdefault("levels", YES_OR_NO)
    try:
        # The name of the column is not among the arguments.
        signature(constructor).bind(*in_order, **named, name=name)
    except TypeError:
        parameters = ", ".join(k for k in signature(constructor).parameters if k != "name")
        reader.fail(at, f"expected {family}({parameters})")
    try:
        return constructor(*in_order, **named, name=name)
    except PofxError as error:
        reader.fail(at, f"{family}: {error}")


def _family(p: Joint) -> AbstractFamily:
    assert isinstance(p.model, Independent)
    return p.model.groups[0]


def _table(
    reader: Arguments, target: str, parents: tuple[str, ...], leaves: np.ndarray
) -> TableNode:
    rows = []
    variables: list[Variable] = []
    for leaf in leaves.ravel():
        at = leaf.call.family.at
        row = _row(reader, leaf)
        named = leaf.call.named.get("levels")
        default = YES_OR_NO if len(row) == 2 else range(len(row))
        levels = default if named is None else reader.value(named)
        try:
            variables.append(level_variable("levels", target, levels))
        except PofxError as error:
            reader.fail(at, f"table: {error}")
        if len(variables[-1].levels) != len(row) or variables[-1].levels != variables[0].levels:
            reader.fail(at, f"table: expected {len(variables[0].levels)} levels in each row")
        rows.append(np.array(row) / sum(row))
    return TableNode(variables[0], parents, np.array(rows).reshape(*leaves.shape, -1))


def _row(reader: Arguments, leaf: Leaf) -> list[float]:
    """The probabilities that a table holds for one configuration of the parents."""
    at = leaf.call.family.at
    if len(leaf.call.arguments) != 1 or set(leaf.call.named) - {"levels"}:
        reader.fail(at, "expected table([...], levels=[...])")
    row: Any = reader.value(leaf.call.arguments[0])
    for level in leaf.levels:
        row = row[level] if isinstance(row, list) and level < len(row) else None
    is_row = isinstance(row, list) and row and all(isinstance(value, float) for value in row)
    if not is_row or min(row) < 0 or abs(sum(row) - 1) > SUM_TOLERANCE:
        got = f"got {row} of sum {sum(row):.10g}" if is_row else "got other brackets"
        reader.fail(
            at,
            "table: expected a pair of brackets for each parent, and inside them probabilities "
            f"that sum to 1; {got}",
        )
    return row


def normal_nodes(
    reader: Arguments,
    targets: Sequence[str],
    parents: tuple[str, ...],
    numbers: Sequence[str],
    leaves: np.ndarray,
) -> list[NormalNode]:
    """One node per target: each given the targets before it.

    Args:
        reader: of the arguments.
        targets: the names of the columns.
        parents, numbers: the names of the parents that are levels, and that are numbers.
        leaves: a `Leaf` for each configuration of `parents`, in an axis for each.
    """
    _check_alike(reader, leaves)
    cells = [reader.moments(leaf.call, len(targets), numbers) for leaf in leaves.ravel()]
    shape = leaves.shape
    nodes = []
    for i, name in enumerate(targets):
        conditionals = [_given_before(*cell, i) for cell in cells]
        intercept, coefficients, variance = (np.array(a) for a in zip(*conditionals))
        node = NormalNode(
            number_variable(name, "real"),
            parents,
            (*numbers, *targets[:i]),
            intercept.reshape(shape),
            coefficients.reshape(*shape, len(numbers) + i),
            variance.reshape(shape),
        )
        nodes.append(node)
    return nodes


def _shares(family: Any) -> np.ndarray:
    """The probabilities of the levels of a written family of one column."""
    if isinstance(family, Bernoulli):
        log_odds = float(family.log_odds[0])
        p = 1 / (1 + np.exp(-log_odds))
        return np.array([1 - p, p])
    assert isinstance(family, Categorical)
    return np.asarray(family.probabilities[0], np.float64)


def _given_before(
    constants: np.ndarray, coefficients: np.ndarray, covariance: np.ndarray, i: int
) -> tuple[float, np.ndarray, float]:
    """Target i given the parents and the targets before it: intercept, coefficients, variance."""
    gain = np.linalg.solve(covariance[:i, :i], covariance[:i, i]) if i else np.zeros(0)
    intercept = constants[i] - gain @ constants[:i]
    slopes = coefficients[i] - gain @ coefficients[:i]
    return intercept, np.concatenate([slopes, gain]), covariance[i, i] - gain @ covariance[:i, i]
