"""Versions of JAX that compute wrong numbers, refused before they are used."""

from importlib.metadata import version

FAULTY_VERSIONS = {
    "0.10.2": "returns wrong sums of matrix-vector products on a CPU (jax issue 39103)",
}


def refuse_faulty_jax() -> None:
    """Raises ImportError, in one line, if the installed JAX is known to compute wrong numbers."""
    for package in ("jax", "jaxlib"):
        installed = version(package)
        if installed in FAULTY_VERSIONS:
            raise ImportError(
                f"pofx: {package} {installed} {FAULTY_VERSIONS[installed]}; "
                "try pip install 'jax!=0.10.2' 'jaxlib!=0.10.2'"
            )
