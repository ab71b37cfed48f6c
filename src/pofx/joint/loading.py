"""Distributions back from their files."""

from pathlib import Path

import numpy as np

from pofx.core import float_width
from pofx.families.inflated import aligned
from pofx.joint import model_file
from pofx.joint.joint import Joint
from pofx.table.schema import Schema


def load(path: str | Path) -> Joint:
    """The distribution in a model file, its answers the same to the bit.

    Nothing in the file is run. Raises PofxError where it is not a model file of this version.
    """
    model, header = model_file.load(path)
    with model_file.damaged(path):
        schema = Schema.from_json(header["schema"])
        fixed = np.array([np.nan if v is None else v for v in header["fixed"]], np.float64)
        if fixed.shape != (schema.size,) or model.size != np.isnan(fixed).sum():
            raise ValueError("the model is not one of these columns")
        with float_width.float64(float_width.is_float64(model)):
            model = aligned(model, schema.columns)
        evidence, unrelated = tuple(header["evidence"]), header.get("unrelated")
        if unrelated is None:
            # Older files do not say which variables those are.
            unrelated = [] if evidence else None
        unrelated = None if unrelated is None else tuple(unrelated)
        return Joint(model, schema, fixed, evidence, header["fit"], unrelated)
