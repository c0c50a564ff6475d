"""Interactive training: correct a conversation step by step, and let the policies learn the corrections."""
