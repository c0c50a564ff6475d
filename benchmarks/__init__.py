"""Benchmarks, to be run by hand: each module is one command that prints one table."""
