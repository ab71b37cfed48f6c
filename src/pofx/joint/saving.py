"""Distributions into their files."""

from pathlib import Path
from typing import Any

import numpy as np

from pofx.joint import model_file
from pofx.named.model import NamedModel


def save(p: NamedModel, path: str | Path) -> None:
    """Writes a model file: arrays and a JSON header, whole or not at all."""
    header: dict[str, Any] = {
        "schema": p.schema.to_json(),
        "fixed": [None if np.isnan(entry) else float(entry) for entry in p.fixed],
        "evidence": list(p.evidence),
        "fit": dict(p.fit_info),
    }
    if p.unrelated is not None:
        header["unrelated"] = list(p.unrelated)
    model_file.save(path, p.model, header)
