"""The normalising flow: a row of normal numbers, bent by an invertible network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

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
    """A normalising flow of continuous columns: the change of variables.

    log p(x | c) = log N(f(x, c); 0, I) + log |det df(x, c) / dx|

    f first takes out mean and scale of each column, then is a chain of coupling or autoregressive
    layers of affine maps or splines; beyond `tail` scales a spline is the identity, and the tails
    are a normal's. The columns c that `on` names, of any kinds, are given to all layers, and have a
    law of their own: so the whole row has a density, and Bayes' rule tells a class. Rows are
    learned with noise as wide as their rounding, or there would be peaks without bound on rounded
    numbers (Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016).
    Rezende and Mohamed, "Variational inference with normalizing flows" (2015); Durkan et al.,
    "Neural spline flows" (2019).

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
        own, given, log_prior = self.context.split(x)
        z, log_det = self.bijection((own - self.shift) * jnp.exp(-self.log_scale), given)
        return norm.logpdf(z).sum() + log_det - self.log_scale.sum() + log_prior

    def draw(self, key: PRNGKeyArray) -> Row:
        first, second = jax.random.split(key)
        nothing = jnp.zeros(self.size, self.shift.dtype)
        return self.draw_given(second, self.context.draw(first, nothing, nothing > 0))

    def draw_given(self, key: PRNGKeyArray, row: Row) -> Row:
        """The row with x drawn from p(x | c)."""
        z = jax.random.normal(key, self.shift.shape, self.shift.dtype)
        _, given, _ = self.context.split(row)
        own = self.shift + jnp.exp(self.log_scale) * self.bijection.inverse(z, given)
        return self.context.with_x(row, own)

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        def weigh(_, whole):
            return self.log_density(whole)

        return self.context.weighted_completion(key, proposal, x, observed, weigh, self.draw_given)

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        return self.context.is_pure_conditional(observed)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        noise = jax.random.uniform(key, x.shape, x.dtype, -0.5, 0.5)
        return -jax.vmap(self.log_density)(x + self.rounding * noise)

    def trainable_mask(self) -> Any:
        """The layers: mean and scale are in the data's units, and steps of learning are not."""
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
        given = variable in [name.strip() for name in on.split(",")]
        return frozenset(KINDS if given else {"real"})

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
        """Near the identity on columns of mean zero and scale one."""
        for name, value, known in (("kind", kind, LAYERS), ("transform", transform, TRANSFORMS)):
            if value not in known:
                raise PofxError(f"{name}: expected one of {', '.join(known)}; got {value!r}")
        check_at_least(1, layers=layers, width=width, knots=knots)
        check_at_least(0, depth=depth)
        if not 0 < tail < np.inf:
            raise PofxError(f"tail: expected a number of scales above 0, got {tail:g}")
        inner, outer = jax.random.split(key)
        context = Context.from_data(inner, rows, columns, on)
        own = [columns[j] for j in context.x_columns]
        check_column_kinds(own, "a flow", "real")
        rounding = np.zeros(len(columns))
        rounding[list(context.x_columns)] = [column.resolution for column in own]
        d = len(own)
        plan = BijectionConfig(d, context.size, kind, transform, layers, width, depth, knots, tail)
        x, observed, weight = rows.to_arrays()
        x, observed = x[:, context.x_columns], observed[:, context.x_columns]
        seen = weighted_moments(x, observed * weight[:, None])
        # Under the noise of rounding: rows learned from may be alike where others are not.
        spread = np.sqrt(seen.variance + rounding[list(context.x_columns)] ** 2 / 12)
        if not spread.all():
            name = own[int(np.argmin(spread))].variable
            raise PofxError(
                f"data: column {name!r} holds one value at most, and a flow's density of it would "
                "have no bound; leave it out, or try another model"
            )
        numbers = map(jnp.asarray, (seen.mean, np.log(spread), rounding))
        return cls(Bijection.init(outer, plan), context, *numbers)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        plan = BijectionConfig(2, 3, "coupling", "affine", 2, 8, 1, 4, 5.0)
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "categorical", levels=3, family="categorical"),
            Column("c", "real", family="normal"),
        )
        few = make_rows(np.array([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]]))
        context = Context.from_data(key, few, columns, "b")
        numbers = jnp.ones(2), jnp.zeros(2), jnp.zeros(3)
        return Example(cls(Bijection.init(key, plan), context, *numbers), columns)
