"""A step of AdamW along a gradient, with a learning rate that rises and falls."""

from typing import Any

import jax
import jax.numpy as jnp
import lazy_loader

optax: Any = lazy_loader.load("optax")


def adamw_step(settings, total_steps, state, gradient, norm):
    """The state after a step of AdamW along this gradient of this norm."""
    clip = jnp.where(settings.clip > 0, jnp.minimum(1, settings.clip / norm), 1)
    clipped = jax.tree.map(lambda g: g * clip.astype(g.dtype), gradient)
    direction, moments = optax.scale_by_adam().update(clipped, state.optimiser)
    rate = _learning_rate(settings, total_steps, state.steps)

    def move(p, direction):
        return p - rate * (direction + settings.decay * p)

    parameters = jax.tree.map(move, state.parameters, direction)
    steps, average = state.steps + 1, state.average
    if average is not None:
        # Without bias to the start, as the moments of Adam (Kingma and Ba 2015).
        w = (1 - settings.average) / (1 - settings.average**steps)
        average = jax.tree.map(lambda a, p: a + w.astype(a.dtype) * (p - a), average, parameters)
    return state._replace(parameters=parameters, optimiser=moments, steps=steps, average=average)


def _learning_rate(settings, total_steps, step):
    """The learning rate: a linear ramp, whose first step is above zero, then half a cosine."""
    warmup_steps = jnp.floor(settings.warmup * total_steps)
    angle = jnp.pi * (step - warmup_steps) / (total_steps - warmup_steps)
    cosine = (1 + jnp.cos(angle)) / 2
    decay = settings.final + (1 - settings.final) * cosine
    ramp = (step + 1) / (warmup_steps + 1)
    return settings.rate * jnp.where(step < warmup_steps, ramp, decay)
