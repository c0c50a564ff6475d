"""From the action names of a domain to actions: run here (`local`), or in the caller's code (`remote`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rasa_core.actions.action import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, Action, UtterAction
from rasa_core.events import Event
from rasa_core.exceptions import DomainError, RemoteActionError, did_you_mean
from rasa_core.slots import class_from_path

if TYPE_CHECKING:
    from rasa_core.dispatcher import Dispatcher
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

ActionFactory = Callable[[Sequence[str], Sequence[str] | None, Collection[str]], list[Action]]


class RemoteAction(Action):
    """An action that lives in the caller's code: the bot says when to run it, the caller runs it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:  # noqa: D102
        return self._name

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        """Raise `RemoteActionError`: there is nothing here to run."""
        raise RemoteActionError(
            f"the action {self._name!r} lives in your own code and cannot run here: "
            "send the message with parse, run the action, and report it with continue."
        )


def local_action_factory(
    action_classes: Sequence[str], action_names: Sequence[str] | None, utter_templates: Collection[str]
) -> list[Action]:
    """Return an action for each template name or dotted class path in `action_classes`."""
    return [_local_action(name, utter_templates) for name in action_classes]


def _local_action(name: str, utter_templates: Collection[str]) -> Action:
    if name in utter_templates:
        return UtterAction(name)
    if "." in name:
        try:
            found: type[Action] = class_from_path(name, Action)
            return found()
        except (DomainError, TypeError) as error:
            raise DomainError(
                f"action {name!r}: {error} If it runs in code of your own, write action_factory: remote.",
                ("actions", name),
            ) from error
    raise DomainError(
        f"action {name!r} is neither a template nor the dotted path of an Action class."
        f"{did_you_mean(name, utter_templates)} Add a template of that name, or write action_factory: remote "
        "if it runs in code of your own.",
        ("actions", name),
    )


def remote_action_factory(
    action_classes: Sequence[str], action_names: Sequence[str] | None, utter_templates: Collection[str]
) -> list[Action]:
    """Return a `RemoteAction` for each name, except that an action with a template says it here.

    `action_names`, where given, are the names; otherwise `action_classes` are, and the dotted path of a class
    stands for the name that such a class has by convention (``bot.ActionSearch`` for ``action_search``).
    """
    names = list(action_names) if action_names else [conventional_name(name) for name in action_classes]
    return [UtterAction(name) if name in utter_templates else RemoteAction(name) for name in names]


def conventional_name(class_path: str) -> str:
    """Return ``action_search`` for ``bot.ActionSearch``; other names are returned as they are."""
    module, _, class_name = class_path.rpartition(".")
    if not module or not class_name[:1].isupper():
        return class_path
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


_FACTORIES: dict[str, ActionFactory] = {"local": local_action_factory, "remote": remote_action_factory}


def action_factory_by_name(name: str | None) -> ActionFactory:
    """Return the factory called `name`; None is ``local``."""
    factory = _FACTORIES.get(name or "local")
    if factory is None:
        raise DomainError(
            f"unknown action_factory {name!r}.{did_you_mean(str(name), _FACTORIES)} Known: local, remote."
        )
    return factory


def ensure_action_name_uniqueness(actions: Iterable[Action]) -> None:
    """Raise `DomainError` if two actions have one name, or one has the name of a built-in action."""
    seen = set()
    for action in actions:
        name = action.name()
        if name in (ACTION_LISTEN_NAME, ACTION_RESTART_NAME):
            problem = f"every bot has the action {name!r}; remove it from the domain's actions."
            raise DomainError(problem, ("actions", name))
        if name in seen:
            raise DomainError(f"the action {name!r} stands twice in the domain; remove one.", ("actions", name))
        seen.add(name)
