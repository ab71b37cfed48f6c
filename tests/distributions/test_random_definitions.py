"""Two hundred random written distributions: each a law of probability, and its explicit density."""

import jax
import numpy as np
import pytest

import pofx
from pofx.core.float_width import float64
from tests.laws.explicit import explicit

SKETCHES = {
    "levels": """
        a ~ Categorical({{u: {p}, v: {q}}})
        b | a ~ {{ u: Bernoulli({p}), v: Bernoulli({q}) }}
        c | a, b ~ {{ u: Bernoulli({q}), v: {{ yes: Bernoulli({p}), no: Bernoulli({q}) }} }}
    """,
    "a loop": """
        a ~ Bernoulli({p})
        b | a ~ {{ yes: Bernoulli({q}), no: Bernoulli({p}) }}
        c | a ~ {{ yes: Bernoulli({p}), no: Bernoulli({q}) }}
        d | b, c ~ table([[[{p}, {q}], [{q}, {p}]], [[0, 1], [{p}, {q}]]])
    """,
    "normals": """
        (x, y) ~ Normal([{m}, {n}], [[{v}, {r}], [{r}, {w}]])
        z | x, y ~ Normal({m} + {n} * x - y, {v})
    """,
    "absent edges": """
        x ~ Normal({m}, {v})
        y ~ Normal({n}, {w})
        z | x, y ~ Normal({n} * x + {m} * y, {w})
        t | z ~ Normal(z, sd={v})
    """,
    "a mixture": """
        s ~ Bernoulli({p})
        (x, y) | s ~ {{ yes: Normal([{m}, 0], [[{v}, {r}], [{r}, {w}]]),
                        no: Normal([0, {n}], [[1, 0], [0, {v}]]) }}
        z | x, s ~ {{ yes: Normal({m} * x, {w}), no: Normal({n} - x, {v}) }}
    """,
    "two switches": """
        s ~ Bernoulli({p})
        t | s ~ {{ yes: Categorical({{i: {p}, j: {q}}}), no: Categorical({{i: {q}, j: {p}}}) }}
        x | s ~ {{ yes: Normal({m}, {v}), no: Normal({n}, {w}) }}
        y | t, x ~ {{ i: Normal(x, {v}), j: Normal({n} * x, {w}) }}
    """,
    "families": """
        s ~ Bernoulli({p})
        g | s ~ {{ yes: Gamma({v}, rate={w}), no: Exponential({v}) }}
        l | s ~ {{ yes: LogNormal({m}, {v}), no: LogNormal({n}, {w}) }}
        x ~ Normal({m}, {v})
    """,
    "counts": """
        s ~ Bernoulli({q})
        n | s ~ {{ yes: Poisson({v}), no: Poisson({w}) }}
        k ~ NegativeBinomial({v}, {w})
    """,
}
EACH = 25


def random_numbers(rng):
    p, v, w = rng.uniform(0.05, 0.95), rng.uniform(0.3, 3), rng.uniform(0.3, 3)
    r = rng.uniform(-0.9, 0.9) * np.sqrt(v * w)
    numbers = {"p": p, "q": 1 - p, "v": v, "w": w, "r": r, "m": rng.normal(), "n": rng.normal()}
    texts = {name: repr(float(value)) for name, value in numbers.items()}
    return {name: f"({text})" if text.startswith("-") else text for name, text in texts.items()}


def definition(sketch, rng):
    return pofx.define(SKETCHES[sketch].format(**random_numbers(rng)))


@pytest.mark.parametrize("sketch", SKETCHES)
def test_densities_are_those_of_the_explicit_distribution(sketch):
    rng = np.random.default_rng(0)
    for seed in range(EACH):
        p = definition(sketch, rng)
        rows = p.sample(4, seed=seed)
        holes = rng.random((4, len(p.schema.names))) < 0.4
        cells = {
            name: [None if hole else value for value, hole in zip(np.asarray(rows[name]), column)]
            for name, column in zip(p.schema.names, holes.T)
        }
        x = pofx_entries(p, rows)
        with float64(True):
            reference = explicit(p.model)
        expected = [reference.log_prob(row[None], ~hole)[0] for row, hole in zip(x, holes)]
        computed = p.log_prob(cells)
        assert computed.kind == "exact"
        np.testing.assert_allclose(computed.value, np.array(expected, float), rtol=1e-9, atol=1e-9)


def pofx_entries(p, rows):
    """The rows as numbers: codes of levels, and numbers themselves."""
    columns = []
    for variable in p.schema.variables:
        values = np.asarray(rows[variable.name])
        codes = [variable.levels.index(v) for v in values] if variable.discrete else values
        columns.append(np.asarray(codes, float))
    return np.stack(columns, 1)


@pytest.mark.parametrize("sketch", SKETCHES)
def test_bayes_rule_and_the_sum_rule(sketch):
    rng = np.random.default_rng(1)
    for seed in range(2):
        p = definition(sketch, rng)
        [row] = [{k: [v[0]] for k, v in p.sample(1, seed=seed).items()}]
        first, *others = p.schema.names
        known = {name: row[name] for name in others}
        joint = float(p.log_prob(row).value[0])
        marginal = float(p.log_prob({first: [None], **known}).value[0])
        given = p.given({name: values[0] for name, values in known.items()})
        conditional = float(given.log_prob({first: row[first]}).value[0])
        assert joint == pytest.approx(marginal + conditional, rel=1e-9, abs=1e-9)
        assert float(p.entropy(first)) - float(p.entropy(first, given=others[0])) == pytest.approx(
            float(p.mutual_information(first, others[0])), abs=0.05
        )


def test_there_are_two_hundred():
    assert EACH * len(SKETCHES) == 200
    assert not jax.config.jax_enable_x64
