"""Parts of models that are normal, given a category at most."""
