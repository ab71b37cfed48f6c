"""Exact inference in directed graphs of tables."""
