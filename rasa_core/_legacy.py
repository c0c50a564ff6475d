"""Imports of the modules that names of 0.9 need from higher storeys: by name, at the moment they are first used.

Every other module of this package imports only from the storeys below its own. The calls that go through this module
import from above, since 0.9 has the names at these places: ``Agent.visualize`` draws,
``rasa_core.policies.OnlinePolicyEnsemble`` teaches, and ``RasaNLUInterpreter`` reads an NLU model.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "AugmentedMemoizationPolicy": "rasa_core.policies.augmented_memoization",
    "NLUModel": "rasa_core.nlu.model",
    "OnlinePolicyEnsemble": "rasa_core.policies.online_trainer",
    "create_argument_parser": "rasa_core.commands.serve",
    "create_app": "rasa_core.server",
    "default_actions": "rasa_core.actions.factories",
    "instantiate_actions": "rasa_core.actions.factories",
    "rasa_actions": "rasa_core.actions.factories",
    "teach": "rasa_core.commands.teach",
    "visualize_stories": "rasa_core.drawing.stories",
    "visualize_story_graph": "rasa_core.drawing.stories",
}
"""Maps each name to the module that defines it."""


def load(name: str) -> Any:
    """Import the module that defines `name` and return the object; raise `AttributeError` for an unknown name."""
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"nothing of old is called {name!r}; known are {', '.join(sorted(_PLACES))}.")
    return getattr(import_module(module), name)
