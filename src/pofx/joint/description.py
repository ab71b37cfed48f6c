"""What a distribution is, in a line; and what a model file holds, without its arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pofx.core.escaping import escaped
from pofx.joint.file_opening import open_model_file, reporting_damage
from pofx.joint.fit_summary import FitSummary
from pofx.table.schema import Schema

if TYPE_CHECKING:
    from pofx.named.model import NamedModel


def title(schema: Schema, evidence: Sequence[str], model: str) -> str:
    """p(variables | evidence) and the class of the model."""
    bar = f" | {', '.join(evidence)}" if evidence else ""
    return escaped(f"p({', '.join(schema.names)}{bar})  {model}")


def describe(p: "NamedModel") -> str:
    """The variables, the schema, and how the model was learned."""
    first_line = title(p.schema, p.evidence, type(p.model).__name__)
    return f"{first_line}\n\n{p.schema}\n\n{FitSummary(p.fit_info)}".rstrip()


def describe_file(path: str | Path) -> str:
    """The variables, the schema, and how the model was learned, as the file's header says.

    The arrays are not read, and JAX is not imported. Raises PofxError if the header is not that of
    a model file.
    """
    with reporting_damage(path), open_model_file(path) as (header, _):
        schema = Schema.from_json(header["schema"])
        model = str(header["model"]["class"])
        first_line = title(schema, header["evidence"], model)
        return f"{first_line}\n\n{schema}\n\n{FitSummary(header['fit'])}"
