"""Mixtures: initial clusters, and operations on one part per value of a category."""
