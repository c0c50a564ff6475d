"""Correcting a conversation, step by step, and learning from the corrections."""
