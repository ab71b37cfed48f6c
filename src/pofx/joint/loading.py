"""`pofx.load`: distributions from their files."""

from pathlib import Path

import numpy as np

from pofx.core import compilation_cache, float_width
from pofx.families.inflated import aligned_to_spikes
from pofx.joint.file_opening import reporting_damage
from pofx.joint.joint import Joint
from pofx.joint.model_file import read_model_file
from pofx.table.schema import Schema


def load(path: str | Path) -> Joint:
    """The distribution in a model file; its answers are the same to the last bit.

    Nothing in the file is executed. Raises PofxError if it is not a model file of this version.
    """
    compilation_cache.enable()
    model, header = read_model_file(path)
    with reporting_damage(path):
        schema = Schema.from_json(header["schema"])
        fixed = np.array([np.nan if v is None else v for v in header["fixed"]], np.float64)
        if fixed.shape != (schema.size,) or model.size != np.isnan(fixed).sum():
            raise ValueError("the model is not one of these columns")
        with float_width.float64(float_width.is_float64(model)):
            model = aligned_to_spikes(model, schema.columns)
        evidence = tuple(header["evidence"])
        unrelated = header.get("unrelated")
        if unrelated is None:
            # Older files do not say which variables the evidence does not bear on.
            unrelated = [] if evidence else None
        unrelated = None if unrelated is None else tuple(unrelated)
        return Joint(model, schema, fixed, evidence, header["fit"], unrelated)
