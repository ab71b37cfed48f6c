"""Network models: their context columns and their output heads."""
