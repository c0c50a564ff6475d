"""The examples at the end of the help of ``rasa-core nlu`` and of its commands."""

from __future__ import annotations

from typing import Final

NLU: Final = """\b
Examples:
  # Learn to understand typed text.
  rasa-core nlu train -d nlu.md -o models/nlu
\b
  # What does it make of a message?
  rasa-core nlu parse models/nlu "is there fado in Lisbon tonight?"
\b
  # How well does it do on messages that it has not learnt?
  rasa-core nlu evaluate -d nlu.md --folds 5
\b
NLU data are messages with their intents and entities: Markdown or JSON of Rasa NLU, or YAML of Rasa 3.
"""

TRAIN: Final = """\b
Examples:
  # From a file, or from all files of NLU data in a folder.
  rasa-core nlu train -d nlu.md -o models/nlu
  rasa-core nlu train -d data/nlu -o models/nlu
\b
  # Look longer at the data; start from other random numbers.
  rasa-core nlu train -d nlu.md -o models/nlu --epochs 60 --seed 7
\b
  # Show all that looks wrong in the data, not only the first of each kind.
  rasa-core nlu train -d nlu.md -o models/nlu --verbose
"""

CHECK: Final = """\b
Examples:
  # What looks wrong in a file, or in all files of NLU data in a folder?
  rasa-core nlu check -d nlu.md
  rasa-core nlu check -d data/nlu --verbose
\b
  # Which examples look like another intent to a model that was trained on the others?
  rasa-core nlu check -d nlu.md --folds 5
\b
  # In a build: exit status 1 if anything looks wrong.
  rasa-core nlu check -d nlu.md --strict
"""

EVALUATE: Final = """\b
Examples:
  # How well are messages understood that a model has not learnt, and which are not?
  rasa-core nlu evaluate -d test_nlu.md -m models/nlu
\b
  # Without test data: train five times, each time without a fifth of the messages.
  rasa-core nlu evaluate -d nlu.md --folds 5
\b
  # With pictures: what is taken for what, and how sure it is when it is right and when it is wrong.
  rasa-core nlu evaluate -d test_nlu.md -m models/nlu -o confusion.svg --histogram histogram.svg
\b
  # In a build: exit status 1 if fewer than 95 % of the intents are right, or the F1 of the entities is below 0.9.
  rasa-core nlu evaluate -d test_nlu.md -m models/nlu --fail-under 0.95 --fail-under-entities 0.9
\b
  # For programs: which confidence should FallbackPolicy ask for?
  rasa-core nlu evaluate -d test_nlu.md -m models/nlu --format json | jq .thresholds
"""

PARSE: Final = """\b
Examples:
  # One message.
  rasa-core nlu parse models/nlu "is there fado in Lisbon tonight?"
\b
  # A message from each line; the answers are one line each.
  rasa-core nlu parse models/nlu < messages.txt | jq -c '[.text, .intent.name]'
"""
