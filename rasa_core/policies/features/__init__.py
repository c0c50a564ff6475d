"""What policies see of a conversation, as arrays."""
