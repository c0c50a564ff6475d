"""What names and methods of 0.9 offer with things of higher storeys: found by name, and loaded when they are asked for.

Everything else in this package imports from the storeys below it. These few calls go up, since the old interface
has them where it has them: ``Agent.visualize`` draws, ``rasa_core.policies.OnlinePolicyEnsemble`` teaches, and
``RasaNLUInterpreter`` reads a model of typed text.
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
"""Name to the module that has it."""


def load(name: str) -> Any:
    """Return one of the names above from its module; raise `AttributeError` for any other."""
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"nothing of old is called {name!r}; known are {', '.join(sorted(_PLACES))}.")
    return getattr(import_module(module), name)
