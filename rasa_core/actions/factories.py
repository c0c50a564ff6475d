"""Makes the actions of a domain from their names: for this process (`local`), or for the caller's code (`remote`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import cast

from rasa_core.actions.action import Action, ActionListen, ActionRestart, UtterAction
from rasa_core.actions.action import RemoteAction as RemoteAction
from rasa_core.domain.file import check_action_names
from rasa_core.domain.file import conventional_name as conventional_name
from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.slots import class_from_path

ActionFactory = Callable[[Sequence[str], Sequence[str] | None, Collection[str]], list[Action]]


def local_action_factory(
    action_classes: Sequence[str], action_names: Sequence[str] | None, utter_templates: Collection[str]
) -> list[Action]:
    """Return an action for each template name or dotted class path in `action_classes`."""
    return [_local_action(name, utter_templates) for name in action_classes]


def _local_action(name: str, utter_templates: Collection[str]) -> Action:
    if name in utter_templates:  # First, as in 0.9: a template may have a dot in its name.
        return UtterAction(name)
    if "." in name:
        try:
            return _action_class(name)()
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


def _action_class(path: str) -> type[Action]:
    """Return the class at a dotted path; as in 0.9, it needs only a ``name`` and a ``run``."""
    found = class_from_path(path, object)
    if all(callable(getattr(found, method, None)) for method in ("name", "run")):
        return cast("type[Action]", found)
    return class_from_path(path, Action)  # Raises an error that says what is wrong.


def remote_action_factory(
    action_classes: Sequence[str], action_names: Sequence[str] | None, utter_templates: Collection[str]
) -> list[Action]:
    """Return a `RemoteAction` for each name, or an `UtterAction` if it has a template.

    The names are `action_names` if they are given, otherwise `action_classes`; the dotted path of a class then
    stands for the conventional name of the class (``bot.ActionSearch`` for ``action_search``).
    """
    names = list(action_names) if action_names else [conventional_name(name) for name in action_classes]
    return [UtterAction(name) if name in utter_templates else RemoteAction(name) for name in names]


_FACTORIES: dict[str, ActionFactory] = {"local": local_action_factory, "remote": remote_action_factory}


def action_factory_by_name(name: str | None) -> ActionFactory:
    """Return the factory called `name`; None is ``local``."""
    factory = _FACTORIES.get(name or "local")
    if factory is None:
        hint = did_you_mean(str(name), _FACTORIES)
        raise DomainError(f"unknown action_factory {name!r}.{hint} Known: {', '.join(_FACTORIES)}.")
    return factory


def instantiate_actions(
    factory_name: str | None,
    action_classes: Sequence[str],
    action_names: Sequence[str] | None,
    templates: Collection[str],
) -> list[Action]:
    """Return the actions of a domain, without the built-in ones, from the factory called `factory_name`."""
    actions = action_factory_by_name(factory_name)(action_classes, action_names, templates)
    ensure_action_name_uniqueness(actions)
    return actions


def ensure_action_name_uniqueness(actions: Iterable[Action]) -> None:
    """Raise `DomainError` if two actions have one name, or one that is not built in has the name of one that is."""
    names = [action.name() for action in actions]
    built_in = [action.name() for action in default_actions()]
    # `Domain.actions` begins with the built-in actions, and may be passed unchanged.
    check_action_names(names[len(built_in) :] if names[: len(built_in)] == built_in else names)


def default_actions() -> list[Action]:
    """Return the actions that every bot has, in their order."""
    return [ActionListen(), ActionRestart()]


def rasa_actions(names: Sequence[str]) -> list[Action]:
    """Return the actions of a Rasa 3 domain as objects; `RasaRunner`, which runs them, needs none."""
    return [RemoteAction(name) for name in names]
