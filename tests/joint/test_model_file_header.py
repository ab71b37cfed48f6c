"""Model files with forged headers are rejected with one line, and nothing in them is run."""

import copy
import json
import time

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

from pofx.joint.model_file import FORMAT


def pack(header, arrays):
    return to_bytes(arrays, {"pofx": header if isinstance(header, str) else json.dumps(header)})


def test_newer(refused, parts):
    header, arrays = parts
    refused(
        pack({**header, "format": FORMAT + 1}, arrays),
        f"written in format {FORMAT + 1} by a newer pofx; this one reads up to {FORMAT}: upgrade",
    )


def class_of(name):
    return lambda h: h["model"].update({"class": name})


def fields(**changes):
    return lambda h: h["model"]["fields"].update(changes)


def variable(**changes):
    return lambda h: h["schema"]["variables"][0].update(changes)


def fit(**changes):
    return lambda h: h["fit"].update(changes)


LINE = {"name": "a", "log_likelihood": 0, "stderr": 0, "gain": 0, "gain_stderr": 0, "kept": True}


def nested(depth):
    def change(header):
        for _ in range(depth):
            header["model"] = {
                "class": "Mixture",
                "fields": {**header["model"]["fields"], "parts": header["model"]},
            }

    return change


CHANGES = {
    "no format": lambda h: h.pop("format"),
    "a format of text": lambda h: h.update(format="1"),
    "a format of true": lambda h: h.update(format=True),
    "an older format": lambda h: h.update(format=0),
    "no schema": lambda h: h.pop("schema"),
    "no model": lambda h: h.pop("model"),
    "a model of text": lambda h: h.update(model="Mixture"),
    "a family as model": lambda h: h.update(model=h["model"]["fields"]["parts"]),
    "an unknown class": class_of("Nothing"),
    "a class of another module": class_of("pathlib.Path"),
    "a class of a standard module": class_of("os.system"),
    "an abstract class": class_of("AbstractTractable"),
    "a class that is no text": class_of(["Mixture"]),
    "another class": class_of("Gaussian"),
    "no fields": lambda h: h["model"].pop("fields"),
    "a field more": fields(more=1),
    "a field less": lambda h: h["model"]["fields"].pop("prior"),
    "a dunder": fields(__class__="int"),
    "an absent tensor": fields(log_weights={"array": "nothing"}),
    "a tensor twice": lambda h: h["model"]["fields"].update(parts={"array": "model.log_weights"}),
    "text for a tensor": fields(log_weights="zero"),
    "nothing for a part": fields(parts=None),
    "nested deep": nested(40),
    "an absent variable": lambda h: h["schema"]["variables"].pop(),
    "a variable more": lambda h: h["schema"]["variables"].append(
        {**h["schema"]["variables"][0], "name": "z"}
    ),
    "two of one name": variable(name="b"),
    "an unknown kind": variable(kind="image"),
    "a shape too large": variable(shape=[2**40]),
    "a shape that overflows": variable(shape=[2**62, 2**62]),
    "a negative shape": variable(shape=[-1]),
    "levels of two types": variable(levels=[0, "one"]),
    "levels of lists": variable(levels=[[0], [1]]),
    "levels that are one text": variable(levels="ab"),
    "a level twice": variable(levels=[0, 0]),
    "a scale of zero": variable(scale=0),
    "a scale of text": variable(scale="1"),
    "a huge scale": variable(scale=10**400),
    "a dtype of nobody": variable(dtype="V999999"),
    "a family of nobody": variable(family="../normal"),
    "an unknown field": variable(code="import os"),
    "an unknown container": lambda h: h["schema"].update(container="torch"),
    "fixed entries too few": lambda h: h.update(fixed=[]),
    "a fixed entry": lambda h: h.update(fixed=[1.0, None, None]),
    "fixed entries of text": lambda h: h.update(fixed=["x", None, None]),
    "evidence of numbers": lambda h: h.update(evidence=[1]),
    "evidence of text": lambda h: h.update(evidence="a = 1"),
    "a fit of text": lambda h: h.update(fit="well"),
    "a fit without fields": lambda h: h.update(fit={"model": "mixture"}),
    "parts of text": fit(parts="all"),
    "a part of text": fit(parts=["mixture"]),
    "a part without weight": fit(parts=[{"model": "mixture", "options": {}}]),
    "a part with a weight of text": fit(parts=[{"model": "a", "options": {}, "weight": "1"}]),
    "options of a part that are text": fit(parts=[{"model": "a", "options": "b", "weight": 1}]),
    "untried of text": fit(untried="mixture"),
    "untried of numbers": fit(untried=[1]),
    "a budget of text": fit(budget="60"),
    "a budget of true": fit(budget=True),
    "warnings of text": fit(warnings="few rows"),
    "warnings of numbers": fit(warnings=[1]),
    "a history of text": fit(history=["0.5"]),
    "seconds of a list": fit(seconds=[1]),
    "skipped of text": fit(skipped="none"),
    "rows below none": fit(rows=-1),
    "rows of true": fit(rows=True),
    "converged of one": fit(converged=1),
    "a line without kept": fit(leaderboard=[{"name": "a"}]),
    "a line of seconds of text": fit(leaderboard=[{**LINE, "seconds": "1"}]),
    "a huge likelihood": fit(log_likelihood=10**400),
    "a huge seed": fit(seed=10**400),
    "a huge fixed entry": lambda h: h.update(fixed=[10**400, None, None]),
    "a huge resolution": variable(resolution=10**400),
    "a huge level": variable(levels=[0, 10**400]),
    "a huge option": lambda h: h["fit"]["options"].update(prior=10**400),
    "half a surrogate pair in a name": variable(name="\ud800"),
    "half a surrogate pair in evidence": lambda h: h.update(evidence=["a = \udc00"]),
    "half a surrogate pair in a key": lambda h: h["fit"]["options"].update({"\ud800": 1}),
    "half a surrogate pair in a warning": fit(warnings=["\ud800"]),
    "an escape in an unknown class": class_of("\x1b[31m"),
    "a leaderboard of text": lambda h: h["fit"].update(leaderboard=["first"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_header(refused, parts, change):
    header, arrays = copy.deepcopy(parts)
    CHANGES[change](header)
    refused(pack(header, arrays))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "1e999",
        "[" * 100_000,
        '{"format":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
    ],
    ids=["empty", "null", "list", "cut", "number", "deep", "deep objects", "deep and whole"],
)
def test_a_header_that_is_none(refused, text):
    refused(pack(text, {}), "not a valid pofx model file")


@pytest.mark.parametrize("digits", ["1e400", "1" * 400, "1" * 5000], ids=["float", "400", "5000"])
def test_numbers_beyond_float64(refused, parts, digits):
    header, arrays = parts
    text = json.dumps(header).replace('"prior": 1.0', f'"prior": {digits}')
    assert digits in text
    refused(pack(text, arrays), r"a number of its header (is 1e400|has .* digits)")


def test_which_field_is_wrong_is_said(refused, parts):
    header, arrays = copy.deepcopy(parts)
    header["fit"]["warnings"] = ["few rows", 3]
    refused(pack(header, arrays), r"header: fit: warnings.1: expected a valid string, got 3\)$")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none(refused, parts, number):
    header, arrays = parts
    text = json.dumps(header).replace('"prior": 1.0', f'"prior": {number}')
    assert number in text
    refused(pack(text, arrays), f"a number of its header is {number}")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("model.log_weights", lambda a: a[:-1]),
        ("model.log_weights", lambda a: a[:, None]),
        ("model.log_weights", lambda a: a[:0]),
        ("model.parts.groups.0", lambda a: a[:-1]),
        ("model.parts.groups.0", lambda a: a[None]),
        ("model.parts.groups.1", lambda a: a[:0]),
    ],
)
def test_shapes_that_disagree(refused, parts, name, make):
    header, arrays = parts
    full = next(known for known in arrays if known.startswith(name))
    refused(pack(header, {**arrays, full: np.ascontiguousarray(make(arrays[full]))}))


def test_one_tensor_for_many(refused, parts):
    header, arrays = copy.deepcopy(parts)
    big = np.zeros(2**20, np.float32)
    header["model"]["fields"]["log_weights"] = [{"array": "big"}] * 100_000
    began = time.perf_counter()
    refused(pack(header, {**arrays, "big": big}))
    assert time.perf_counter() - began < 5
