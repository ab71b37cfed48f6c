"""Written distributions of one number.

Sources: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions (1994, 1995).
"""

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.written_numbers import number
from pofx.distributions.written import number_variable, one_column
from pofx.families.beta import Beta
from pofx.families.gamma import Gamma
from pofx.families.log_normal import LogNormal
from pofx.families.normal import Normal
from pofx.families.student_t import StudentT
from pofx.families.uniform import Uniform
from pofx.joint.joint import Joint

FLOOR = 1e-12
"""The share of a written variance below which EM that starts from it does not go."""


def normal(
    mean: float = 0.0, sd: float | None = None, *, variance: float | None = None, name: str = "x"
) -> Joint:
    """The normal distribution N(mean, variance).

    p(x) = exp(-(x - mean)² / (2 variance)) / sqrt(2 π variance)

    Args:
        mean: in the data's units.
        sd: the standard deviation, in the data's units; 1 if neither is given.
        variance: its square, in place of `sd`.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter out of range.

    >>> import pofx
    >>> print(pofx.normal(0, 2).ask("P(x < 0)"))
    P(x < 0) = 0.5   exact, closed form
    """
    variance = _square(sd, variance)
    mean = number("mean", mean)
    return one_column(number_variable(name, "real"), Normal, mean, variance, FLOOR * variance)


def _square(sd: float | None, variance: float | None) -> float:
    """The variance, from the one that is given of the two."""
    if sd is not None and variance is not None:
        raise PofxError("variance: expected sd or variance, got both")
    if variance is not None:
        return number("variance", variance, low=0)
    return number("sd", 1.0 if sd is None else sd, low=0) ** 2


def uniform(low: float = 0.0, high: float = 1.0, *, name: str = "x") -> Joint:
    """The uniform distribution between two ends.

    p(x) = 1 / (high - low)  for low <= x <= high

    Args:
        low, high: the ends, in the data's units.
        name: of the column.

    Returns a `Joint`. Raises PofxError for ends that are not in order.

    >>> import pofx
    >>> print(pofx.uniform(0, 4).ask("E[x]"))
    E[x] = 2 units of x   exact, closed form
    """
    low = number("low", low)
    return one_column(number_variable(name, "real"), Uniform, low, number("high", high, low=low))


def exponential(rate: float = 1.0, *, name: str = "x") -> Joint:
    """The exponential distribution of a positive number.

    p(x) = rate exp(-rate x)

    Args:
        rate: 1 / mean, per unit of the data.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a rate that is not positive.

    >>> import pofx
    >>> print(pofx.exponential(0.5).ask("E[x]"))
    E[x] = 2 units of x   exact, closed form
    """
    return gamma(1.0, number("rate", rate, low=0), name=name)


def gamma(shape: float, rate: float = 1.0, *, name: str = "x") -> Joint:
    """The gamma distribution of a positive number, of mean shape / rate.

    p(x) = rate^shape x^(shape - 1) exp(-rate x) / Γ(shape)

    Args:
        shape: the shape.
        rate: 1 / scale, per unit of the data.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter that is not positive.

    >>> import pofx
    >>> print(pofx.gamma(3, 2).ask("E[x]"))
    E[x] = 1.5 units of x   exact, closed form
    """
    shape, rate = number("shape", shape, low=0), number("rate", rate, low=0)
    return one_column(number_variable(name, "positive"), Gamma, shape, rate, FLOOR / shape)


def beta(a: float, b: float, *, name: str = "x") -> Joint:
    """The beta distribution of a number between 0 and 1, of mean a / (a + b).

    p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b)

    Args:
        a, b: the shapes.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter that is not positive.

    >>> import pofx
    >>> print(pofx.beta(2, 2).ask("P(x < 0.5)"))
    P(x < 0.5) = 0.5   exact, closed form
    """
    shapes = number("a", a, low=0), number("b", b, low=0)
    return one_column(number_variable(name, "real"), Beta, *shapes)


def student_t(degrees: float, centre: float = 0.0, scale: float = 1.0, *, name: str = "x") -> Joint:
    """Student's t distribution, which has heavier tails than the normal.

    p(x) = (1 + z² / degrees)^(-(degrees + 1) / 2) / (scale sqrt(degrees) B(degrees / 2, 1/2)),
    z = (x - centre) / scale

    Args:
        degrees: the degrees of freedom.
        centre, scale: in the data's units.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter out of range.

    >>> import pofx
    >>> print(pofx.student_t(1).ask("P(x < 1)"))
    P(x < 1) = 0.75   exact, closed form
    """
    square = number("scale", scale, low=0) ** 2
    parameters = number("degrees", degrees, low=0), number("centre", centre), square
    return one_column(number_variable(name, "real"), StudentT, *parameters, FLOOR * square)


def log_normal(
    mean: float = 0.0, sd: float | None = None, *, variance: float | None = None, name: str = "x"
) -> Joint:
    """The distribution of a positive number whose logarithm is normal.

    log x ~ N(mean, variance)

    Args:
        mean, sd, variance: those of log x; sd is 1 if neither it nor the variance is given.
        name: of the column.

    Returns a `Joint`. Raises PofxError for a parameter out of range.

    >>> import pofx
    >>> print(pofx.log_normal(0, 1).ask("Q[0.5](x)"))
    Q[0.5](x) = 1 units of x   exact, closed form
    """
    variance, mean = _square(sd, variance), number("mean", mean)
    parameters = mean, variance, FLOOR * variance
    return one_column(
        number_variable(name, "positive"),
        lambda *p: LogNormal(Normal(*p)),
        *map(np.float64, parameters),
    )
