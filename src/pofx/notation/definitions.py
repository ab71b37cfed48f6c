"""Distributions that are written as text, `y | a ~ Normal(3 + 2 * a, 0.1)`, read into a tree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any, TypeAlias

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from pofx.core.errors import PofxError
from pofx.core.escaping import escaped
from pofx.notation.errors import TERMINAL_WORDS, NotationError, quoted
from pofx.notation.terms import Name

MAX_CHARS = 1_000_000
"""Characters that a text of definitions may have."""
WORDS = TERMINAL_WORDS | {
    "PLUS": "'+'",
    "MINUS": "'-'",
    "STAR": "'*'",
    "COLON": "':'",
    "TILDE": "'~'",
    "VBAR": "'|'",
    "EQUAL": "'='",
}


@dataclass(frozen=True)
class Linear:
    """A number or a sum: constant + Σ coefficient · name."""

    constant: float
    coefficients: Mapping[str, float]
    at: int


@dataclass(frozen=True)
class Call:
    """A family with its arguments, in order and by name."""

    family: Name
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]


@dataclass(frozen=True)
class Cases:
    """A distribution for each level of a parent, in pairs of the level and the distribution."""

    pairs: tuple[tuple[Any, "Distribution"], ...]
    at: int


Distribution: TypeAlias = Call | Cases


@dataclass(frozen=True)
class Statement:
    """`targets | parents ~ distribution`."""

    targets: tuple[Name, ...]
    parents: tuple[Name, ...]
    distribution: Distribution


@dataclass(frozen=True)
class List:
    """Values in brackets."""

    values: tuple[Any, ...]
    at: int


@dataclass(frozen=True)
class Table:
    """Values by their levels, in braces."""

    entries: Mapping[Any, Any] = field(default_factory=dict)
    at: int = 0


def parse_definitions(text: str) -> tuple[Statement, ...]:
    """The statements of a text.

    Raises NotationError, whose first line says in which line of the text what was expected.

    >>> [statement] = parse_definitions("y | a ~ Normal(3 + 2 * a, 0.1)")
    >>> statement.distribution.arguments[0].coefficients
    {'a': 2.0}
    >>> parse_definitions("rain Bernoulli(0.2)")
    Traceback (most recent call last):
    ...
    pofx.notation.errors.NotationError: define: line 1: expected '|' or '~', found 'Bernoulli'
      rain Bernoulli(0.2)
           ^
    """
    if not isinstance(text, str):
        raise PofxError(f"define: expected text, got {type(text).__name__}")
    if len(text) > MAX_CHARS:
        raise PofxError(f"define: expected at most {MAX_CHARS} characters, got {len(text)}")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    try:
        return _Builder(text).transform(tree)
    except RecursionError:
        raise PofxError("define: expected fewer brackets within brackets") from None
    except VisitError as error:
        raise error.orig_exc from None


def definition_error(text: str, at: int, message: str) -> NotationError:
    """The error for a character of a text, with its line and a caret under the character."""
    line = text.count("\n", 0, at) + 1
    begin = text.rfind("\n", 0, at) + 1
    shown = escaped(text[begin:].partition("\n")[0])
    caret = " " * len(escaped(text[begin:at]))
    return NotationError(f"define: line {line}: {message}\n  {shown}\n  {caret}^", text, at)


@cache
def _parser() -> Lark:
    grammar = files("pofx.notation").joinpath("definitions.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr")


def _syntax_error(text: str, error: UnexpectedInput) -> NotationError:
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken):
        is_end = error.token.type == "$END"
        at = len(text.rstrip()) if is_end else at
        piece = "the end" if is_end else quoted(error.token)
        words = sorted({WORDS.get(name, name) for name in error.accepts or error.expected})
        listed = " or ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
        return definition_error(text, at, f"expected {listed}, found {piece}")
    return definition_error(text, at, f"cannot read {quoted(text[at])}")


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Builds the statements from the tree of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, *statements: Statement) -> tuple[Statement, ...]:
        if not statements:
            raise definition_error(self._text, 0, "expected a definition such as a ~ Normal(0, 1)")
        return statements

    def statement(self, targets: Any, parents: Any, distribution: Distribution) -> Statement:
        return Statement(targets, parents or (), distribution)

    def targets(self, *names: Name) -> tuple[Name, ...]:
        return names

    names = targets

    def call(self, family: Name, *arguments: Any) -> Call:
        in_order: list[Any] = []
        named: dict[str, Any] = {}
        for argument in arguments:
            if argument is None:
                continue
            if not isinstance(argument, tuple):
                if named:
                    message = "expected arguments in order before those with a name"
                    raise definition_error(self._text, family.at, message)
                in_order.append(argument)
            else:
                name, value = argument
                if name.text in named:
                    raise definition_error(self._text, name.at, f"{name.text} is given twice")
                named[name.text] = value
        return Call(family, tuple(in_order), named)

    def named(self, name: Name, value: Any) -> tuple[Name, Any]:
        return name, value

    def cases(self, *pairs: tuple[Any, Distribution]) -> Cases:
        return Cases(pairs, _at(pairs[0][0]))

    def case(self, key: Any, distribution: Distribution) -> tuple[Any, Distribution]:
        return key, distribution

    def sum(self, *parts: Any) -> Any:
        first, *others = parts
        terms = [(-1.0 if first is not None else 1.0, others[0])]
        terms += [
            (-1.0 if sign == "-" else 1.0, term) for sign, term in zip(others[1::2], others[2::2])
        ]
        [(sign, only), *more] = terms
        if isinstance(only, Name) and sign > 0 and not more:
            return only
        total: dict[str, float] = {}
        constant = 0.0
        for sign, term in terms:
            linear = _linear(term)
            constant += sign * linear.constant
            for name, value in linear.coefficients.items():
                total[name] = total.get(name, 0.0) + sign * value
        return Linear(constant, total, _at(only))

    def product(self, *factors: Any) -> Any:
        if len(factors) == 1:
            return factors[0]
        result = Linear(1.0, {}, _at(factors[0]))
        for factor in map(_linear, factors):
            if result.coefficients and factor.coefficients:
                raise definition_error(
                    self._text, factor.at, "expected a sum, found a product of names"
                )
            one, other = (result, factor) if not factor.coefficients else (factor, result)
            scaled = {name: value * other.constant for name, value in one.coefficients.items()}
            result = Linear(one.constant * other.constant, scaled, result.at)
        return result

    def list(self, *values: Any) -> List:
        kept = tuple(value for value in values if value is not None)
        return List(kept, _at(kept[0]) if kept else 0)

    def mapping(self, *entries: tuple[Any, Any]) -> Table:
        return Table({key_text(key): value for key, value in entries}, _at(entries[0][0]))

    def entry(self, key: Any, value: Any) -> tuple[Any, Any]:
        return key, value

    def name(self, token: Token) -> Name:
        plain = token.type == "PLAIN"
        text = str(token) if plain else token[1:-1].replace("``", "`")
        return Name(text, token.start_pos or 0)

    def number(self, token: Token) -> Linear:
        at, value = token.start_pos or 0, float(token)
        if not isfinite(value):
            raise definition_error(
                self._text, at, f"expected a finite number, found {quoted(token)}"
            )
        return Linear(value, {}, at)

    def text(self, token: Token) -> Name:
        return Name(token[1:-1].replace("\\" + token[0], token[0]), token.start_pos or 0)


def _linear(value: Any) -> Linear:
    return Linear(0.0, {value.text: 1.0}, value.at) if isinstance(value, Name) else value


def _at(value: Any) -> int:
    return value.family.at if isinstance(value, Call) else value.at


def key_text(value: Any) -> str:
    """A level as the text that stands for it: a word, or a number without needless digits.

    >>> key_text(Linear(2.0, {}, 0))
    '2'
    """
    return value.text if isinstance(value, Name) else f"{value.constant:.12g}"
