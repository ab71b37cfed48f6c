"""The flow without noise whose marginals are those of a diffusion."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.denoising.denoiser import Denoiser
from pofx.nets.ode_flow import transported


def integrate_flow(
    denoiser: Denoiser,
    z: Float[Array, "c"],
    told: Float[Array, "y"],
    steps: int,
    guidance: float = 0.0,
) -> Float[Array, "c"]:
    """z_0 from z_1, in so many steps of Heun's.

    With φ = atan(σ/α) the flow is dz/dφ = v̂ (Salimans and Ho 2022).
    """

    def step(z, i):
        t, s = (i + 1) / steps, i / steps
        turn = denoiser.angle(s) - denoiser.angle(t)
        v = denoiser(z, t, told, guidance)
        return z + turn * (v + denoiser(z + turn * v, s, told, guidance)) / 2, None

    return jax.lax.scan(step, z, jnp.arange(steps)[::-1])[0]


def flow_log_prob(
    key: PRNGKeyArray, denoiser: Denoiser, x: Row, told: Float[Array, "y"]
) -> Float[Array, ""]:
    """An estimate of log p(x | y) in nats: the density of the flow at a random z_0.

    log p(x) ≈ log N(z_1; 0, I) + log |det dz_1 / dz_0| - log q(z_0 | x) + log p(x | z_0)

    Song et al., "Score-based generative modeling through stochastic differential equations"
    (2021). PofxError without the extra.
    """
    hiding, probing = jax.random.split(key)
    c = denoiser.codes(x)
    n = jax.random.normal(hiding, c.shape, c.dtype)
    a, s = denoiser.alpha_sigma(0)

    def speed(z, t):
        return jax.jacfwd(denoiser.angle)(t) * denoiser(z, t, told)

    z, grown = transported(probing, speed, a * c + s * n)
    hidden = (norm.logpdf(n) - jnp.log(s)).sum()
    seen = denoiser.codes.log_prob(x, c + s / a * n)
    return norm.logpdf(z).sum() + grown - hidden + seen
