"""Evaluation of models: figures, tables, cross-validation and comparison."""
