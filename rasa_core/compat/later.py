"""Errors for names of Rasa Core 0.10 to 0.14 that do not exist here; each says what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_SERVED: Final = "rasa-core serve MODEL, or rasa_core.run.serve_application(agent), has it at"
_PATH: Final = "POST /webhooks/rest/webhook"
_LOAD: Final = "Agent.load(path, interpreter=..., action_endpoint=EndpointConfig(url))"
_MODULES: Final = {
    "broker": (
        "there is no event broker. Agent(...).on_commit is called with each conversation after a change, and "
        "GET /conversations/<id>/tracker of the server has all its events"
    ),
    "channels.callback": f"the channel is left out: {_SERVED} {_PATH}, and answers there",
    "channels.socketio": f"the channel is left out: {_SERVED} {_PATH}, which a page can call (--cors)",
    "cli": "the commands are rasa_core.train, rasa_core.evaluate ..., or rasa-core --help",
    "nlg": (
        "there is no class that words responses. They stand in the domain; a server may word them, nlg: of "
        "endpoints.yml for the folder of a bot, or a Dispatcher of your own with its method utter_template"
    ),
    "test": "use rasa_core.evaluate: run_story_evaluation(stories, model)",
}
_NAMES: Final = {
    "actions.action.ActionDefaultFallback": "FallbackPolicy(fallback_action_name=...) chooses any action",
    "actions.action.ActionExecutionRejection": "an action that fails raises any exception; the turn goes on",
    "actions.action.actions_from_names": "use rasa_core.actions.factories.local_action_factory",
    "actions.action.default_actions": "use Domain.DEFAULT_ACTIONS",
    "channels.RestInput": f"{_SERVED} {_PATH}",
    "channels.channel.QueueOutputChannel": "use CollectingOutputChannel",
    "channels.channel.RestInput": f"{_SERVED} {_PATH}",
    "channels.console.CmdlineInput": "use ConsoleInputChannel",
    "channels.rest.RestInput": f"{_SERVED} {_PATH}",
    "evaluate.run_comparison_evaluation": "use rasa-core compare --help",
    "run.AvailableEndpoints": "use rasa_core.utils.read_endpoint_config(file, 'action_endpoint')",
    "run.create_http_input_channels": "give serve_application the class of a channel",
    "run.load_agent": f"use {_LOAD}",
    "run.start_server": "use serve_application(agent, port=...)",
    "tracker_store.MongoTrackerStore": (
        "MongoDB is left out: store_from_url takes sqlite:///file.db, postgresql://, mysql:// and redis://, or write a "
        "TrackerStore"
    ),
    "tracker_store.SQLTrackerStore": "use store_from_url('postgresql://...'), or SqlTrackerStore",
    "train.train": "use train_dialogue_model",
    "training.dsl.EndToEndReader": "use rasa-core evaluate, which reads what was said in stories",
    "utils.AvailableEndpoints": "use read_endpoint_config(file, 'action_endpoint')",
    "visualize.visualize": "use Agent.visualize(stories, 'graph.svg', max_history=2)",
}


def left_out(module: str) -> ImportError:
    """Return the error for a missing module, given by its name without the package."""
    return ImportError(f"rasa_core.{module} is not here: {_MODULES[module]}. See docs/migration.rst.")


def of_module(module: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, which raises an error with the replacement for names of later versions."""

    def told(name: str) -> Any:
        path = f"{module}.{name}"
        instead = _NAMES.get(path.removeprefix("rasa_core."))
        if instead is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
        raise ImportError(f"{path} is not here: {instead}. See docs/migration.rst.", name=module)

    return told
