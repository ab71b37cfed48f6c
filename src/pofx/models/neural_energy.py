"""The neural energy model: a tractable reference model tilted by a network."""

from collections.abc import Callable, Mapping, Sequence
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
    AbstractValidatesOnLoss,
    AbstractWithoutState,
    Example,
    Mask,
    Row,
)
from pofx.core.abstract_approximate import AbstractEnergyModel
from pofx.core.column import KINDS, Column, Kind
from pofx.core.compilation import to_device
from pofx.core.errors import PofxError, check_at_least, unknown_name_error, warn
from pofx.core.rows import Rows
from pofx.models.energies.annealed_importance import (
    import_blackjax,
    is_reliable,
    warn_mixing,
    warn_weights,
)
from pofx.models.energies.base_model import draw_rows, fit_reference, smooth_real_columns
from pofx.models.energies.tilted_chains import (
    ANNEALED_CHAINS,
    LOG_Z_DRAWS,
    TiltedDistribution,
    anneal_log_z,
    estimate_log_z,
    mcmc_step,
    run_chains,
)
from pofx.models.independent import Independent
from pofx.nets.mlp import SmoothMLP
from pofx.nets.row_embedding import Embedding

LOSSES = ("nce", "score")
MAX_LOG_Z_STDERR = 0.02
"""In nats. If draws of the reference give a larger standard error, log Z is annealed too."""
THINNING_STEPS = 50
"""Steps from a stored chain to a new row."""
ACCEPTANCE_RANGE = (0.3, 0.9)
"""Outside this range of acceptance, a warning says that the chains hardly move."""
MAX_TILT_NATS = 100.0
"""Per column. If the network tilts more, a warning says that the energy explodes."""


