"""Learning the distribution of a table: pofx.fit, what it compares, and stacking."""
