"""The built-in interpreter: training data, the model of intents and entities, and how good it is."""
