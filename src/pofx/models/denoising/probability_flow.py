"""The probability flow: deterministic steps with the same marginals as a diffusion."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.abstract import Row
from pofx.models.denoising.denoiser import Denoiser
from pofx.nets.ode_flow import integrate_with_log_det


def integrate_flow(
    denoiser: Denoiser,
    z: Float[Array, "c"],
    context: Float[Array, "y"],
    steps: int,
    guidance: float = 0.0,
) -> Float[Array, "c"]:
    """z_0 from z_1, by this number of steps of Heun's method.

    With φ = atan(σ/α) the flow is dz/dφ = v̂ (Salimans and Ho 2022).
    """

    def step(z, i):
        t, s = (i + 1) / steps, i / steps
        turn = denoiser.angle(s) - denoiser.angle(t)
        v = denoiser(z, t, context, guidance)
        return z + turn * (v + denoiser(z + turn * v, s, context, guidance)) / 2, None

    return jax.lax.scan(step, z, jnp.arange(steps)[::-1])[0]


def flow_log_prob(
    key: PRNGKeyArray, denoiser: Denoiser, x: Row, context: Float[Array, "y"]
) -> Float[Array, ""]:
    """An estimate of log p(x | y) in nats: the density of the flow at a random z_0.

    log p(x) ≈ log N(z_1; 0, I) + log |det dz_1 / dz_0| - log q(z_0 | x) + log p(x | z_0)

    Song et al., "Score-based generative modeling through stochastic differential equations"
    (2021). Raises PofxError if diffrax is not installed.
    """
    noise_key, flow_key = jax.random.split(key)
    c = denoiser.codes(x)
    n = jax.random.normal(noise_key, c.shape, c.dtype)
    a, s = denoiser.alpha_sigma(0)

    def speed(z, t):
        return jax.jacfwd(denoiser.angle)(t) * denoiser(z, t, context)

    z, log_det = integrate_with_log_det(flow_key, speed, a * c + s * n)
    log_q = (norm.logpdf(n) - jnp.log(s)).sum()
    log_p = denoiser.codes.log_prob(x, c + s / a * n)
    return norm.logpdf(z).sum() + log_det - log_q + log_p
