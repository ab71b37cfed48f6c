"""The variational diffusion model: noise hides a row step by step, and a network removes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import host_keys
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
from pofx.core.compilation import compiled, to_device
from pofx.core.errors import PofxError, check_at_least
from pofx.core.rows import Rows, make_rows
from pofx.models.denoising.ancestral_sampling import log_weight, sample_ancestral
from pofx.models.denoising.denoiser import Denoiser, mean_squared_error
from pofx.models.denoising.noisy_encoding import NoisyEncoding
from pofx.models.denoising.probability_flow import flow_log_prob, integrate_flow
from pofx.models.networks.context import Context
from pofx.nets.residual import ResidualMLP

MAX_ERROR_ROWS = 4096
"""The largest number of rows from which the error of each step is estimated."""
VALIDATION_TIMES = 8
"""Times at which the bound of a validation row is evaluated."""
CONTEXT_DROPOUT = 0.1
"""The share of training rows whose context is hidden from the network."""
SAMPLERS = ("ancestral", "ode")


class Diffusion(
    AbstractLowerBound,
    AbstractDirectConditionals,
    AbstractStepSampler,
    AbstractWithoutState,
    AbstractOnePhase,
):
    """A variational diffusion model: noise hides the codes c(x) of a row, a network recovers them.

    q(z_t | x) = N(α_t c(x), σ_t²),  α_t² = sigmoid(-γ_t), σ_t² = sigmoid(γ_t), γ_t linear in t
    p(x | y) = ∫ N(z_1; 0, I) Π_t p(z_s | z_t, y) p(x | z_0) dz,  p(z_s | z_t, y) = N(μ_s, σ_s²)
    log p(x | y) >= E[log p(x | z_0)] - KL(q(z_1 | x) || N(0, I)) - E_t |ε - ε̂|² (γ_1 - γ_0)/2

    Columns: all kinds. μ_s is the mean of q(z_s | z_t, x) at the network's estimate ĉ(z_t, t, y) of
    the codes. The estimate's `mean_squared_error` over the rows, in units of σ_t², widens σ_s (Bao
    et al., "Analytic-DPM", 2022). Training maximises the bound for infinitely many steps; weights
    and draws use as many steps as `mean_squared_error` has.

    The columns y that `on` names may be of any kinds and have a distribution of their own, so p(y)
    p(x | y) is a joint and a class in y can be predicted with Bayes' rule. Training hides y in a
    tenth of the rows. Hidden y allow `guidance` g: steps follow (1 + g) v(z, t | y) - g v(z, t).
    Such draws are sharper than p(x | y) and do not follow it; their weights are those of the guided
    distribution. With sampler "ode", new rows and rows given only y are drawn by the probability
    flow. Kingma, Salimans, Poole and Ho, "Variational diffusion models" (2021).

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
    sampling_cost: ClassVar[str] = "one pass per step"
    # The bound at one random time per row is noisy: no early stopping, and averaged parameters.
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
        """x, the network's input for y, and log p(y)."""
        x, y_codes, log_prior = self.context.split(row)
        # The 1 marks that y is present: zeros alone may be the codes of some y.
        return x, jnp.append(y_codes, 1) if len(y_codes) else y_codes, log_prior

    # -- the bound

    def bound(self, key: PRNGKeyArray, x: Row, times: int) -> Float[Array, ""]:
        """A random estimate of the lower bound on log p(x, y) in nats, at evenly spaced times."""
        time_key, noise_key = jax.random.split(key)
        t = (jax.random.uniform(time_key) + jnp.arange(times) / times) % 1
        keys = jax.random.split(noise_key, times)
        return jax.vmap(lambda k, t: self._bound(k, x, t, 1))(keys, t).mean()

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        time_key, noise_key = jax.random.split(key)
        # Even spacing over the rows reduces the noise of the mean loss.
        t = (jax.random.uniform(time_key) + jnp.arange(len(x)) / len(x)) % 1
        keep_context = jax.random.uniform(jax.random.fold_in(key, 2), t.shape) >= CONTEXT_DROPOUT
        return -jax.vmap(self._bound)(jax.random.split(noise_key, len(x)), x, t, keep_context)

    def _bound(self, key, row, t, keep_context) -> Float[Array, ""]:
        """The bound with its integral over time replaced by its value at t."""
        noise_key, code_key = jax.random.split(key)
        x, y_input, log_prior = self._split(row)
        d = self.denoiser
        c = d.codes(x)
        error, e = d.prediction_error(noise_key, c, t, y_input * keep_context)
        a, _ = d.alpha_sigma(t)
        # A control variate: its mean is zero, and it varies like the squared error does.
        steps = len(self.mean_squared_error)
        i = jnp.clip(jnp.ceil(t * steps).astype(int) - 1, 0, steps - 1)
        control = (a**2 * self.mean_squared_error[i]) ** 2 * (e**2 - 1)
        diffusion_loss = ((d.high - d.low) * (a**2 * error**2 - control)).sum() / 2
        a, s = d.alpha_sigma(1)
        prior = (a**2 * (c**2 - 1) - 2 * jnp.log(s)).sum() / 2
        y = c + d.codes.min_noise * jax.random.normal(code_key, c.shape, c.dtype)
        return d.codes.log_prob(x, y) - prior - diffusion_loss + log_prior

    # -- draws and their weights

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return self.context.weighted_completion(
            key, proposal, x, observed, self._log_weight, self.draw_given
        )

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        return self.context.is_pure_conditional(observed)

    def direct_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        return self.context.direct_completion(key, x, observed, self.draw_given)

    def log_weight(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        return self._log_weight(jax.random.split(key)[1], x)

    def _log_weight(self, key: PRNGKeyArray, row: Row) -> Float[Array, ""]:
        x, y_input, log_prior = self._split(row)
        return log_prior + log_weight(
            key, self.denoiser, self.mean_squared_error, x, y_input, self.guidance
        )

    def draw(self, key: PRNGKeyArray) -> Row:
        row = jnp.zeros(self.size, self.mean_squared_error.dtype)
        context_key, draw_key = jax.random.split(key)
        return self.draw_given(draw_key, self.context.draw(context_key, row, row > 0))

    def draw_given(self, key: PRNGKeyArray, row: Row) -> Row:
        """The row with its entries x replaced by a draw from p(x | y)."""
        start_key, step_key, code_key = jax.random.split(key, 3)
        _, y_input, _ = self._split(row)
        denoiser, guidance = self.denoiser, self.guidance
        errors = self.mean_squared_error
        z = jax.random.normal(start_key, (denoiser.codes.size,), errors.dtype)
        if self.sampler == "ode":
            z = integrate_flow(denoiser, z, y_input, len(errors), guidance)
        else:
            z = sample_ancestral(step_key, denoiser, errors, z, y_input, guidance)
        return self.context.with_x(
            row, denoiser.codes.sample(code_key, z / denoiser.alpha_sigma(0)[0])
        )

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
            raise PofxError("guidance: expected columns to condition on, as in on='species'")
        errors = self.mean_squared_error if timesteps is None else self._resample_errors(timesteps)
        return replace(self, sampler=sampler, guidance=float(guidance), mean_squared_error=errors)

    def _resample_errors(self, steps: int) -> Float[Array, "steps c"]:
        """The error of each step for another number of steps, interpolated in time."""
        old_steps = len(self.mean_squared_error)
        times, old_times = (jnp.arange(steps) + 1) / steps, (jnp.arange(old_steps) + 1) / old_steps
        return jax.vmap(lambda e: jnp.interp(times, old_times, e), 1, 1)(self.mean_squared_error)

    def flow_log_prob(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        target, y_input, log_prior = self._split(x)
        return flow_log_prob(key, self.denoiser, target, y_input) + log_prior

    # -- learning

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -jax.vmap(lambda k, x: self.bound(k, x, VALIDATION_TIMES))(
            jax.random.split(key, len(x)), x
        )

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
        """The model with the error of each step estimated from the rows."""
        x, _, weight = rows.to_arrays()
        choice_key, noise_key = host_keys.split(key)
        index = np.flatnonzero(weight > 0)
        if len(index) > MAX_ERROR_ROWS:
            index = np.asarray(jax.random.permutation(choice_key, index))[:MAX_ERROR_ROWS]
        errors = _step_errors(self, noise_key, x[index], weight[index])
        return eqx.tree_at(lambda p: p.mean_squared_error, self, errors)

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
        """The model in which codes are normal and independent, as a start for training.

        Args:
            on: names of the columns y, separated by commas; default none.
            timesteps: number of steps of draws and weights, default 64.
            width: units per layer of the network, default 128.
            depth: number of residual blocks, default 3.
            guidance: strength g >= 0, default 0 for none; needs `on`.
            sampler: "ancestral" (default) or "ode".

        Raises PofxError for an option out of range.
        """
        check_at_least(1, timesteps=timesteps, width=width, depth=depth)
        context = Context.from_data(host_keys.fold_in(key, 1), rows, columns, on)
        x, observed, weight = rows.to_arrays()
        place = list(context.x_columns)
        weight = observed * weight[:, None]
        codes = NoisyEncoding.from_data([columns[j] for j in place], x[:, place], weight[:, place])
        y_size = context.size + 1 if context.size else 0
        net = ResidualMLP.init(key, codes.size, codes.size, width, depth, y_size)
        start = cls(Denoiser(codes, net), context, to_device(np.ones((timesteps, codes.size))))
        return start.with_sampler(sampler, guidance=guidance)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "real", family="normal"),
        )
        rows = make_rows(np.array([[-1.0, 0, -1], [1, 1, 1]]))
        model = cls.from_data(key, rows, columns, on="b", timesteps=8, width=8, depth=1)
        weights = jax.random.normal(key, (2, 8)) / 8
        model = eqx.tree_at(lambda p: p.denoiser.net.output_weights, model, weights)
        return Example(model, columns)


@compiled
def _step_errors(
    p: Diffusion, key: PRNGKeyArray, x: Float[Array, "n d"], weight: Float[Array, "n"]
) -> Float[Array, "steps c"]:
    """The mean squared error of each step over the rows."""
    targets, y_inputs, _ = jax.vmap(p._split)(x)
    steps = len(p.mean_squared_error)
    times = (jnp.arange(steps) + 1) / steps
    codes = jax.vmap(p.denoiser.codes)(targets)
    return mean_squared_error(p.denoiser, key, codes, y_inputs, weight, times)
