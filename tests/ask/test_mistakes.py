"""`ask`: a mistake is one line, with a caret under its place."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from pofx import PofxError
from pofx.ask.results import Mode
from pofx.joint.joint import Joint
from pofx.models.gaussian import Gaussian
from pofx.notation.errors import NotationError
from pofx.table.schema import Schema, Variable

from .test_cells import farm, normal

MISTAKES = [
    # names
    ("P(sise > 3)", "sise", "no column 'sise'; did you mean 'size'?"),
    ("E[size | knd = ape]", "knd", "no column 'knd'; did you mean 'kind'?"),
    ("H(size | year, god)", "god", "no column 'god'; did you mean 'good'?"),
    ("KL(p || r)", "r)", "no distribution 'r'; there are: p, q"),
    ("KL(p(kin) || p(kin))", "kin", "no column 'kin'; did you mean 'kind'?"),
    # values
    ("P(kind = bea)", "bea", "no level of 'kind' 'bea'; did you mean 'bee'?"),
    ("P(year = 2010)", "2010", "no level of 'year' '2010'; did you mean '20"),
    ("P(good = yes)", "yes", "no level of 'good' 'yes'; there are: false, true"),
    ("P(kind = 3)", "3", "the levels of 'kind' are text, got the number 3"),
    ("P(size = big)", "big", "'size' holds numbers, got the text 'big'"),
    ("P(year = ape)", "ape", "no level of 'year' 'ape'; there are: 2007, 2008, 2009"),
    ("P(gain in {1, many})", "many", "'gain' holds numbers, got the text 'many'"),
    ("P(kind > 3)", "kind", "are text, which no range holds; name them, as in kind in {ape, bee}"),
    # evidence of probability zero
    (
        "P(size > 3 | gain = -1)",
        "-1",
        "gain = -1 has probability zero; 'gain' is a positive number",
    ),
    ("E[size | good > 1]", "good", "the evidence good > 1 has probability zero"),
    ("p(kind | size in {1, 2})", "size", "the evidence size in {1, 2} has probability zero"),
    ("p(size | year > 2100)", "year", "the evidence year > 2100 has probability zero"),
    # what is not there
    ("E[kind]", "kind", "'kind' are text, which no number describes; p(kind) gives"),
    ("Cov[size, kind]", "kind", "'kind' are text, which no number describes; p(kind) gives"),
    ("Q[0.5](kind | year = 2008)", "kind", "'kind' are text"),
    ("p(size, year = 2008)", "size", "'size' is a number, and p(year = 2008, size) a curve"),
    (
        "p(size, kind, gain)",
        "gain",
        "'size' and 'gain' are numbers; beside levels one number",
    ),
    ("p(kind | size)", "size)", "'size' is a number; give it a value or a range"),
    ("mode(kind | year)", "year", "'year' has no value; give it one"),
    ("mode(kind, size | gain > 1)", "gain", "a range as evidence of a mode of several names"),
    ("H(size | gain > 1)", "gain", "a range as evidence of H, I or TC needs columns"),
    ("I(kind; size | gain > 1)", "gain", "a range as evidence of H, I or TC needs columns"),
    ("KL(p(kind | gain > 1) || p(kind))", "gain", "a range as evidence of a divergence is not"),
    ("KL(p(kind | year) || p(kind))", "year", "a name without a value as evidence of a divergence"),
]


@pytest.mark.parametrize(("question", "place", "message"), MISTAKES)
def test_a_mistake_has_a_caret_and_a_reason(question, place, message):
    with pytest.raises(NotationError, match=re.escape(message)) as caught:
        farm().ask(question, q=farm())
    first, text, caret = str(caught.value).splitlines()
    assert first.startswith("ask: ")
    assert len(first) < 200
    assert text == f"  {question}"
    at = caret.index("^") - 2
    assert question[at:].startswith(place)
    assert (caught.value.text, caught.value.at) == (question, at)


def test_what_is_given_before_is_told():
    with pytest.raises(NotationError, match="'a' is given already: a = 1"):
        normal().given(a=1).ask("E[a | b = 5]")


def test_two_distributions_of_other_columns_do_not_compare():
    with pytest.raises(NotationError, match="same variables") as caught:
        farm().ask("KL(p || q)", q=normal())
    assert caught.value.at == 8


def test_arrays_have_no_events():
    image = Variable("image", "real", shape=(2,), family="normal", dtype="float64")
    schema = Schema((image, Variable("a", "real", family="normal", dtype="float64")), "mapping")
    p = Joint(Gaussian.from_moments(jnp.zeros(3), jnp.eye(3)), schema, np.full(3, np.nan))
    for question in ("E[image]", "p(image)", "P(a > 1 | image = 1)", "mode(a, image)"):
        with pytest.raises(NotationError, match="'image' is an array; H, I, TC") as caught:
            p.ask(question)
        assert question[caught.value.at :].startswith("image")
    assert p.ask("sample[5](image | a = 0)")["image"].shape == (5, 2)
    assert float(p.ask("I(image; a)")) == pytest.approx(0, abs=1e-6)


def test_every_mistake_is_a_notation_error(monkeypatch):
    def broken(*arguments, **options):
        raise PofxError("broken")

    monkeypatch.setattr("pofx.ask.densities.events.log_probability", broken)
    with pytest.raises(NotationError, match="ask: broken") as caught:
        farm().ask("P(size > 1)")
    assert caught.value.at == 0


def test_a_mode_without_a_density_prints_itself():
    from pofx import Answer

    assert str(Mode("mode(a)", {"a": 1.5}, Answer(0.25))) == "mode(a) = 1.5   p = 0.25   exact"
