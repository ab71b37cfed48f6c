"""The normalising flow: a density of real columns by an invertible network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import host_keys
from pofx.core.abstract import (
    AbstractOnePhase,
    AbstractQueryable,
    AbstractTractable,
    AbstractValidatesOnLoss,
    AbstractWithoutState,
    Example,
    Mask,
    Row,
)
from pofx.core.abstract_approximate import AbstractDirectConditionals, AbstractExactDensity
from pofx.core.column import KINDS, Column, Kind, check_column_kinds
from pofx.core.compilation import to_device
from pofx.core.errors import PofxError, check_at_least
from pofx.core.rows import Rows, make_rows
from pofx.families.column_moments import weighted_moments
from pofx.models.networks.context import Context
from pofx.nets.bijection import LAYERS, TRANSFORMS, Bijection, BijectionConfig


class Flow(
    AbstractExactDensity,
    AbstractDirectConditionals,
    AbstractValidatesOnLoss,
    AbstractWithoutState,
    AbstractOnePhase,
):
    """A normalising flow: an invertible network f maps real columns to independent normals.

    log p(x | c) = log N(f(x, c); 0, I) + log |det df(x, c) / dx|

    Columns: x real, c of all kinds. f standardises each column, then applies coupling or
    autoregressive layers of affine maps or splines. Beyond `tail` standard deviations a spline is
    the identity, so tails are those of a normal. All layers take the columns c that `on` names as
    inputs. c has a distribution of its own, so whole rows have a density and a class in c can be
    predicted with Bayes' rule.

    Training adds uniform noise as wide as the rounding of each column. Without the noise the
    density would have unbounded peaks at rounded numbers (Theis, van den Oord and Bethge, "A note
    on the evaluation of generative models", 2016). Rezende and Mohamed, "Variational inference
    with normalizing flows" (2015); Durkan et al., "Neural spline flows" (2019).

    >>> p = Flow.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (3, (3,))
    """

    bijection: Bijection
    context: Context
    shift: Float[Array, "d"]
    log_scale: Float[Array, "d"]
    rounding: Float[Array, "columns"]

    learns_from_missing: ClassVar[bool] = False
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99}

    @property
    def size(self) -> int:
        return self.context.num_columns

    def log_density(self, x: Row) -> Float[Array, ""]:
        target, c, log_prior = self.context.split(x)
        z, log_det = self.bijection((target - self.shift) * jnp.exp(-self.log_scale), c)
        return norm.logpdf(z).sum() + log_det - self.log_scale.sum() + log_prior

    def draw(self, key: PRNGKeyArray) -> Row:
        context_key, draw_key = jax.random.split(key)
        row = jnp.zeros(self.size, self.shift.dtype)
        return self.draw_given(draw_key, self.context.draw(context_key, row, row > 0))

    def draw_given(self, key: PRNGKeyArray, row: Row) -> Row:
        """The row with its entries x replaced by a draw from p(x | c)."""
        z = jax.random.normal(key, self.shift.shape, self.shift.dtype)
        _, c, _ = self.context.split(row)
        x = self.shift + jnp.exp(self.log_scale) * self.bijection.inverse(z, c)
        return self.context.with_x(row, x)

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        def log_weight(_, row):
            return self.log_density(row)

        return self.context.weighted_completion(
            key, proposal, x, observed, log_weight, self.draw_given
        )

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        return self.context.is_pure_conditional(observed)

    def direct_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return self.context.direct_completion(key, x, observed, self.draw_given)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        noise = jax.random.uniform(key, x.shape, x.dtype, -0.5, 0.5)
        return -jax.vmap(self.log_density)(x + self.rounding * noise)

    def trainable_mask(self) -> Any:
        """Only the layers are trained: the mean and scale are in the units of the data."""
        fixed = jax.tree.map(lambda _: False, self)
        layers = jax.tree.map(eqx.is_inexact_array, self.bijection)
        return eqx.tree_at(lambda p: p.bijection, fixed, layers)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "Flow":
        return self

    @classmethod
    def supported_kinds(cls, variable: str, *, on: str = "", **options: Any) -> frozenset[Kind]:
        in_context = variable in [name.strip() for name in on.split(",")]
        return frozenset(KINDS if in_context else {"real"})

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        on: str = "",
        kind: str = "autoregressive",
        transform: str = "spline",
        layers: int = 5,
        width: int = 64,
        depth: int = 2,
        knots: int = 8,
        tail: float = 5.0,
    ) -> "Flow":
        """A flow near the identity on the standardised columns.

        Args:
            on: names of the columns c, separated by commas; default none.
            kind: "autoregressive" (default) or "coupling" layers.
            transform: "spline" (default) or "affine".
            layers: number of layers, default 5.
            width: units per hidden layer of each network, default 64.
            depth: number of hidden layers of each network, default 2.
            knots: knots of each spline, default 8.
            tail: half-width of the range of a spline in standard deviations, default 5.

        Raises PofxError for an option out of range, a column of x that is not real, or a column of
        x without two different values and without rounding.
        """
        for name, value, choices in (("kind", kind, LAYERS), ("transform", transform, TRANSFORMS)):
            if value not in choices:
                raise PofxError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
        check_at_least(1, layers=layers, width=width, knots=knots)
        check_at_least(0, depth=depth)
        if not 0 < tail < np.inf:
            raise PofxError(f"tail: expected standard deviations above 0, got {tail:g}")
        context_key, net_key = host_keys.split(key)
        context = Context.from_data(context_key, rows, columns, on)
        x_columns = [columns[j] for j in context.x_columns]
        check_column_kinds(x_columns, "a flow", "real")
        rounding = np.zeros(len(columns))
        rounding[list(context.x_columns)] = [column.resolution for column in x_columns]
        d = len(x_columns)
        config = BijectionConfig(
            d, context.size, kind, transform, layers, width, depth, knots, tail
        )
        x, observed, weight = rows.to_arrays()
        x, observed = x[:, context.x_columns], observed[:, context.x_columns]
        moments = weighted_moments(x, observed * weight[:, None])
        # Includes the rounding noise: training rows may be equal while other rows are not.
        spread = np.sqrt(moments.variance + rounding[list(context.x_columns)] ** 2 / 12)
        if not spread.all():
            name = x_columns[int(np.argmin(spread))].variable
            raise PofxError(
                f"data: column {name!r} holds one value at most, so the density of a flow would be "
                "unbounded; leave the column out, or try another model"
            )
        arrays = map(to_device, (moments.mean, np.log(spread), rounding))
        return cls(Bijection.init(net_key, config), context, *arrays)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        config = BijectionConfig(2, 3, "coupling", "affine", 2, 8, 1, 4, 5.0)
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "categorical", levels=3, family="categorical"),
            Column("c", "real", family="normal"),
        )
        rows = make_rows(np.array([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]]))
        context = Context.from_data(key, rows, columns, "b")
        arrays = jnp.ones(2), jnp.zeros(2), jnp.zeros(3)
        return Example(cls(Bijection.init(key, config), context, *arrays), columns)
