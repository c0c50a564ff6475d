"""Support modules that every other part of the package uses, and that know nothing of dialogues."""
