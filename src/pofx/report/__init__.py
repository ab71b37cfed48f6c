"""The page that says what a model found in a table."""
