"""Featurizers: they turn conversations into arrays for policies."""
