"""The variational diffusion model: noise that hides a row step by step, taken off again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.abstract import (
    AbstractOnePhase,
    AbstractQueryable,
    AbstractTractable,
    AbstractWithoutState,
    Example,
    Mask,
    Row,
)
from pofx.core.abstract_approximate import (
    AbstractDirectConditionals,
    AbstractLowerBound,
    AbstractStepSampler,
)
from pofx.core.column import KINDS, Column, Kind
from pofx.core.errors import PofxError, check_at_least
from pofx.core.rows import Rows, make_rows
from pofx.models.denoising.ancestral_sampling import sample_ancestral, log_weight
from pofx.models.denoising.denoiser import Denoiser, mean_squared_error
from pofx.models.denoising.noisy_encoding import NoisyEncoding
from pofx.models.denoising.probability_flow import flow_log_prob, integrate_flow
from pofx.models.networks.context import Context
from pofx.nets.residual import ResidualMLP

ROWS, TIMES = 4096, 8
"""The most rows that a step's error is measured on, and times at which a row held out is judged."""
UNTOLD = 0.1
"""The share of rows in training whose context the net is not told."""
SAMPLERS = ("ancestral", "ode")


class Diffusion(
    AbstractLowerBound,
    AbstractDirectConditionals,
    AbstractStepSampler,
    AbstractWithoutState,
    AbstractOnePhase,
):
    """A variational diffusion model: the codes of a row, hidden by noise, then recovered.

    q(z_t | x) = N(α_t c(x), σ_t²),  α_t² = sigmoid(-γ_t), σ_t² = sigmoid(γ_t), γ_t linear in t
    p(x | y) = ∫ N(z_1; 0, I) Π_t p(z_s | z_t, y) p(x | z_0) dz,  p(z_s | z_t, y) = N(μ_s, σ_s²)
    log p(x | y) >= E[log p(x | z_0)] - KL(q(z_1 | x) || N(0, I)) - E_t |ε - ε̂|² (γ_1 - γ_0)/2

    μ_s is the mean of q(z_s | z_t, x) at the guess ĉ(z_t, t, y) of the codes, whose mean squared
    error over rows, `mean_squared_error` in units of σ_t², widens the step (Bao et al., "Analytic-DPM", 2022).
    The bound, which training maximises, is that of steps without number; weights and draws are of
    as many as `mean_squared_error` has. The columns y that `on` names, of any kinds, have a law of their own:
    so p(y) p(x | y) is a joint, and Bayes' rule tells a class. In training one row in ten is not
    told its y. So with `guidance` g the steps may follow (1 + g) v(z, t | y) - g v(z, t): draws are
    then sharper than p(x | y) and no longer its draws, and weights are those of that other law.
    With sampler "ode" new rows, and rows given y alone, come by the probability flow instead.
    Kingma, Salimans, Poole and Ho, "Variational diffusion models" (2021).

    >>> p = Diffusion.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (3, (3,))
    """

    denoiser: Denoiser
    context: Context
    mean_squared_error: Float[Array, "steps c"]
    guidance: float = eqx.field(static=True, default=0.0)
    sampler: Annotated[str, SAMPLERS] = eqx.field(static=True, default="ancestral")

    learns_from_missing: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = "a pass a step"
    # A bound at one random time a row is noisy: no patience, and the parameters averaged.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {
        "batch": 256,
        "epochs": 400,
        "rate": 2e-3,
        "average": 0.999,
        "patience": 0,
    }

    @property
    def size(self) -> int:
        return self.context.num_columns

    def _split(self, row: Row) -> tuple[Row, Float[Array, "y"], Float[Array, ""]]:
        """x, what the net is told of y, and log p(y)."""
        x, given, log_prior = self.context.split(row)
        # A number of its own says that y is told: zeros alone may be a y.
        return x, jnp.append(given, 1) if len(given) else given, log_prior

    # -- the bound

    def bound(self, key: PRNGKeyArray, x: Row, times: int) -> Float[Array, ""]:
        """A draw of the lower bound on log p(x, y) in nats, over so many times, evenly spaced."""
        at, noise = jax.random.split(key)
        t = (jax.random.uniform(at) + jnp.arange(times) / times) % 1
        keys = jax.random.split(noise, times)
        return jax.vmap(lambda k, t: self._bound(k, x, t, 1))(keys, t).mean()

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        at, noise = jax.random.split(key)
        # Evenly spaced over the rows: less noise in their mean.
        t = (jax.random.uniform(at) + jnp.arange(len(x)) / len(x)) % 1
        tell = jax.random.uniform(jax.random.fold_in(key, 2), t.shape) >= UNTOLD
        return -jax.vmap(self._bound)(jax.random.split(noise, len(x)), x, t, tell)

    def _bound(self, key, row, t, tell) -> Float[Array, ""]:
        """The bound with its integral over time taken at t."""
        hiding, reading = jax.random.split(key)
        x, told, log_prior = self._split(row)
        d = self.denoiser
        c = d.codes(x)
        off, e = d.prediction_error(hiding, c, t, told * tell)
        a, _ = d.alpha_sigma(t)
        # Of mean zero, and as large as the noise of what it is taken from: a control variate.
        steps = len(self.mean_squared_error)
        i = jnp.clip(jnp.ceil(t * steps).astype(int) - 1, 0, steps - 1)
        noise = (a**2 * self.mean_squared_error[i]) ** 2 * (e**2 - 1)
        lost = ((d.high - d.low) * (a**2 * off**2 - noise)).sum() / 2
        a, s = d.alpha_sigma(1)
        prior = (a**2 * (c**2 - 1) - 2 * jnp.log(s)).sum() / 2
        y = c + d.codes.min_noise * jax.random.normal(reading, c.shape, c.dtype)
        return d.codes.log_prob(x, y) - prior - lost + log_prior

    # -- draws and their weights

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return self.context.weighted_completion(key, proposal, x, observed, self._weigh, self.draw_given)

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        return self.context.is_pure_conditional(observed)

    def _weigh(self, key: PRNGKeyArray, row: Row) -> Float[Array, ""]:
        x, told, log_prior = self._split(row)
        return log_prior + log_weight(key, self.denoiser, self.mean_squared_error, x, told, self.guidance)

    def draw(self, key: PRNGKeyArray) -> Row:
        nothing = jnp.zeros(self.size, self.mean_squared_error.dtype)
        picking, drawing = jax.random.split(key)
        return self.draw_given(drawing, self.context.draw(picking, nothing, nothing > 0))

    def draw_given(self, key: PRNGKeyArray, row: Row) -> Row:
        """The row with x drawn given y."""
        first, noise, last = jax.random.split(key, 3)
        _, told, _ = self._split(row)
        d, r, g = self.denoiser, self.mean_squared_error, self.guidance
        z = jax.random.normal(first, (d.codes.size,), r.dtype)
        if self.sampler == "ode":
            z = integrate_flow(d, z, told, len(r), g)
        else:
            z = sample_ancestral(noise, d, r, z, told, g)
        return self.context.with_x(row, d.codes.sample(last, z / d.alpha_sigma(0)[0]))

    def with_sampler(
        self,
        sampler: str | None = None,
        timesteps: int | None = None,
        guidance: float | None = None,
    ) -> "Diffusion":
        sampler = self.sampler if sampler is None else sampler
        guidance = self.guidance if guidance is None else guidance
        if sampler not in SAMPLERS:
            raise PofxError(f"sampler: expected one of {', '.join(SAMPLERS)}; got {sampler!r}")
        if guidance and not self.context.size:
            raise PofxError("guidance: expected columns to be guided by, as in on='species'")
        mean_squared_error = self.mean_squared_error if timesteps is None else self._residue(timesteps)
        return replace(self, sampler=sampler, guidance=float(guidance), mean_squared_error=mean_squared_error)

    def _residue(self, steps: int) -> Float[Array, "steps c"]:
        """The error of each of so many steps, by interpolation in time."""
        old = len(self.mean_squared_error)
        at, known = (jnp.arange(steps) + 1) / steps, (jnp.arange(old) + 1) / old
        return jax.vmap(lambda r: jnp.interp(at, known, r), 1, 1)(self.mean_squared_error)

    def flow_log_prob(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        own, told, log_prior = self._split(x)
        return flow_log_prob(key, self.denoiser, own, told) + log_prior

    # -- learning

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -jax.vmap(lambda k, x: self.bound(k, x, TIMES))(jax.random.split(key, len(x)), x)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        net = jax.tree.map(lambda _: True, self.denoiser.net)
        return eqx.tree_at(lambda p: p.denoiser.net, fixed, net)

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "Diffusion":
        """With the error of each step as it is over the rows."""
        x, _, weight = rows.to_arrays()
        choosing, noise = jax.random.split(key)
        some = np.asarray(jax.random.permutation(choosing, len(x)))
        some = some[weight[some] > 0][:ROWS]
        own, told, _ = jax.vmap(self._split)(jnp.asarray(x[some]))
        c, steps = jax.vmap(self.denoiser.codes)(own), len(self.mean_squared_error)
        at = (jnp.arange(steps) + 1) / steps
        wide = mean_squared_error(self.denoiser, noise, c, told, jnp.asarray(weight[some]), at)
        return eqx.tree_at(lambda p: p.mean_squared_error, self, wide)

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        on: str = "",
        timesteps: int = 64,
        width: int = 128,
        depth: int = 3,
        guidance: float = 0.0,
        sampler: str = "ancestral",
    ) -> "Diffusion":
        """The model of codes that are normal and independent."""
        check_at_least(1, timesteps=timesteps, width=width, depth=depth)
        context = Context.from_data(jax.random.fold_in(key, 1), rows, columns, on)
        x, observed, weight = rows.to_arrays()
        rest, weight = list(context.x_columns), observed * weight[:, None]
        codes = NoisyEncoding.from_data([columns[j] for j in rest], x[:, rest], weight[:, rest])
        told = context.size + 1 if context.size else 0
        net = ResidualMLP.init(key, codes.size, codes.size, width, depth, told)
        start = cls(Denoiser(codes, net), context, jnp.ones((timesteps, codes.size)))
        return start.with_sampler(sampler, guidance=guidance)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "real", family="normal"),
        )
        few = make_rows(np.array([[-1.0, 0, -1], [1, 1, 1]]))
        p = cls.from_data(key, few, columns, on="b", timesteps=8, width=8, depth=1)
        outlet = jax.random.normal(key, (2, 8)) / 8
        return Example(eqx.tree_at(lambda p: p.denoiser.net.outlet, p, outlet), columns)
