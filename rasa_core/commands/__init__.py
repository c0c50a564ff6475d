"""The commands: ``rasa-core``, and what ``python -m rasa_core.train`` and others run."""
