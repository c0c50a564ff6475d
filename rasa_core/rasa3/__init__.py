"""Parts of a bot of Rasa 2 or 3 that a bot of 0.9 does not have: loops, rules, slot mappings, sessions."""
