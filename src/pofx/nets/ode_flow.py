"""What flows along the vectors of a network, and how much its volume grows."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pofx.core.errors import PofxError

EXACT = 32
"""The most numbers of which the trace of a Jacobian is exact."""
TOLERANCE = 1e-5


def transported(
    key: PRNGKeyArray,
    speed: Callable[[Float[Array, "c"], Float[Array, ""]], Float[Array, "c"]],
    z: Float[Array, "c"],
) -> tuple[Float[Array, "c"], Float[Array, ""]]:
    """Where dz/dt = speed(z, t) takes z from t = 0 to t = 1, and log |det dz(1) / dz(0)|.

    The latter is ∫ tr ∂speed/∂z dt, the trace of more than 32 numbers by one random direction that
    the key gives (Hutchinson 1990; Grathwohl et al., "FFJORD", 2019). PofxError without diffrax.

    >>> z, grown = transported(jax.random.key(0), lambda z, t: z, jnp.ones(2))
    >>> print(f"{z[0]:.3f} {grown:.3f}")
    2.718 2.000
    """
    try:
        import diffrax
    except ImportError:
        raise PofxError(
            "diffusion: expected the extra of diffusion; try pip install 'pofx[diffusion]'"
        ) from None
    probes = jnp.eye(len(z), dtype=z.dtype)
    if len(z) > EXACT:
        probes = jax.random.rademacher(key, (1, len(z)), z.dtype)

    def both(t, state, _):
        def along(probe):
            own, slope = jax.jvp(lambda z: speed(z, t), (state[0],), (probe,))
            return own, probe @ slope

        own, slope = jax.vmap(along, out_axes=(None, 0))(probes)
        return own, slope.sum()

    end = diffrax.diffeqsolve(
        diffrax.ODETerm(both),
        diffrax.Tsit5(),
        t0=0.0,
        t1=1.0,
        dt0=None,
        y0=(z, jnp.zeros((), z.dtype)),
        stepsize_controller=diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE),
    )
    assert end.ys is not None
    return end.ys[0][0], end.ys[1][0]
