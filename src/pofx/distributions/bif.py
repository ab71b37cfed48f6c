"""Bayesian networks in the interchange format BIF: reading and writing."""

import math
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError
from pofx.core.written_numbers import SUM_TOLERANCE
from pofx.distributions.network import TableNode, network
from pofx.distributions.written import level_variable, read_text
from pofx.joint.joint import Joint
from pofx.models.discrete_network import DiscreteNetwork

SUFFIX = ".bif"
PLAIN_WORD = re.compile(r"[^\s,;|(){}\[\]\"]+")
PROBABILITY_DIGITS = 17


def read_bif(path: str | Path) -> Joint:
    """The Bayesian network in a BIF file.

    p(x) = Π_j p(x_j | x_parents(j))

    Args:
        path: of the file.

    Returns a `Joint` of its variables, parents before children. Raises PofxError, one line, for a
    file that holds no network.

    Source: Cozman, "The interchange format for Bayesian networks" (1998).
    """
    text = read_text(Path(path))
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        line = text.count("\n", 0, error.pos_in_stream or 0) + 1
        raise PofxError(f"{path}: line {line}: not the format of Bayesian networks") from None
    try:
        return network(_in_order(list(_nodes(tree))))
    except PofxError as error:
        raise PofxError(f"{path}: {error}") from None


@cache
def _parser() -> Lark:
    grammar = files("pofx.notation").joinpath("bif.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


def _nodes(tree: Tree[Token]) -> Iterator[TableNode]:
    levels: dict[str, list[str]] = {}
    for variable in tree.find_data("variable"):
        name, count = (_word(t) for t in variable.children if isinstance(t, Token))
        [words] = variable.find_data("levels")
        levels[name] = [_word(t) for t in words.children]
        if len(levels[name]) != int(count):
            raise PofxError(f"variable {name}: expected {count} levels, got {len(levels[name])}")
    for probability in tree.find_data("probability"):
        yield _node(probability, levels)


def _node(probability: Tree[Token], levels: dict[str, list[str]]) -> TableNode:
    name = _word(probability.children[0])
    parents = [_word(t) for tree in probability.find_data("parents") for t in tree.children]
    for word in (name, *parents):
        if word not in levels:
            raise PofxError(f"probability of {name}: no variable {word!r}")
    shape = tuple(len(levels[word]) for word in (*parents, name))
    table = np.full(shape, np.nan)
    for tree in (t for t in probability.children if isinstance(t, Tree)):
        if tree.data == "default":
            table[:] = _numbers(tree, name, shape[-1])
        elif tree.data == "table":
            # The levels of the variable change slowest.
            values = _numbers(tree, name, math.prod(shape))
            table[:] = np.moveaxis(values.reshape(shape[-1:] + shape[:-1]), 0, -1)
    for row in probability.find_data("row"):
        [words] = row.find_data("levels")
        values = [_word(t) for t in words.children]
        if len(values) != len(parents):
            raise PofxError(f"probability of {name}: expected {len(parents)} levels in each row")
        for parent, value in zip(parents, values):
            if value not in levels[parent]:
                raise PofxError(f"probability of {name}: {parent} has no level {value!r}")
        index = tuple(levels[parent].index(value) for parent, value in zip(parents, values))
        table[index] = _numbers(row, name, shape[-1])
    return TableNode(level_variable(name, name, levels[name]), tuple(parents), _shares(table, name))


def _shares(table: np.ndarray, name: str) -> np.ndarray:
    if np.isnan(table).any():
        raise PofxError(f"probability of {name}: some levels of its parents have no probabilities")
    total = table.sum(-1, keepdims=True)
    worst = float(total.ravel()[np.abs(total - 1).argmax()])
    # Published networks are rounded to a few digits.
    if (table < 0).any() or abs(worst - 1) > 1e4 * SUM_TOLERANCE:
        raise PofxError(f"probability of {name}: expected a sum of 1, got {worst:.10g}")
    return table / total


def _numbers(tree: Tree[Token], name: str, count: int) -> np.ndarray:
    [numbers] = tree.find_data("numbers")
    if len(numbers.children) != count:
        got = len(numbers.children)
        raise PofxError(f"probability of {name}: expected {count} numbers, got {got}")
    return np.array([float(str(token)) for token in numbers.children])


def _word(token: Any) -> str:
    return str(token).strip('"')


def _in_order(nodes: list[TableNode]) -> list[TableNode]:
    """The nodes, parents before children; PofxError for a cycle."""
    ordered: list[TableNode] = []
    names: set[str] = set()
    while len(ordered) < len(nodes):
        ready = [n for n in nodes if n.variable.name not in names and names.issuperset(n.parents)]
        if not ready:
            left = [n.variable.name for n in nodes if n.variable.name not in names]
            raise PofxError(f"a cycle, or a parent without probabilities, at {left[0]!r}")
        ordered += ready
        names |= {node.variable.name for node in ready}
    return ordered


def write_bif(p: Joint, path: str | Path) -> None:
    """Writes a Bayesian network of columns of levels to a BIF file.

    Args:
        p: a network, such as `read_bif`, `define` and `pmf` make.
        path: of the file.

    Raises PofxError for another model, and for names that the format cannot hold.
    """
    if not isinstance(p.model, DiscreteNetwork) or p.evidence:
        kind = type(p.model).__name__
        raise PofxError(f"write_bif: expected a network of levels without evidence, got {kind}")
    variables = p.schema.variables
    blocks = ["network pofx {\n}\n"]
    for variable in variables:
        levels = ", ".join(map(_written, variable.levels))
        blocks.append(
            f"variable {_written(variable.name)} {{\n  type discrete [ {len(variable.levels)} ] "
            f"{{ {levels} }};\n}}\n"
        )
    for j, (log_table, parents) in enumerate(zip(p.model.tables, p.model.parents)):
        table = np.exp(np.asarray(log_table, np.float64))
        names = ", ".join(_written(variables[i].name) for i in parents)
        bar = f" | {names}" if names else ""
        lines = []
        for index in product(*(range(len(variables[i].levels)) for i in parents)):
            words = ", ".join(_written(variables[i].levels[k]) for i, k in zip(parents, index))
            row = ", ".join(f"{value:.{PROBABILITY_DIGITS}g}" for value in table[index])
            lines.append(f"  {f'({words})' if parents else 'table'} {row};\n")
        name = _written(variables[j].name)
        blocks.append(f"probability ( {name}{bar} ) {{\n{''.join(lines)}}}\n")
    text = "".join(blocks)
    write_atomically(path, lambda file: file.write(text.encode()))


def _written(value: Any) -> str:
    text = str(value)
    if PLAIN_WORD.fullmatch(text):
        return text
    if '"' in text or "\n" in text:
        raise PofxError(f"write_bif: expected names and levels without quotes, got {text!r}")
    return f'"{text}"'
