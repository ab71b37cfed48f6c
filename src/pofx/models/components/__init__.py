"""Parts of models that hold one part for each value of a category."""
