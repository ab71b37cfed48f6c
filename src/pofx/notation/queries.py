"""The queries that a text is read into, each printed in one way only.

`parse(str(query)) == query` holds for every query that `parse` makes.
"""

from dataclasses import dataclass
from typing import Literal

from pofx.notation.terms import Name, Terms, join_terms


@dataclass(frozen=True)
class Probability:
    """p(event | given), or P(event | given): `letter` is as it was written.

    >>> from pofx.notation.terms import Free, Interval
    >>> print(Probability("P", (Interval(Name("a"), low=3),), (Free(Name("b")),)))
    P(a > 3 | b)
    """

    letter: Literal["p", "P"]
    event: Terms
    given: Terms = ()

    def __str__(self) -> str:
        return f"{self.letter}({_body(self.event, self.given)})"


@dataclass(frozen=True)
class Expectation:
    """The mean, variance or deviation of one name, or the covariance or correlation of two.

    >>> print(Expectation("Cov", (Name("a"), Name("b"))))
    Cov[a, b]
    """

    kind: Literal["E", "Var", "SD", "Cov", "Corr"]
    names: tuple[Name, ...]
    given: Terms = ()

    def __str__(self) -> str:
        return f"{self.kind}[{_body(self.names, self.given)}]"


@dataclass(frozen=True)
class Quantile:
    """The number that `name` is below with probability `level`, 0 < level < 1.

    >>> print(Quantile(0.9, Name("a")))
    Q[0.9](a)
    """

    level: float
    name: Name
    given: Terms = ()

    def __str__(self) -> str:
        return f"Q[{self.level}]({_body((self.name,), self.given)})"


@dataclass(frozen=True)
class Mode:
    """The most probable values of some names together.

    >>> print(Mode((Name("a"), Name("b"))))
    mode(a, b)
    """

    names: tuple[Name, ...]
    given: Terms = ()

    def __str__(self) -> str:
        return f"mode({_body(self.names, self.given)})"


@dataclass(frozen=True)
class Sample:
    """`number` draws of some names together.

    >>> print(Sample(5, (Name("a"),)))
    sample[5](a)
    """

    number: int
    names: tuple[Name, ...]
    given: Terms = ()

    def __str__(self) -> str:
        return f"sample[{self.number}]({_body(self.names, self.given)})"


@dataclass(frozen=True)
class Entropy:
    """H(names | given), of all the names together.

    >>> print(Entropy((Name("a"), Name("b"))))
    H(a, b)
    """

    names: tuple[Name, ...]
    given: Terms = ()

    def __str__(self) -> str:
        return f"H({_body(self.names, self.given)})"


@dataclass(frozen=True)
class Information:
    """I(one group; other group | given).

    >>> print(Information(((Name("a"),), (Name("b"), Name("c")))))
    I(a; b, c)
    """

    groups: tuple[tuple[Name, ...], tuple[Name, ...]]
    given: Terms = ()

    def __str__(self) -> str:
        one, other = self.groups
        return f"I({join_terms(one)}; {_body(other, self.given)})"


@dataclass(frozen=True)
class TotalCorrelation:
    """TC(names | given), of two names or more.

    >>> print(TotalCorrelation((Name("a"), Name("b"))))
    TC(a, b)
    """

    names: tuple[Name, ...]
    given: Terms = ()

    def __str__(self) -> str:
        return f"TC({_body(self.names, self.given)})"


@dataclass(frozen=True)
class Side:
    """One distribution of a divergence, by its name: of some names, or of all if it has none.

    >>> print(Side(Name("p")), Side(Name("q"), (Name("a"),)))
    p q(a)
    """

    distribution: Name
    names: tuple[Name, ...] = ()
    given: Terms = ()

    def __str__(self) -> str:
        body = f"({_body(self.names, self.given)})" if self.names else ""
        return f"{self.distribution}{body}"


@dataclass(frozen=True)
class Divergence:
    """The Kullback-Leibler or Jensen-Shannon divergence or the cross-entropy of two sides.

    >>> print(Divergence("KL", Side(Name("p")), Side(Name("q"))))
    KL(p || q)
    """

    kind: Literal["KL", "JS", "CE"]
    left: Side
    right: Side

    def __str__(self) -> str:
        return f"{self.kind}({self.left} || {self.right})"


ModelQuery = (
    Probability | Expectation | Quantile | Mode | Sample | Entropy | Information | TotalCorrelation
)
"""A query of one distribution."""

Query = ModelQuery | Divergence


def _body(items: tuple[Name, ...] | Terms, given: Terms) -> str:
    return f"{join_terms(items)} | {join_terms(given)}" if given else join_terms(items)
