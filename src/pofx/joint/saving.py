"""Writes distributions to files."""

from pathlib import Path
from typing import Any

import numpy as np

from pofx.joint.model_file import write_model_file
from pofx.named.model import NamedModel


def save(p: NamedModel, path: str | Path) -> None:
    """Writes a model file of arrays and a JSON header, completely or not at all."""
    header: dict[str, Any] = {
        "schema": p.schema.to_json(),
        "fixed": [None if np.isnan(entry) else float(entry) for entry in p.fixed],
        "evidence": list(p.evidence),
        "fit": dict(p.fit_info),
    }
    if p.unrelated is not None:
        header["unrelated"] = list(p.unrelated)
    write_model_file(path, p.model, header)
