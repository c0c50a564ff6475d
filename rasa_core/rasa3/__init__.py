"""What conversations of Rasa 2 and 3 have that those of 0.9 have not: loops, rules, slot mappings, sessions."""