class NeuralEnergy(
    AbstractEnergyModel, AbstractValidatesOnLoss, AbstractWithoutState, AbstractOnePhase
):
    """An energy model: a tractable reference model r tilted by a network f.

    p(x) = exp(-E(x)) / Z,  E(x) = f(x) - log r(x)

    Columns: all kinds; real columns without point masses for score matching. r is learned from the
    rows first and then fixed: p has the tails of r, and f describes how p differs from r.

    - Noise-contrastive estimation (`loss="nce"`) learns f by classifying rows as data or as draws
      of r. log r cancels, and the last bias of f learns Z (Gutmann and Hyvärinen 2012). Uniform
      noise as wide as the rounding of real columns prevents peaks at rounded values.
    - Denoising score matching (`loss="score"`) learns the gradient of E (Vincent 2011).
    - Z is then estimated from draws of r. If these are not enough, it is estimated by annealed
      importance sampling.
    - Markov chains redraw some entries from r given the others, and move real columns by
      Hamiltonian dynamics (blackjax). A new row is a stored chain after 50 more steps.

    If one column is a class y, p(y | x) needs no Z: f is then a joint energy model, a classifier
    too (Grathwohl et al. 2020). LeCun et al., "A tutorial on energy-based learning" (2006).

    >>> p = NeuralEnergy.example(jax.random.key(0)).model
    >>> x = jnp.array([0.0, 1.0, 0.5, 0.0])
    >>> bool(jnp.isclose(p.energy(x), p.tilt(x) - p.reference.log_prob(x)))
    True
    """

    net: SmoothMLP
    embedding: Embedding
    reference: AbstractTractable
    chains: Float[Array, "m d"]
    step_size: Float[Array, ""]
    rounding: Float[Array, "d"]
    log_z: Float[Array, ""]
    log_z_stderr: Float[Array, ""]
    hmc_columns: tuple[int, ...] = eqx.field(static=True)
    objective: Annotated[str, LOSSES] = eqx.field(static=True, default="nce")
    ratio: int = eqx.field(static=True, default=8)
    noise: float = eqx.field(static=True, default=0.1)
    temperatures: int = eqx.field(static=True, default=500)

    learns_from_missing: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = f"{THINNING_STEPS} steps of a Markov chain"
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 3e-3}

    @property
    def size(self) -> int:
        return self.reference.size

    def energy(self, x: Row) -> Float[Array, ""]:
        return self.tilt(x) - self.reference.log_prob(x)

    def tilt(self, x: Row) -> Float[Array, ""]:
        """f(x) in nats: how much less probable x is than in the reference, up to log Z."""
        return self.net(self.embedding(x, jnp.ones(x.shape, bool)))[0]

    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """The row after a step of a Markov chain, which leaves p(x_M | x_O) invariant."""
        beta = jnp.ones_like(self.step_size)
        return mcmc_step(key, self.without_chains, x, observed, beta, self.step_size)[0]

    def draw(self, key: PRNGKeyArray) -> Row:
        pick_key, step_key = jax.random.split(key)
        x = self.chains[jax.random.randint(pick_key, (), 0, len(self.chains))]
        observed = jnp.zeros(self.size, bool)

        def step(x, key):
            return self.step(key, x, observed), None

        return jax.lax.scan(step, x, jax.random.split(step_key, THINNING_STEPS))[0]

    @property
    def without_chains(self) -> TiltedDistribution:
        """The distribution that the chains sample, with the scales of their Hamiltonian moves."""
        numbers = np.array(self.embedding.numbers, int)
        index = np.searchsorted(numbers, np.array(self.hmc_columns, int))
        shift, scale = self.embedding.shift[index], self.embedding.scale[index]
        return TiltedDistribution(self.reference, self.tilt, shift, scale, self.hmc_columns)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda p: p.net, fixed, jax.tree.map(lambda _: True, self.net))

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        if self.objective == "score":
            return self._score_matching_loss(key, x)
        rounding_key, nce_key = jax.random.split(key)
        noise = jax.random.uniform(rounding_key, x.shape, x.dtype, -0.5, 0.5)
        return self._nce_loss(nce_key, x + self.rounding * noise)

    def _nce_loss(self, key: PRNGKeyArray, x: Float[Array, "n d"]) -> Float[Array, "n"]:
        """The log loss, in nats, of telling each row from `ratio` draws of the reference.

        The log-odds that x is data are -f(x) - log ratio.
        """
        noise = jax.vmap(self.reference.sample)(jax.random.split(key, len(x) * self.ratio))
        tilt = jax.vmap(self.tilt)
        data_loss = jax.nn.softplus(tilt(x) + np.log(self.ratio))
        noise_loss = jax.nn.softplus(-tilt(noise) - np.log(self.ratio))
        return data_loss + noise_loss.reshape(len(x), self.ratio).sum(1)

    def _score_matching_loss(self, key: PRNGKeyArray, x: Float[Array, "n d"]) -> Float[Array, "n"]:
        """The squared error of the score at each row plus noise: it should point to the row."""
        noise = jax.random.normal(key, x.shape, x.dtype)
        scale = self.noise * self.embedding.scale
        gradient = jax.vmap(jax.grad(self.energy))(x + scale * noise)
        return ((noise - scale * gradient) ** 2).sum(1) / 2

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "NeuralEnergy":
        """The model with chains resampled from weighted draws of the reference, and with log Z.

        Warns if the energy explodes, if the chains do not mix, or if log Z is unreliable.
        """
        draw_key, chain_key, annealing_key = jax.random.split(key, 3)
        estimate, chains, max_tilt = estimate_log_z(draw_key, self.without_chains, len(self.chains))
        if not max_tilt <= MAX_TILT_NATS * self.size:
            _warn(f"the energy explodes: its network tilts by {float(max_tilt):.3g} nats")
        run = run_chains(chain_key, self.without_chains, chains, self.step_size)
        warn_mixing(np.asarray(run.energies))
        low, high = ACCEPTANCE_RANGE
        if self.hmc_columns and not low <= run.acceptance <= high:
            _warn(
                f"the chains hardly move: {float(run.acceptance):.2f} of their moves are accepted "
                f"(expected {low} to {high})"
            )
        p = eqx.tree_at(lambda p: (p.chains, p.step_size), self, (run.chains, run.step_size))
        draws = LOG_Z_DRAWS
        if not (is_reliable(estimate, draws) and estimate.stderr <= MAX_LOG_Z_STDERR):
            annealed = anneal_log_z(annealing_key, p.without_chains, p.step_size, p.temperatures)
            if not is_reliable(estimate, draws) or annealed.stderr < estimate.stderr:
                estimate, draws = annealed, ANNEALED_CHAINS
        warn_weights(estimate, draws)
        log_z = estimate.log_z, estimate.stderr
        return eqx.tree_at(lambda p: (p.log_z, p.log_z_stderr), p, log_z)

    @classmethod
    def supported_kinds(
        cls, variable: str, *, loss: str = "nce", **options: Any
    ) -> frozenset[Kind]:
        return frozenset({"real"}) if loss == "score" else frozenset(KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        loss: str = "nce",
        reference: str = "",
        ratio: int = 8,
        noise: float = 0.1,
        width: int = 128,
        depth: int = 2,
        chains: int = 128,
        temperatures: int = 500,
    ) -> "NeuralEnergy":
        """The reference model, learned from the rows, and a network of output zero.

        Args:
            loss: "nce" (default) or "score".
            reference: a model fitted by EM; by default a mixture of Gaussians for real columns,
                else "chow_liu_tree".
            ratio: draws of the reference per row of data, default 8.
            noise: of score matching, in standard deviations of the columns, default 0.1.
            width: units per hidden layer, default 128.
            depth: number of hidden layers, default 2.
            chains: number of Markov chains, default 128.
            temperatures: steps of annealed importance sampling, default 500.

        Raises PofxError for an option out of range, for columns that the loss does not support,
        and without blackjax if there are real columns.
        """
        if loss not in LOSSES:
            raise unknown_name_error("loss", loss, LOSSES)
        check_at_least(1, ratio=ratio, width=width, chains=chains, temperatures=temperatures)
        check_at_least(0, depth=depth)
        if not noise > 0:
            raise PofxError(f"noise: expected a number above 0, got {noise!r}")
        hmc_columns = smooth_real_columns(columns)
        if loss == "score" and len(hmc_columns) < len(columns):
            column = next(c for j, c in enumerate(columns) if j not in hmc_columns)
            raise PofxError(
                f"column {column.variable!r} is {column.kind}"
                f"{' with point masses' if column.spikes else ''}, and loss='score' supports only "
                "real columns; use loss='nce'"
            )
        if hmc_columns:
            import_blackjax()
        reference_key, net_key, chain_key = jax.random.split(key, 3)
        reference_model = fit_reference(reference_key, rows, columns, reference)
        x, observed, weight = rows.to_arrays()
        embedding = Embedding.from_data(columns, x, observed * weight[:, None])
        net = SmoothMLP.init(net_key, (embedding.size, *[width] * depth, 1))
        return _init(
            chain_key,
            net,
            embedding,
            reference_model,
            chains,
            columns,
            objective=loss,
            ratio=ratio,
            noise=float(noise),
            temperatures=temperatures,
        )

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        reference, columns = Independent.example(key)
        x = np.asarray(draw_rows(reference, key, 200))
        embedding = Embedding.from_data(columns, x, np.ones(x.shape))
        net = SmoothMLP.init(key, (embedding.size, 8, 1))
        last_weights = 0.7 * jax.random.normal(key, net.weights[-1].shape)
        net = eqx.tree_at(lambda n: n.weights[-1], net, last_weights)
        model = _init(key, net, embedding, reference, 32, columns)
        estimate, chains, _ = estimate_log_z(key, model.without_chains, 32)
        model = eqx.tree_at(
            lambda p: (p.chains, p.log_z, p.log_z_stderr),
            model,
            (chains, estimate.log_z, estimate.stderr),
        )
        return Example(model, columns)


def _init(
    key: PRNGKeyArray,
    net: SmoothMLP,
    embedding: Embedding,
    reference: AbstractTractable,
    chains: int,
    columns: Sequence[Column],
    **options: Any,
) -> NeuralEnergy:
    """A model whose chains are draws of the reference."""
    hmc_columns = smooth_real_columns(columns)
    rounding = np.zeros(len(columns))
    rounding[list(hmc_columns)] = [columns[j].resolution for j in hmc_columns]
    zero = to_device(0.0)
    return NeuralEnergy(
        net=net,
        embedding=embedding,
        reference=reference,
        chains=draw_rows(reference, key, chains),
        step_size=to_device(0.5 * max(len(hmc_columns), 1) ** -0.25),
        rounding=to_device(rounding),
        log_z=zero,
        log_z_stderr=zero,
        hmc_columns=hmc_columns,
        **options,
    )


def _warn(problem: str) -> None:
    warn(f"{problem}; try fewer epochs, a smaller width=, or a reference= closer to the data")
