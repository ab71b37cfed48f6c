"""`pofx.define`: a distribution from the text of its definitions."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from pofx.core.errors import unknown_name_error
from pofx.distributions.arguments import Arguments
from pofx.distributions.conditionals import NORMAL, Leaf, normal_nodes, single_node
from pofx.distributions.network import FamilyNode, Node, NormalNode, TableNode, network
from pofx.distributions.written import read_text
from pofx.joint.joint import Joint
from pofx.notation.definitions import (
    Cases,
    Distribution,
    Statement,
    key_text,
    parse_definitions,
)
from pofx.notation.terms import Name

SUFFIX = ".p"
"""How the name of a file of definitions ends."""


def define(text: str | Path) -> Joint:
    """The joint distribution that a text defines, one conditional after another.

    p(x) = Π_j p(x_j | parents of x_j)

    Args:
        text: definitions such as `y | a ~ Normal(3 + 2 * a, 0.1)`, parents before children, or the
            path of a file of them that ends in `.p`. docs/definitions.md has all forms.

    Returns a `Joint`. Raises PofxError, with a caret under the place, for a text that is none.

    >>> import pofx
    >>> p = pofx.define('''
    ...     rain ~ Bernoulli(0.2)
    ...     wet | rain ~ { yes: Bernoulli(0.9), no: Bernoulli(0.1) }
    ... ''')
    >>> print(p.ask("P(rain = yes | wet = yes)"))
    P(rain = yes | wet = yes) = 0.692308   exact, closed form
    """
    if isinstance(text, Path) or (isinstance(text, str) and text.strip().endswith(SUFFIX)):
        text = read_text(Path(text))
    return network(_Definitions(text).nodes)


class _Definitions:
    """The nodes of a text, each checked against those before it."""

    def __init__(self, text: str) -> None:
        self.reader = Arguments(text)
        self.statements = parse_definitions(text)
        self.nodes: list[Node] = []
        for statement in self.statements:
            self.nodes += self._nodes_of(statement)

    def _node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.variable.name == name), None)

    def _nodes_of(self, statement: Statement) -> list[Node]:
        for i, target in enumerate(statement.targets):
            is_twice = target.text in {name.text for name in statement.targets[:i]}
            if is_twice or self._node(target.text):
                self.reader.fail(target.at, f"{target.text} is defined twice")
        parents = [self._parent(statement, name) for name in statement.parents]
        levels = [node for node in parents if isinstance(node, TableNode)]
        numbers = [node.variable.name for node in parents if isinstance(node, NormalNode)]
        leaves = self._leaves(statement, levels)
        first = leaves.ravel()[0].call.family
        targets = [target.text for target in statement.targets]
        names = tuple(node.variable.name for node in levels)
        if first.text == NORMAL:
            return [*normal_nodes(self.reader, targets, names, numbers, leaves)]
        if len(statement.targets) > 1:
            self.reader.fail(first.at, f"expected Normal for several names, got {first.text}")
        if numbers:
            self.reader.fail(
                first.at,
                f"expected Normal, whose mean may depend on {numbers[0]}; {first.text} may depend "
                "on levels only",
            )
        return [single_node(self.reader, targets[0], names, leaves)]

    def _parent(self, statement: Statement, name: Name) -> Node:
        node = self._node(name.text)
        if name.text in {target.text for target in statement.targets}:
            self.reader.fail(name.at, f"a cycle: {name.text} depends on itself")
        if node is None:
            cycle = self._cycle(statement, name.text)
            if cycle:
                self.reader.fail(name.at, f"a cycle: {' <- '.join(cycle)}")
            later = [target.text for s in self.statements for target in s.targets]
            if name.text in later:
                self.reader.fail(name.at, f"{name.text} is used before it is defined; move it up")
            known = [node.variable.name for node in self.nodes]
            self.reader.fail(name.at, str(unknown_name_error("definition of", name.text, known)))
        if isinstance(node, FamilyNode):
            self.reader.fail(
                name.at,
                f"{name.text} is neither normal nor of levels, so nothing may depend on it yet",
            )
        return node

    def _cycle(self, statement: Statement, name: str) -> list[str]:
        """The way from a parent back to the targets, if there is one."""
        targets = {target.text for target in statement.targets}
        parents_of = {
            target.text: [parent.text for parent in other.parents]
            for other in self.statements
            for target in other.targets
        }
        paths = [[statement.targets[0].text, name]]
        seen = {name}
        while paths:
            path = paths.pop()
            for parent in parents_of.get(path[-1], []):
                if parent in targets:
                    return [*path, parent]
                if parent not in seen:
                    seen.add(parent)
                    paths.append([*path, parent])
        return []

    def _leaves(self, statement: Statement, levels: Sequence[TableNode]) -> np.ndarray:
        """The leaf of each configuration of the discrete parents."""
        shape = tuple(len(node.variable.levels) for node in levels)
        leaves = np.empty(shape, object)
        for index in product(*map(range, shape)):
            distribution, depth = statement.distribution, 0
            while isinstance(distribution, Cases):
                if depth == len(levels):
                    self.reader.fail(
                        distribution.at,
                        "expected no more cases within cases than parents with levels",
                    )
                distribution = self._case(distribution, levels[depth], index[depth])
                depth += 1
            leaves[index] = Leaf(distribution, index[depth:])
        return leaves

    def _case(self, cases: Cases, node: TableNode, code: int) -> Distribution:
        levels = [str(level) for level in node.variable.levels]
        keys = [key_text(key) for key, _ in cases.pairs]
        for (key, _), text in zip(cases.pairs, keys):
            if text not in levels:
                self.reader.fail(
                    key.at, str(unknown_name_error(f"level of {node.variable.name}", text, levels))
                )
            if keys.count(text) > 1:
                self.reader.fail(key.at, f"level {text} has two cases")
        if levels[code] not in keys:
            self.reader.fail(
                cases.at, f"expected a case for level {levels[code]} of {node.variable.name}"
            )
        return cases.pairs[keys.index(levels[code])][1]
