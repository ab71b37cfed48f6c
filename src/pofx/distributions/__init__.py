"""Distributions that are written down instead of learned."""
