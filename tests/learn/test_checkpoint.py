"""Checkpoints: resumed runs are bitwise equal; damaged files and those of other runs are errors."""

import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.abstract import AbstractOnePhase, AbstractValidatesOnLoss, AbstractWithoutState
from pofx.core.errors import PofxError
from pofx.core.rows import make_rows
from pofx.learn.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from pofx.learn.sgd import SGDConfig, train

KEY = jax.random.key(0)
SETTINGS = SGDConfig(batch=32, epochs=30, rate=0.01, average=0.9, decay=0.01)


class Denoiser(AbstractValidatesOnLoss, AbstractWithoutState, AbstractOnePhase):
    """A network with functions among its leaves, a random loss, and its own random key."""

    net: eqx.nn.MLP
    key: jax.Array

    @property
    def size(self):
        return self.net.in_size

    @classmethod
    def example(cls, key):
        raise NotImplementedError

    @classmethod
    def supported_kinds(cls, variable, **options):
        raise NotImplementedError

    @classmethod
    def from_data(cls, *arguments, **options):
        raise NotImplementedError

    def trainable_mask(self):
        return jax.tree.map(eqx.is_inexact_array, self)

    def finalise(self, key, rows, score):
        return self

    def loss(self, key, x, observed):
        x = jnp.where(observed, x, 0)
        noise = jax.random.normal(key, x.shape) + jax.random.normal(self.key, x.shape)
        return (jnp.where(observed, jax.vmap(self.net)(x + noise) - x, 0) ** 2).sum(1)


def denoiser(seed=0, width=8):
    key = jax.random.key(seed)
    return Denoiser(eqx.nn.MLP(3, 3, width, 1, activation=jax.nn.tanh, key=key), key)


def table(n, seed):
    x = np.random.default_rng(seed).normal(size=(n, 3))
    x[::5, 1] = np.nan
    return make_rows(x)


def run(checkpoint=None, *, key=KEY, model=None, data=None, valid=None, **options):
    settings = SETTINGS._replace(**{k: options.pop(k) for k in SETTINGS._fields if k in options})
    model = denoiser() if model is None else model
    data, valid = data or table(100, 0), valid or table(40, 1)
    options = {"valid": valid, "settings": settings, "checkpoint": checkpoint, **options}
    return train(key, model, data, **options)


def digest(result):
    """A hash of the result of a run, without its time, functions and random key."""
    arrays = jax.tree.leaves(eqx.filter(result.model, eqx.is_inexact_array))
    bits = b"".join(np.asarray(a).tobytes() for a in arrays)
    return sha256(bits + repr(result[1:-1]).encode()).hexdigest()


class Interruption(Exception):
    """An exception that a progress callback raises."""


def until(epoch):
    def report(at):
        if at.step == epoch:
            raise Interruption

    return report


@pytest.fixture(scope="module")
def whole():
    """The digest of an uninterrupted run."""
    return digest(run())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def test_a_state_comes_back_to_the_bit(path):
    with jax.enable_x64(True):
        state = (jnp.asarray(np.pi), {"a": jnp.arange(3, dtype=jnp.int32), "b": None})
        state = (*state, jnp.array([[np.nan, -0.0]], jnp.float32), jnp.zeros((0, 2)))
        record = {"history": [[0.1, float("nan")], [1e-300, float("inf")]]}
        write_checkpoint(path, state, record, {"key": "k"})
        back, told = read_checkpoint(path, jax.tree.map(jnp.ones_like, state), {"key": "k"})
        assert jax.tree.structure(back) == jax.tree.structure(state)
        for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(state)):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        assert repr(told) == repr(record)


def test_no_file_is_no_state(path):
    assert read_checkpoint(path, (), {}) is None


