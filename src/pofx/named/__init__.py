"""A model with the names and units of a table, and each verb as a function of it."""
