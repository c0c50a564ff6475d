"""How good models are: figures, tables, cross-validation and comparison."""