def test_fingerprints_tell_apart_and_know_again():
    def function():
        return lambda x: x

    def prints(*values):
        return {fingerprint(it=value)["it"] for value in values}

    assert len(prints(function(), function())) == 1
    assert len(prints(denoiser(), denoiser())) == 1
    zeros = np.zeros(4, np.float32)
    different = (zeros, zeros[:3], zeros.reshape(2, 2), zeros.astype(np.int32), -zeros, [zeros])
    assert len(prints(*different)) == len(different)
    keys = (jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg"))
    assert len(prints(*keys)) == 3
    assert len(prints(SETTINGS, SETTINGS._replace(rate=0.02), None, "None", jnp.tanh)) == 5


@pytest.mark.parametrize("epoch", [1, 7, 30])
def test_a_run_that_a_report_interrupts_goes_on_to_the_bit(path, whole, epoch):
    with pytest.raises(Interruption):
        run(path, every=0, report=until(epoch))
    seen = []
    assert digest(run(path, report=seen.append)) == whole
    assert [at.step for at in seen] == list(range(epoch + 1, 31))


def test_bits_hold_in_float64_without_average_and_held_out_rows(path):
    with jax.enable_x64(True):
        options = {"average": 0.0, "epochs": 6, "valid": None}
        model, data = denoiser(), table(100, 0)
        settings = SETTINGS._replace(average=0.0, epochs=6)
        plain = train(KEY, model, data, settings=settings)
        assert plain.model.net.layers[0].weight.dtype == jnp.float64
        options = {"settings": settings, "checkpoint": path, "every": 0}
        with pytest.raises(Interruption):
            train(KEY, model, data, report=until(2), **options)
        assert digest(train(KEY, model, data, **options)) == digest(plain)


def test_a_run_that_had_settled_or_ended_returns_at_once(path, whole):
    first = run(path, patience=2, rate=0.3, report=lambda at: time.sleep(0.05))
    assert first.stop_reason == "settled"
    seen = []
    again = run(path, patience=2, rate=0.3, report=seen.append)
    assert digest(again) == digest(first)
    assert not seen
    assert again.seconds > 0.3 * first.seconds  # as the last checkpoint says, a busy machine aside


def test_more_time_may_be_given(path, whole):
    first = run(path, seconds=1e-9)
    assert (first.stop_reason, len(first.history)) == ("seconds", 1)
    still = run(path, seconds=1e-9)
    assert (still.stop_reason, len(still.history)) == ("seconds", 1)
    assert digest(run(path)) == whole


def test_it_is_written_when_the_time_has_come(path):
    with pytest.raises(Interruption):
        run(path, every=1e9, report=until(3))
    assert not path.exists()
    run(path, every=1e9, epochs=2)
    assert path.exists()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_file_of_another_run_is_refused(path):
    run(path, epochs=2)
    before = path.read_bytes()
    x, observed, weight = table(100, 0).to_arrays()
    x[3, 0] += 1e-6
    others = {
        "key": {"key": jax.random.key(1)},
        "model": {"model": denoiser(seed=1)},
        "rows": {"data": make_rows(x, observed, weight)},
        "valid": {"valid": table(40, 2)},
        "settings": {"rate": 0.02},
        "key and model": {"key": jax.random.key(1), "model": denoiser(width=9)},
    }
    for name, options in others.items():
        with pytest.raises(PofxError) as error:
            run(path, **{"epochs": 2, **options})
        assert str(error.value) == (
            f"checkpoint: expected a file of this run, got {path} of a run with another {name}; "
            "give another path, or delete it to start over"
        )
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused(path, tmp_path):
    state, like = (jnp.arange(9.0), jnp.ones((2, 2))), (jnp.zeros(9), jnp.zeros((2, 2)))
    write_checkpoint(path, state, {"history": []}, {"key": "k"})
    good = path.read_bytes()
    flipped = (
        good[:i] + bytes([good[i] ^ bit]) + good[i + 1 :]
        for i in range(len(good))
        for bit in (1, 4)
    )
    cut = (good[:i] for i in range(0, len(good), 5))
    for bad in (*flipped, *cut, good + b"\0", b"a model", bytes(100)):
        path.write_bytes(bad)
        with pytest.raises(
            PofxError, match=r"^checkpoint: expected an intact file .* delete it to"
        ):
            read_checkpoint(path, like, {"key": "k"})
    with pytest.raises(PofxError, match=r"^checkpoint: expected an intact file of this learner"):
        read_checkpoint(tmp_path, like, {"key": "k"})
    path.write_bytes(good)
    assert read_checkpoint(path, like, {"key": "k"}) is not None
    with pytest.raises(PofxError, match="with another version of pofx"):
        read_checkpoint(path, like[:1], {"key": "k"})


def test_a_run_that_is_killed_goes_on_to_the_bit(path, whole):
    rng, reached = np.random.default_rng(0), []
    for _ in range(2):
        command = [sys.executable, __file__, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            reached.append(int(next(process.stdout)))
            for _ in range(rng.integers(1, 5)):
                next(process.stdout)
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    last = []
    assert digest(run(path, report=last.append)) == whole
    assert reached[0] == 1 < reached[1] < last[0].step, "each went on from the one before"


def child(path):
    """A run to be killed, which prints one line per epoch."""

    def report(at):
        print(at.step, flush=True)
        time.sleep(0.02)

    run(path, every=0, report=report)


if __name__ == "__main__":
    child(Path(sys.argv[1]))
