"""The neural energy: a network tilts a tractable model."""

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
from pofx.core.errors import PofxError, check_at_least, unknown_name_error, warn
from pofx.core.rows import Rows
from pofx.models.energies.annealed_importance import import_blackjax, warn_mixing, warn_weights, is_reliable
from pofx.models.energies.base_model import draw_rows, fit_reference, smooth_real_columns
from pofx.models.energies.tilted_chains import (
    ANNEALED_CHAINS,
    LOG_Z_DRAWS,
    TiltedDistribution,
    anneal_log_z,
    run_chains,
    estimate_log_z,
    mcmc_step,
)
from pofx.models.independent import Independent
from pofx.nets.row_embedding import Embedding
from pofx.nets.smooth_mlp import SmoothMLP

LOSSES = ("nce", "score")
SURE = 0.02
"""The standard error of log Z, in nats, that needs no annealing."""
DRAWN = 50
"""Steps between a stored chain and a new row."""
LEAST, MOST = 0.3, 0.9
"""The shares of moves accepted between which their size is right."""
LARGEST = 100.0
"""The most nats a column that a network may tilt by before it is said to explode."""


class NeuralEnergy(
    AbstractEnergyModel, AbstractValidatesOnLoss, AbstractWithoutState, AbstractOnePhase
):
    """A tractable model of the rows, the reference r, tilted by a network f.

    p(x) = exp(-E(x)) / Z,  E(x) = f(x) - log r(x)

    r is a mixture of Gaussians for real columns, else a Chow-Liu tree, or the model `reference`;
    learned from the rows and then fixed: p has its tails, and f says how p differs from it. Learned
    by noise-contrastive estimation, a row of data told from `ratio` rows of r, where log r cancels
    and Z is learned as f's last bias (Gutmann and Hyvärinen 2012), under noise as wide as the
    rounding of real columns, that these buy no peaks; or, real columns only, by denoising score
    matching at `noise` scales (Vincent 2011). Z is then estimated by draws of r
    and, where these do not carry it, by annealed importance sampling in `temperatures` steps.
    Chains redraw some entries from r given the others, and move real columns by Hamiltonian
    dynamics (blackjax); a new row is a stored one, 50 steps on. With a class among the columns
    p(y | x) needs no Z: the joint energy of a classifier (Grathwohl et al. 2020). LeCun et al., "A
    tutorial on energy-based learning" (2006).

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
    moves: tuple[int, ...] = eqx.field(static=True)
    objective: Annotated[str, LOSSES] = eqx.field(static=True, default="nce")
    ratio: int = eqx.field(static=True, default=8)
    noise: float = eqx.field(static=True, default=0.1)
    temperatures: int = eqx.field(static=True, default=500)

    learns_from_missing: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = f"{DRAWN} steps of a Markov chain"
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 3e-3}

    @property
    def size(self) -> int:
        return self.reference.size

    def energy(self, x: Row) -> Float[Array, ""]:
        return self.tilt(x) - self.reference.log_prob(x)

    def tilt(self, x: Row) -> Float[Array, ""]:
        """f(x), in nats: how much less probable x is than in the reference, but for Z."""
        return self.net(self.embedding(x, jnp.ones(x.shape, bool)))[0]

    def step(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """A step of a chain, which leaves p(x_M | x_O) as it is."""
        one = jnp.ones_like(self.step_size)
        return mcmc_step(key, self.tilted, x, observed, one, self.step_size)[0]

    def draw(self, key: PRNGKeyArray) -> Row:
        picking, moving = jax.random.split(key)
        x = self.chains[jax.random.randint(picking, (), 0, len(self.chains))]
        none = jnp.zeros(self.size, bool)

        def step(x, key):
            return self.step(key, x, none), None

        return jax.lax.scan(step, x, jax.random.split(moving, DRAWN))[0]

    @property
    def tilted(self) -> TiltedDistribution:
        """The same without its chains, for what moves them."""
        own = np.searchsorted(np.array(self.embedding.numbers, int), np.array(self.moves, int))
        scale = self.embedding.shift[own], self.embedding.scale[own]
        return TiltedDistribution(self.reference, self.tilt, *scale, self.moves)

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
            return self._denoise(key, x)
        rounding, contrasting = jax.random.split(key)
        noise = jax.random.uniform(rounding, x.shape, x.dtype, -0.5, 0.5)
        return self._contrast(contrasting, x + self.rounding * noise)

    def _contrast(self, key: PRNGKeyArray, x: Float[Array, "n d"]) -> Float[Array, "n"]:
        """What telling each row from `ratio` of the reference costs in nats.

        The log-odds that x is data are -f(x) - log ratio.
        """
        noise = jax.vmap(self.reference.sample)(jax.random.split(key, len(x) * self.ratio))
        tilt = jax.vmap(self.tilt)
        missed = jax.nn.softplus(tilt(x) + np.log(self.ratio))
        mistaken = jax.nn.softplus(-tilt(noise) - np.log(self.ratio))
        return missed + mistaken.reshape(len(x), self.ratio).sum(1)

    def _denoise(self, key: PRNGKeyArray, x: Float[Array, "n d"]) -> Float[Array, "n"]:
        """How far the score at each row under noise is from pointing back to the row."""
        away = jax.random.normal(key, x.shape, x.dtype)
        step = self.noise * self.embedding.scale
        slope = jax.vmap(jax.grad(self.energy))(x + step * away)
        return ((away - step * slope) ** 2).sum(1) / 2

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> "NeuralEnergy":
        """Chains from draws of the reference, weighed; their moves tuned, and log Z."""
        sampling, going, cooling = jax.random.split(key, 3)
        found, chains, steepest = estimate_log_z(sampling, self.tilted, len(self.chains))
        if not steepest <= LARGEST * self.size:
            _warn(f"the energy explodes: its network tilts by {float(steepest):.3g} nats")
        run = run_chains(going, self.tilted, chains, self.step_size)
        warn_mixing(np.asarray(run.energies))
        if self.moves and not LEAST <= run.acceptance <= MOST:
            _warn(f"chains hardly follow the energy: {float(run.acceptance):.2f} of moves accepted")
        own = run.chains, run.step_size
        p = eqx.tree_at(lambda p: (p.chains, p.step_size), self, own)
        draws = LOG_Z_DRAWS
        if not (is_reliable(found, draws) and found.stderr <= SURE):
            other = anneal_log_z(cooling, p.tilted, p.step_size, p.temperatures)
            if not is_reliable(found, draws) or other.stderr < found.stderr:
                found, draws = other, ANNEALED_CHAINS
        warn_weights(found, draws)
        return eqx.tree_at(lambda p: (p.log_z, p.log_z_stderr), p, (found.log_z, found.stderr))

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
        """The reference, learned from the rows, and a network that is zero."""
        if loss not in LOSSES:
            raise unknown_name_error("loss", loss, LOSSES)
        check_at_least(1, ratio=ratio, width=width, chains=chains, temperatures=temperatures)
        check_at_least(0, depth=depth)
        if not noise > 0:
            raise PofxError(f"noise: expected a number above 0, got {noise!r}")
        moves = smooth_real_columns(columns)
        if loss == "score" and len(moves) < len(columns):
            other = next(c for j, c in enumerate(columns) if j not in moves)
            raise PofxError(
                f"column {other.variable!r} is {other.kind}"
                f"{' with point masses' if other.spikes else ''}, and loss='score' wants real "
                "columns only; use loss='nce'"
            )
        if moves:
            import_blackjax()
        learning, building, drawing = jax.random.split(key, 3)
        base = fit_reference(learning, rows, columns, reference)
        x, observed, weight = rows.to_arrays()
        embedding = Embedding.from_data(columns, x, observed * weight[:, None])
        net = SmoothMLP.init(building, (embedding.size, *[width] * depth, 1))
        return _begun(
            drawing,
            net,
            embedding,
            base,
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
        last = 0.7 * jax.random.normal(key, net.weights[-1].shape)
        net = eqx.tree_at(lambda n: n.weights[-1], net, last)
        model = _begun(key, net, embedding, reference, 32, columns)
        found, chains, _ = estimate_log_z(key, model.tilted, 32)
        own = chains, found.log_z, found.stderr
        whole = eqx.tree_at(lambda p: (p.chains, p.log_z, p.log_z_stderr), model, own)
        return Example(whole, columns)


def _begun(
    key: PRNGKeyArray,
    net: SmoothMLP,
    embedding: Embedding,
    reference: AbstractTractable,
    chains: int,
    columns: Sequence[Column],
    **settings: Any,
) -> NeuralEnergy:
    """A model whose chains are rows of the reference."""
    rows, moves = draw_rows(reference, key, chains), smooth_real_columns(columns)
    rounding = np.zeros(len(columns))
    rounding[list(moves)] = [columns[j].resolution for j in moves]
    zero = jnp.zeros(())
    step = zero + 0.5 * max(len(moves), 1) ** -0.25
    return NeuralEnergy(
        net=net,
        embedding=embedding,
        reference=reference,
        chains=rows,
        step_size=step,
        rounding=jnp.asarray(rounding),
        log_z=zero,
        log_z_stderr=zero,
        moves=moves,
        **settings,
    )


def _warn(what: str) -> None:
    hint = "try fewer epochs, a smaller width=, or a reference= nearer to the data"
    warn(f"{what}; {hint}")
