"""One training step of a spline flow and of a MADE, beside zuko, flowjax and plain PyTorch.

    python benchmarks/training_step.py

Flow: five masked autoregressive layers of rational-quadratic splines of 8 bins, networks of two
hidden layers of 64, batches of 512 rows of 8 columns. MADE: 784 binary columns, one hidden layer of
500, batches of 128. All with Adam, float32, two cores. pofx: whole epochs of `learn.sgd` with their
shuffling, without validation, divided by their steps. flowjax: its own step function over its own
batches. zuko and PyTorch: forward, backward, step. Medians of several epochs, the first, which
compiles, apart. Needs zuko, flowjax and torch (the `peers` extra).
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import zuko
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train.losses import MaximumLikelihoodLoss
from flowjax.train.train_utils import step as flowjax_step
from timing import machine

from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.learn.sgd import SGDConfig, train
from pofx.models.autoregressive import Autoregressive
from pofx.models.flow import Flow

LAYERS, WIDTH, DEPTH, BINS = 5, 64, 2, 8
STEPS, EPOCHS = 20, 8


def ours(model, x, batch):
    """Seconds per step in each epoch."""
    at = [time.perf_counter()]
    train(
        jax.random.key(1),
        model,
        make_rows(x),
        settings=SGDConfig(batch=batch, epochs=EPOCHS),
        report=lambda _: at.append(time.perf_counter()),
    )
    return np.diff(at) / (len(x) // batch)


def flowjax(x, batch):
    flow = masked_autoregressive_flow(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(x.shape[1])),
        transformer=RationalQuadraticSpline(knots=BINS, interval=5),
        flow_layers=LAYERS,
        nn_width=WIDTH,
        nn_depth=DEPTH,
    )
    params, static = eqx.partition(flow, eqx.is_inexact_array)
    optimizer, loss = optax.adam(1e-3), MaximumLikelihoodLoss()
    state, batches = optimizer.init(params), jnp.asarray(x).reshape(-1, batch, x.shape[1])
    at = [time.perf_counter()]
    for _ in range(EPOCHS):
        for rows in batches:
            params, state, _ = flowjax_step(
                params,
                static,
                rows,
                optimizer=optimizer,
                opt_state=state,
                loss_fn=loss,
                key=jax.random.key(0),
            )
        jax.block_until_ready(params)
        at.append(time.perf_counter())
    return np.diff(at) / len(batches)


def pytorch(module, loss, x, batch):
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    batches = torch.tensor(x).reshape(-1, batch, x.shape[1])
    at = [time.perf_counter()]
    for _ in range(EPOCHS):
        for rows in batches:
            optimizer.zero_grad()
            loss(rows).backward()
            optimizer.step()
        at.append(time.perf_counter())
    return np.diff(at) / len(batches)


class MaskedLinear(torch.nn.Linear):
    """A linear map of which some weights are held at zero."""

    def __init__(self, mask):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32))

    def forward(self, x):
        return torch.nn.functional.linear(x, self.mask * self.weight, self.bias)


def made(d, width):
    """Germain et al. (2015), one hidden layer, natural order."""
    order, hidden = np.arange(d), np.arange(width) % (d - 1)
    first = MaskedLinear(hidden[:, None] >= order)
    last = MaskedLinear(order[:, None] > hidden)
    return torch.nn.Sequential(first, torch.nn.ReLU(), last)


def report(what, times):
    print(f"\n{what}")
    base = np.median(times["pofx"][1:])
    for name, seconds in times.items():
        step = np.median(seconds[1:])
        first = seconds[0] * STEPS
        print(
            f"  {name:<10}{1000 * step:>8.2f} ms a step   pofx takes {base / step:.2f} of it   "
            f"first epoch, compilation in it, {first:.1f} s"
        )


def main():
    print(machine("pofx", "jax", "flowjax", "zuko", "torch"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512 * STEPS, 8)).astype(np.float32)
    columns = [Column(f"x{j}", "real", family="normal") for j in range(8)]
    flow = Flow.from_data(
        jax.random.key(0),
        make_rows(x),
        columns,
        layers=LAYERS,
        width=WIDTH,
        depth=DEPTH,
        knots=BINS,
    )
    peer = zuko.flows.NSF(8, transforms=LAYERS, bins=BINS, hidden_features=(WIDTH,) * DEPTH)
    report(
        "autoregressive spline flow",
        {
            "pofx": ours(flow, x, 512),
            "flowjax": flowjax(x, 512),
            "zuko": pytorch(peer, lambda rows: -peer().log_prob(rows).mean(), x, 512),
        },
    )
    x = (rng.random((128 * STEPS, 784)) < 0.3).astype(np.float32)
    columns = [Column(f"x{j}", "binary", levels=2, family="bernoulli") for j in range(784)]
    start = Autoregressive.from_data(jax.random.key(0), make_rows(x), columns, width=500, depth=1)
    net = made(784, 500)

    def loss(rows):
        logits = net(rows)
        bce = torch.nn.functional.binary_cross_entropy_with_logits
        return bce(logits, rows, reduction="sum") / len(rows)

    report("MADE", {"pofx": ours(start, x, 128), "PyTorch": pytorch(net, loss, x, 128)})


if __name__ == "__main__":
    main()
