"""A Rasa 2 or 3 project: its files, the policies in its config.yml, and the training of its bot."""
