"""Parts of models that are networks."""
