"""`pofx.diffusion`: how a diffusion is sampled, and its density by the probability flow."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np

from pofx.core.abstract_approximate import AbstractStepSampler
from pofx.core.answer import Answer
from pofx.core.errors import PofxError
from pofx.core.float_width import in_model_width
from pofx.core.rows import make_rows, per_row
from pofx.named.fit_record import to_json_types
from pofx.named.model import NamedModel, P, check_positive_int
from pofx.named.random_keys import key_of
from pofx.table.encoding import encode, log_scale


@in_model_width
def with_sampler(
    p: P,
    sampler: str | None = None,
    *,
    timesteps: int | None = None,
    guidance: float | None = None,
) -> P:
    """The same fitted diffusion with another sampler; None leaves a setting as it is.

    Args:
        p: the fitted distribution.
        sampler: "ancestral", draws of p(z_s | z_t), or "ode", the probability flow by Heun's steps.
        timesteps: the number of these steps.
        guidance: the g of (1 + g) v(z, t | y) - g v(z, t).

    Log-probabilities are those of ancestral steps of this number and guidance: a guided model is
    sharper than p(x | y). Raises PofxError if p is no diffusion.

    >>> import pofx
    >>> data = {"a": np.linspace(-1, 1, 40), "b": np.arange(40) % 2}
    >>> small = {"width": 4, "depth": 1, "timesteps": 4, "epochs": 1, "proposal": "independent"}
    >>> p = pofx.fit(data, "diffusion", on="b", **small)
    >>> q = with_sampler(p, "ode", timesteps=3, guidance=1.0)
    >>> q.fit_info["options"]["guidance"]
    1.0
    """
    if not _step_samplers(p):
        raise PofxError(f"p: expected a diffusion, got {p!r}")
    if timesteps is not None:
        check_positive_int("timesteps", timesteps)
    if guidance is not None and (not isinstance(guidance, Real) or not 0 <= guidance < np.inf):
        raise PofxError(f"guidance: expected a number, at least 0; got {guidance!r}")

    def set_sampler(leaf: Any) -> Any:
        return leaf.with_sampler(sampler, timesteps, guidance) if _is_step_sampler(leaf) else leaf

    model = jax.tree.map(set_sampler, p.model, is_leaf=_is_step_sampler)
    settings = {"sampler": sampler, "timesteps": timesteps, "guidance": guidance}
    changed = {name: value for name, value in settings.items() if value is not None}
    options = dict(p.fit_info.get("options", {})) | changed
    return replace(p, model=model, fit_info=to_json_types({**p.fit_info, "options": options}))


@in_model_width
def flow_log_prob(p: NamedModel, data: Any, *, draws: int = 4, seed: int = 0) -> Answer:
    """log p(x) of each row by the probability flow of a diffusion, in nats: an estimate.

    log p(x) = log E[N(z_1; 0, I) |det dz_1 / dz_0| p(x | z_0) / q(z_0 | x)],  z_0 ~ q(z_0 | x)

    where the flow takes z_0 to z_1. The flow has a density of its own: it equals the density that
    `log_prob` bounds only if the net has learned everything. Guidance does not change it.

    Args:
        p: a fitted diffusion of all columns, without evidence.
        data: rows without missing cells.
        draws: draws of z_0 behind the expectation, at least 2.
        seed: of these draws.

    Returns an `Answer` that holds an array of shape (n,). Raises PofxError for other distributions,
    for rows with missing cells, and if the extra is not installed. Song et al., "Score-based
    generative modeling through stochastic differential equations" (2021).
    """
    samplers = _step_samplers(p)
    if len(samplers) != 1 or p.evidence or p.model.size != samplers[0].size:
        raise PofxError(f"p: expected a diffusion of all columns, as from pofx.fit; got {p!r}")
    check_positive_int("draws", draws)
    if not isinstance(draws, Integral) or draws < 2:
        raise PofxError(f"draws: expected at least 2, got {draws!r}")
    x = encode(p.schema, data)
    if not len(x) or np.isnan(x).any():
        raise PofxError("data: expected rows without missing cells; log_prob integrates them out")
    keys = jax.random.key_data(jax.random.split(key_of(seed), draws))
    log_w = per_row(_flow_log_prob, (samplers[0], keys), make_rows(x)).astype(np.float64)
    top = log_w.max(1, keepdims=True)
    w = np.exp(log_w - top)
    value = np.log(w.mean(1)) + top[:, 0] - log_scale(p.schema, x).sum(1)
    # The standard error of the logarithm of a mean, to first order.
    error = w.std(1, ddof=1) / w.mean(1) / np.sqrt(draws)
    return Answer(value, error, "estimate", draws, "by the probability flow", "nats")


def _flow_log_prob(model_and_keys, x, observed):
    model, keys = model_and_keys
    return jax.vmap(lambda k: model.flow_log_prob(jax.random.wrap_key_data(k), x))(keys)


def _step_samplers(p: NamedModel) -> list[AbstractStepSampler]:
    return list(filter(_is_step_sampler, jax.tree.leaves(p.model, is_leaf=_is_step_sampler)))


def _is_step_sampler(leaf: Any) -> bool:
    return isinstance(leaf, AbstractStepSampler)
