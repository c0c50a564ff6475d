"""A Rasa 2 or 3 project: which files it has, what its config.yml asks for, and how its bot is trained."""
