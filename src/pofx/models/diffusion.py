"""The variational diffusion model: noise that hides a row step by step, taken off again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.distribution import Example, Mask, Queryable, Row, Tractable, Trained
from pofx.core.errors import PofxError
from pofx.core.inexact import Bounded, proposed
from pofx.core.rows import Rows
from pofx.core.variables import KINDS, Column, Kind
from pofx.models.codes import Codes
from pofx.nets.residual import Residual
from pofx.nets.transport import transported

HIGH = 5.0
"""The log-variance of the most noise over that of the signal, in units of the codes."""
ROWS, TIMES = 4096, 8
"""The most rows that a step's error is measured on, and times at which a row held out is judged."""


class Diffusion(Bounded, Trained):
    """A variational diffusion model: the codes of a row, hidden by noise, then recovered.

    q(z_t | x) = N(α_t c(x), σ_t²),  α_t² = sigmoid(-γ_t), σ_t² = sigmoid(γ_t), γ_t linear in t
    p(x) = ∫ N(z_1; 0, I) Π_t p(z_s | z_t) p(x | z_0) dz,  p(z_s | z_t) = N(μ_s(z_t, ĉ), σ_s²(z_t))
    log p(x) >= E[log p(x | z_0)] - KL(q(z_1 | x) || N(0, I)) - E_t |ε - ε̂(z_t, t)|² (γ_1 - γ_0)/2

    μ_s is the mean of q(z_s | z_t, x) at the guess ĉ of the codes, whose mean squared error over
    rows, `residue` in units of σ_t², widens the step (Bao et al., "Analytic-DPM", 2022). The net
    guesses v = α ε - σ c (Salimans and Ho 2022). The bound, which training maximises, is that of
    steps without number; weights and draws are of as many as `residue` has. Kingma, Salimans, Poole
    and Ho, "Variational diffusion models" (2021).

    >>> p = Diffusion.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (2, (2,))
    """

    codes: Codes
    net: Residual
    residue: Float[Array, "steps c"]
    high: float = eqx.field(static=True, default=HIGH)

    holes: ClassVar[bool] = False
    one_draw: ClassVar[str] = "a pass a step"
    # A bound at one random time a row is noisy: no patience, and the parameters averaged.
    pace: ClassVar[Mapping[str, Any]] = {
        "batch": 256,
        "epochs": 400,
        "rate": 2e-3,
        "average": 0.999,
        "patience": 0,
    }

    @property
    def size(self) -> int:
        f = self.codes.embedding
        return len({*f.numbers, *f.marked})

    def level(self, t: Array | float) -> tuple[Array, Array]:
        """α_t and σ_t of each code."""
        gamma = self._low + (self.high - self._low) * jnp.asarray(t, self.residue.dtype)
        return jnp.sqrt(jax.nn.sigmoid(-gamma)), jnp.sqrt(jax.nn.sigmoid(gamma))

    # -- the bound

    def bound(self, key: PRNGKeyArray, x: Row, times: int) -> Float[Array, ""]:
        """A draw of the lower bound on log p(x) in nats, over so many times, evenly spaced."""
        at, noise = jax.random.split(key)
        t = (jax.random.uniform(at) + jnp.arange(times) / times) % 1
        keys = jax.random.split(noise, times)
        return jax.vmap(lambda k, t: self._bound(k, x, t))(keys, t).mean()

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        at, noise = jax.random.split(key)
        # Evenly spaced over the rows: less noise in their mean.
        t = (jax.random.uniform(at) + jnp.arange(len(x)) / len(x)) % 1
        return -jax.vmap(self._bound)(jax.random.split(noise, len(x)), x, t)

    def _bound(self, key, x, t) -> Float[Array, ""]:
        """The bound with its integral over time taken at t."""
        hiding, reading = jax.random.split(key)
        c = self.codes(x)
        off, e = self._off(hiding, c, t)
        a, _ = self.level(t)
        # Of mean zero, and as large as the noise of what it is taken from: a control variate.
        steps = len(self.residue)
        i = jnp.clip(jnp.ceil(t * steps).astype(int) - 1, 0, steps - 1)
        noise = (a**2 * self.residue[i]) ** 2 * (e**2 - 1)
        lost = ((self.high - self._low) * (a**2 * off**2 - noise)).sum() / 2
        a, s = self.level(1)
        prior = (a**2 * (c**2 - 1) - 2 * jnp.log(s)).sum() / 2
        y = c + self.codes.finest * jax.random.normal(reading, c.shape, c.dtype)
        return self.codes.log_prob(x, y) - prior - lost

    def _off(self, key, c, t) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """v - v̂ at a random z_t, and its ε. By α times that ε̂ is off, by σ times it ĉ."""
        a, s = self.level(t)
        e = jax.random.normal(key, c.shape, c.dtype)
        return a * e - s * c - self._toward(a * c + s * e, t), e

    def _toward(self, z, t) -> Float[Array, "c"]:
        """The guess v̂ of v = α ε - σ c; of levels by way of that of their codes."""
        own, (a, s) = self.net(z, t), self.level(t)
        if not self.codes.discrete.any():
            return own
        guess = self.codes.guess(z / a, s / a, own)
        return jnp.where(self.codes.discrete, (a * z - guess) / s, own)

    @property
    def _low(self) -> Float[Array, "c"]:
        return 2 * jnp.log(self.codes.finest)

    # -- steps

    def weighted(
        self, key: PRNGKeyArray, guide: Tractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        filling, noise = jax.random.split(key)
        whole = guide.sample(filling, x, observed)
        c, keys = self.codes(whole), jax.random.split(noise, len(self.residue) + 1)

        def step(state, one):
            (z, log_w), (key, i) = state, one
            n = jax.random.normal(key, c.shape, c.dtype)
            mean, guess, put, own, wide = self._step(z, i)
            off = put * (c - guess) + own * n
            ratio = norm.logpdf(off, 0, wide) - norm.logpdf(n) + jnp.log(own)
            return (mean + off, log_w + ratio.sum()), None

        a, s = self.level(1)
        n = jax.random.normal(keys[0], c.shape, c.dtype)
        z = a * c + s * n
        log_w = (norm.logpdf(z) - norm.logpdf(n) + jnp.log(s)).sum()
        (z, log_w), _ = jax.lax.scan(step, (z, log_w), (keys[1:], self._backwards))
        a, _ = self.level(0)
        log_w += self.codes.log_prob(whole, z / a)
        return whole, log_w - proposed(guide, whole, observed)

    def draw(self, key: PRNGKeyArray) -> Row:
        first, noise, last = jax.random.split(key, 3)

        def step(z, one):
            key, i = one
            mean, _, _, _, wide = self._step(z, i)
            return mean + wide * jax.random.normal(key, z.shape, z.dtype), None

        z, keys = self._nothing(first), jax.random.split(noise, len(self.residue))
        z, _ = jax.lax.scan(step, z, (keys, self._backwards))
        return self._read(last, z)

    def _step(self, z, i) -> tuple[Array, ...]:
        """From the noise of t = (i + 1) / T to that of i / T.

        The mean of p(z_s | z_t), the guess of the codes and their share in it, and the spreads of
        q(z_s | z_t, x) and of p(z_s | z_t).
        """
        steps = len(self.residue)
        t = (i + 1) / steps
        (a, s), (b, r) = self.level(t), self.level(i / steps)
        guess = a * z - s * self._toward(z, t)
        fresh = -jnp.expm1((self._low - self.high) / steps)
        put = b * fresh
        own = r * jnp.sqrt(fresh)
        wide = jnp.sqrt(own**2 + (put * s) ** 2 * self.residue[i])
        return (b / a) * (1 - fresh) * z + put * guess, guess, put, own, wide

    @property
    def _backwards(self) -> Array:
        return jnp.arange(len(self.residue))[::-1]

    def _nothing(self, key) -> Float[Array, "c"]:
        return jax.random.normal(key, (self.codes.size,), self.residue.dtype)

    def _read(self, key, z) -> Row:
        return self.codes.sample(key, z / self.level(0)[0])

    # -- the flow with the same marginals

    def draw_ode(self, key: PRNGKeyArray, steps: int) -> Row:
        """A new row by the probability flow, all of whose noise is the first: Heun's steps.

        With φ = atan(σ/α) the flow is dz/dφ = v̂ (Salimans and Ho 2022).
        """
        first, last = jax.random.split(key)

        def step(z, i):
            t, s = (i + 1) / steps, i / steps
            turn = self._angle(s) - self._angle(t)
            v = self._toward(z, t)
            return z + turn * (v + self._toward(z + turn * v, s)) / 2, None

        z, _ = jax.lax.scan(step, self._nothing(first), jnp.arange(steps)[::-1])
        return self._read(last, z)

    def ode_log_prob(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        """An estimate of log p(x) in nats: the density of the probability flow at a random z_0.

        log p(x) ≈ log N(z_1; 0, I) + log |det dz_1 / dz_0| - log q(z_0 | x) + log p(x | z_0)

        Song et al., "Score-based generative modeling through stochastic differential equations"
        (2021). PofxError without the extra.
        """
        hiding, probing = jax.random.split(key)
        c = self.codes(x)
        n = jax.random.normal(hiding, c.shape, c.dtype)
        a, s = self.level(0)

        def speed(z, t):
            return jax.jacfwd(self._angle)(t) * self._toward(z, t)

        z, grown = transported(probing, speed, a * c + s * n)
        hidden = (norm.logpdf(n) - jnp.log(s)).sum()
        seen = self.codes.log_prob(x, c + s / a * n)
        return norm.logpdf(z).sum() + grown - hidden + seen

    def _angle(self, t) -> Array:
        a, s = self.level(t)
        return jnp.arctan2(s, a)

    # -- learning

    def risk(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -jax.vmap(lambda k, x: self.bound(k, x, TIMES))(jax.random.split(key, len(x)), x)

    def moved(self, key: PRNGKeyArray) -> "Diffusion":
        return self

    def learnable(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda p: p.net, fixed, jax.tree.map(lambda _: True, self.net))

    def then(self) -> None:
        return None

    def compiled(
        self, key: PRNGKeyArray, rows: Rows, score: Callable[[Queryable], Float[np.ndarray, "n"]]
    ) -> "Diffusion":
        """With the error of each step as it is over the rows."""
        x, _, weight = rows.flat()
        choosing, noise = jax.random.split(key)
        some = np.asarray(jax.random.permutation(choosing, len(x)))
        some = some[weight[some] > 0][:ROWS]
        residue = _residue(self, noise, jnp.asarray(x[some]), jnp.asarray(weight[some]))
        return eqx.tree_at(lambda p: p.residue, self, residue)

    @classmethod
    def carries(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def start(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        steps: int = 64,
        width: int = 128,
        depth: int = 3,
    ) -> "Diffusion":
        """The model of codes that are normal and independent."""
        for name, value in {"steps": steps, "width": width, "depth": depth}.items():
            if value < 1:
                raise PofxError(f"{name}: wanted at least 1, got {value}")
        x, observed, weight = rows.flat()
        codes = Codes.near(columns, x, observed * weight[:, None])
        net = Residual.init(key, codes.size, codes.size, width, depth)
        return cls(codes, net, jnp.ones((steps, codes.size)))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = tuple(Column(name, "real", family="normal") for name in "ab")
        codes = Codes.near(columns, np.zeros((1, 2)), np.zeros((1, 2)))
        net = Residual.init(key, 2, 2, 8, 1)
        net = eqx.tree_at(lambda n: n.outlet, net, jax.random.normal(key, (2, 8)) / 8)
        return Example(cls(codes, net, jnp.ones((8, 2))), columns)


@eqx.filter_jit
def _residue(model, key, x, weight) -> Float[Array, "steps c"]:
    """The mean square of v - v̂ over the rows, at each step."""
    steps = len(model.residue)

    def one(own):
        key, t = own
        keys = jax.random.split(key, len(x))
        off, _ = jax.vmap(lambda k, x: model._off(k, model.codes(x), t))(keys, x)
        return weight @ off**2 / weight.sum()

    t = (jnp.arange(steps) + 1) / steps
    return jax.lax.map(one, (jax.random.split(key, steps), t))
