"""Mistakes in a domain, its stories and its NLU data, found without training."""
