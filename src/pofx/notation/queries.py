"""The queries that a question is read into, each printed in one way only.

`parse(str(query)) == query` holds for every query that `parse` makes.
"""

from dataclasses import dataclass
from typing import Literal

from pofx.notation.terms import Given, Name, Term, listed


@dataclass(frozen=True)
class Probability:
    """p(event | given), the letter as it was written.

    >>> from pofx.notation.terms import Free, Interval
    >>> print(Probability("P", (Interval(Name("a"), low=3),), (Free(Name("b")),)))
    P(a > 3 | b)
    """

    letter: Literal["p", "P"]
    event: tuple[Term, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"{self.letter}({_asked(self.event, self.given)})"


@dataclass(frozen=True)
class Expectation:
    """The mean, variance or deviation of one name, the covariance or correlation of two.

    >>> print(Expectation("Cov", (Name("a"), Name("b"))))
    Cov[a, b]
    """

    kind: Literal["E", "Var", "SD", "Cov", "Corr"]
    names: tuple[Name, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"{self.kind}[{_asked(self.names, self.given)}]"


@dataclass(frozen=True)
class Quantile:
    """The number that `name` stays below with probability `level`, 0 < level < 1.

    >>> print(Quantile(0.9, Name("a")))
    Q[0.9](a)
    """

    level: float
    name: Name
    given: Given = ()

    def __str__(self) -> str:
        return f"Q[{self.level}]({_asked((self.name,), self.given)})"


@dataclass(frozen=True)
class Mode:
    """The most probable values of some names together.

    >>> print(Mode((Name("a"), Name("b"))))
    mode(a, b)
    """

    names: tuple[Name, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"mode({_asked(self.names, self.given)})"


@dataclass(frozen=True)
class Sample:
    """So many draws of some names.

    >>> print(Sample(5, (Name("a"),)))
    sample[5](a)
    """

    number: int
    names: tuple[Name, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"sample[{self.number}]({_asked(self.names, self.given)})"


@dataclass(frozen=True)
class Entropy:
    """H(names | given), of all the names together.

    >>> print(Entropy((Name("a"), Name("b"))))
    H(a, b)
    """

    names: tuple[Name, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"H({_asked(self.names, self.given)})"


@dataclass(frozen=True)
class Information:
    """I(one group; another | given).

    >>> print(Information(((Name("a"),), (Name("b"), Name("c")))))
    I(a; b, c)
    """

    groups: tuple[tuple[Name, ...], tuple[Name, ...]]
    given: Given = ()

    def __str__(self) -> str:
        one, another = self.groups
        return f"I({listed(one)}; {_asked(another, self.given)})"


@dataclass(frozen=True)
class TotalCorrelation:
    """TC(names | given), of two names or more.

    >>> print(TotalCorrelation((Name("a"), Name("b"))))
    TC(a, b)
    """

    names: tuple[Name, ...]
    given: Given = ()

    def __str__(self) -> str:
        return f"TC({_asked(self.names, self.given)})"


@dataclass(frozen=True)
class Side:
    """One distribution of a divergence, by its name: of some names, or of all where none stand.

    >>> print(Side(Name("p")), Side(Name("q"), (Name("a"),)))
    p q(a)
    """

    distribution: Name
    names: tuple[Name, ...] = ()
    given: Given = ()

    def __str__(self) -> str:
        asked = f"({_asked(self.names, self.given)})" if self.names else ""
        return f"{self.distribution}{asked}"


@dataclass(frozen=True)
class Divergence:
    """Of the left side from the right: Kullback-Leibler, Jensen-Shannon or cross-entropy.

    >>> print(Divergence("KL", Side(Name("p")), Side(Name("q"))))
    KL(p || q)
    """

    kind: Literal["KL", "JS", "CE"]
    left: Side
    right: Side

    def __str__(self) -> str:
        return f"{self.kind}({self.left} || {self.right})"


Query = (
    Probability
    | Expectation
    | Quantile
    | Mode
    | Sample
    | Entropy
    | Information
    | TotalCorrelation
    | Divergence
)


def _asked(what: tuple[Name, ...] | tuple[Term, ...], given: Given) -> str:
    return f"{listed(what)} | {listed(given)}" if given else listed(what)
