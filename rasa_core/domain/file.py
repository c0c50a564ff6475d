"""domain.yml as checked plain data: each error says the file, the line and the remedy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from rasa_core import _legacy
from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME
from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.support.places import Place
from rasa_core.support.plain_yaml import TEXT_TYPES, Loader, PlainData, check_depth, check_tags, place_of, written
from rasa_core.support.plain_yaml import write_yaml as write_yaml
from rasa_core.support.problems import Problem, listed, log_warnings
from rasa_core.support.yaml_limits import error_place, explained, found_in, is_null, line_of, merged_pairs, number_in

logger = logging.getLogger(__name__)

KNOWN_KEYS = (
    *("intents", "entities", "slots", "templates", "responses"),
    *("actions", "action_names", "action_factory", "config", "topics"),
)
DEFAULT_ACTION_NAMES = (ACTION_LISTEN_NAME, ACTION_RESTART_NAME)
"""The actions of every bot; they are always the first two."""
ACTION_FACTORIES = ("local", "remote")
CONFIG_KEYS = ("store_entities_as_slots", "restart_intent")

_SPOKEN_KEYS = ("text", "title", "payload")

Template = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DomainFile:
    """The content of a domain file, after the checks that need no slots or actions to be built.

    `lines` has the line of each slot, action, template and factory, such as 12 for ``("slots", "cuisine")``.
    """

    intents: list[str] = field(default_factory=list)
    intents_without_entities: list[str] = field(default_factory=list)
    entities: list[str] = field(default_factory=list)
    slots: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, list[Template]] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    action_names: list[str] | None = None
    action_factory: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    topics: list[Any] = field(default_factory=list)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)


def conventional_name(class_path: str) -> str:
    """Return ``action_search`` for ``bot.ActionSearch``; other names are returned as they are."""
    module, _, class_name = class_path.rpartition(".")
    if not module or not class_name[:1].isupper():
        return class_path
    # The last of several capitals begins a word: `ActionHTTPSearch` becomes action_http_search.
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def checked_factory(name: str | None) -> str:
    """Return the name of an action factory, ``local`` for None; raise `DomainError` if there is none of that name."""
    if name is not None and name not in ACTION_FACTORIES:
        known = ", ".join(ACTION_FACTORIES)
        problem = f"unknown action_factory {name!r:.80}.{did_you_mean(str(name), ACTION_FACTORIES)} Known: {known}."
        raise DomainError(problem, ("action_factory", str(name)))
    return name or "local"


def names_of_actions(
    factory: str, action_classes: Sequence[str], given: Sequence[str] | None, templates: Collection[str]
) -> list[str]:
    """Return the names of a domain's own actions, in their order; with the local factory, classes return their names.

    Raises
    ------
    DomainError
        If a class cannot be loaded, or a name stands twice or is that of a built-in action.
    """
    check_action_names([name for name in action_classes if name in DEFAULT_ACTION_NAMES])
    if factory == "remote":
        names = list(given) if given else [conventional_name(name) for name in action_classes]
    # Nothing but templates: no class has to be loaded, and `actions` need not be imported.
    elif all(name in templates for name in action_classes):
        names = list(action_classes)
    else:
        actions = _legacy.load("instantiate_actions")(factory, action_classes, given, templates)
        names = [action.name() for action in actions]
    check_action_names(names)
    return names


def all_errors(
    content: DomainFile,
    name: str,
    first: DomainError,
    factory: str | None,
    collect_slots: Callable[[dict[str, dict[str, Any]]], object],
) -> DomainError:
    """Return one error for all slots and actions that cannot be built, including `first`, each with its line."""
    # By their text, since one cause may stop several entries.
    found: dict[str, tuple[str, str] | None] = {}
    for slot, options in content.slots.items():
        with _gathered(found):
            collect_slots({slot: options})
    if (factory or content.action_factory or "local") == "local":
        for action in content.actions:
            with _gathered(found):
                names_of_actions("local", [action], None, content.templates)
    found.setdefault(str(first), first.item)
    lines = {text: content.lines.get(item) if item else None for text, item in found.items()}
    told = [f"{Place(name, line)}: {text}" for text, line in sorted(lines.items(), key=lambda one: one[1] or 0)]
    return DomainError(listed(told), first.item)


@contextmanager
def _gathered(found: dict[str, tuple[str, str] | None]) -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        found[str(error)] = error.item


def check_action_names(names: Iterable[str]) -> None:
    """Raise `DomainError` if two actions have one name, or one has the name of a built-in action."""
    seen = set()
    for name in names:
        if name in DEFAULT_ACTION_NAMES:
            problem = f"every bot has the action {name!r}; remove it from the domain, or give it another name."
            raise DomainError(problem, ("actions", name))
        if name in seen:
            raise DomainError(f"the action {name!r} stands twice in the domain; remove one.", ("actions", name))
        seen.add(name)


def read_domain(text: str, name: str = "domain", problems: list[Problem] | None = None) -> DomainFile:
    """Read the text of a domain file.

    Parameters
    ----------
    text
        YAML. Only plain data is read: a tag such as ``!!python/object`` is an error.
    name
        The name of the text in errors, such as its path.
    problems
        A list for mistakes in entries, which are left out then. Without it, mistakes raise; harmless ones are logged.

    Raises
    ------
    DomainError
        If the text is not YAML, or not a domain; or if an entry of it is wrong, with all such entries.
    """
    try:
        # Before nodes are made: deep nesting or nested aliases could exhaust the memory.
        text = check_depth(text, name)
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        at = error_place(error, text)
        place = f"{name}:{at[0]}:{at[1]}" if at else name
        raise DomainError(f"{place}: not valid YAML: {explained(error, text)}") from error
    if root is None:
        raise DomainError(f"{name}: the file is empty. A domain has at least intents: and actions:.")
    check_tags(root, name)
    if not isinstance(root, yaml.MappingNode):
        raise DomainError(f"{place_of(name, root)}: a domain has keys such as intents:, and is not {found_in(root)}.")
    found: list[Problem] = []
    content = _Reader(name, found).domain(root)
    found.sort(key=lambda problem: problem.place.order)
    if problems is not None:
        problems += found
        return content
    if errors := log_warnings(found, logger):
        raise DomainError(listed(errors))
    return content


class _Spoken(PlainData):
    """Reads templates, whose texts are kept as written, also ``Yes`` and ``1.50``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        for key, value in node.value:
            if key.value in _SPOKEN_KEYS and isinstance(value, yaml.ScalarNode) and not is_null(value):
                content[key.value] = value.value
        return content


class _SlotOptions(PlainData):
    """Reads options of a slot: ``values:``, and the initial value of a slot with texts, are texts as written."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        content: dict[Any, Any] = super().construct_mapping(node, deep=True)
        nodes = {key.value: value for key, value in node.value}  # Merged keys come first, so that own keys win.
        values, initial = nodes.get("values"), nodes.get("initial_value")
        if isinstance(values, yaml.SequenceNode):
            items = zip(content["values"], values.value, strict=True)
            content["values"] = [written(part, item) for item, part in items]
        content |= {key: number_in(content[key]) for key in ("min_value", "max_value") if key in content}
        if initial is not None and content.get("type") in TEXT_TYPES and not is_null(initial):
            content["initial_value"] = written(initial, content["initial_value"])
        return content


def _has_title(button: object) -> bool:
    return isinstance(button, dict) and isinstance(button.get("title"), str)


class _Reader:
    """Turns the nodes of one YAML document into plain data; a wrong entry is reported and left out."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.name = name
        self.problems = problems
        self.lines: dict[tuple[str, str], int] = {}

    def tell(self, node: yaml.Node, problem: str) -> None:
        self.problems.append(Problem("error", problem, place_of(self.name, node)))

    def domain(self, root: yaml.Node) -> DomainFile:
        entries = self.entries(root, "a domain")
        for key in (key for key, _ in entries if key.value not in KNOWN_KEYS):
            # A warning, not an error: files that people bring along have keys that mean nothing here.
            near = did_you_mean(key.value, KNOWN_KEYS) if len(entries) < 1000 else ""  # To compare many takes seconds.
            text = f"unknown key {key.value!r} is ignored.{near}"
            self.problems.append(Problem("warning", text, Place(self.name, line_of(key))))
        nodes = {key.value: value for key, value in entries}
        intents, without_entities = self.intents(nodes.get("intents"))
        if (factory := nodes.get("action_factory")) is not None:
            self.lines["action_factory", str(factory.value)] = line_of(factory)
        return DomainFile(
            intents=intents,
            intents_without_entities=without_entities,
            entities=self.names(nodes.get("entities"), "entities"),
            slots=self.slots(nodes.get("slots")),
            # `responses:` is Rasa's later word for templates, and a file may have both.
            templates=self.templates(nodes.get("templates")) | self.templates(nodes.get("responses")),
            actions=self.names(nodes.get("actions"), "actions"),
            action_names=self.names(nodes.get("action_names"), "action_names") or None,
            action_factory=None if factory is None else self.scalar(factory, "action_factory"),
            config=self.config(nodes.get("config")),
            topics=self.value(nodes.get("topics")) or [],
            lines=self.lines,
        )

    def value(self, node: yaml.Node | None, constructor: type[PlainData] = PlainData) -> Any:
        """Return the plain data below `node`."""
        if node is None:
            return None
        try:
            return constructor().construct_document(node)
        except (yaml.constructor.ConstructorError, ValueError) as error:
            self.tell(node, f"cannot read this value: {getattr(error, 'problem', error)}.")
            return None

    def entries(
        self, node: yaml.Node | None, what: str, *, last_counts: bool = False
    ) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Return the keys and values of a mapping, none for null; `last_counts` allows a key twice."""
        if node is None or is_null(node):
            return []
        if not isinstance(node, yaml.MappingNode):
            self.tell(node, f"{what} is a mapping of keys to values, not {found_in(node)}.")
            return []
        found: dict[str, tuple[yaml.ScalarNode, yaml.Node]] = {}
        for key, value in merged_pairs(node, self.tell):
            if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
                self.tell(key, f"a key of {what} is a plain name.")
                continue
            if key.value in found:
                problem = f"the key {key.value!r} stands twice; the first is on line {line_of(found[key.value][0])}"
                if not last_counts:
                    self.tell(key, f"{problem}.")
                    continue
                problem += ", and is passed over. Remove one."
                self.problems.append(Problem("warning", problem, place_of(self.name, key)))
            found[key.value] = key, value
        return list(found.values())

    def sequence(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if node is None or is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.tell(node, f"{what}: is a list, one name a line, each after a dash, not {found_in(node)}.")
            return []
        return list(node.value)

    def scalar(self, node: yaml.Node, what: str) -> str | None:
        """Return a name as it is written: ``no`` stays ``no``, though YAML would read it as false."""
        if not isinstance(node, yaml.ScalarNode) or is_null(node) or not node.value.strip():
            self.tell(node, f"an entry of {what}: is a name, not {found_in(node)}.")
            return None
        return str(node.value)

    def names(self, node: yaml.Node | None, what: str) -> list[str]:
        return [name for name, _ in self.named_entries(node, what)]

    def named_entries(self, node: yaml.Node | None, what: str) -> Iterator[tuple[str, yaml.Node]]:
        found = set()
        for entry in self.sequence(node, what):
            name = self.scalar(self.key_of(entry), what)
            if name is None:
                continue
            first = self.lines.setdefault((what, name), line_of(entry))
            if name in found:
                self.tell(entry, f"{name!r} stands twice in {what}:; the first is on line {first}.")
            else:
                found.add(name)
                yield name, entry

    @staticmethod
    def key_of(entry: yaml.Node) -> yaml.Node:
        """Return the node of the name in ``- name`` or ``- name: {...}``."""
        if isinstance(entry, yaml.MappingNode) and len(entry.value) == 1:
            key: yaml.Node = entry.value[0][0]
            return key
        return entry

    def intents(self, node: yaml.Node | None) -> tuple[list[str], list[str]]:
        names, without_entities = [], []
        for name, entry in self.named_entries(node, "intents"):
            names.append(name)
            if isinstance(entry, yaml.MappingNode):
                options = {} if is_null(entry.value[0][1]) else self.value(entry.value[0][1])
                if not isinstance(options, dict):
                    self.tell(entry, f"options of the intent {name!r} are like {{use_entities: false}}.")
                    continue
                if action := options.get("triggers"):
                    text = (
                        f"the intent {name!r} triggers nothing here; write a story, * {name} and - {action} below it."
                    )
                    self.problems.append(Problem("warning", text, place_of(self.name, entry)))
                if options.get("use_entities") in (False, []):
                    without_entities.append(name)
        return names, without_entities

    def slots(self, node: yaml.Node | None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for key, entry in self.entries(node, "slots", last_counts=True):
            before = len(self.problems)
            self.entries(entry, f"the slot {key.value!r}")
            options = self.value(entry, _SlotOptions) or {}
            if len(self.problems) == before and not isinstance(options.get("type"), str):
                types = "text (or bool, float, list, categorical, unfeaturized)"
                self.tell(key, f"the slot {key.value!r} needs a type, such as type: {types}.")
            # A mistake in a slot is reported once, not again at each use of its name.
            found[key.value] = options if len(self.problems) == before else {"type": "unfeaturized"}
            self.lines["slots", key.value] = line_of(key)
        return found

    def templates(self, node: yaml.Node | None) -> dict[str, list[Template]]:
        found = {}
        for key, entry in self.entries(node, "templates", last_counts=True):
            variants = entry.value if isinstance(entry, yaml.SequenceNode) else [entry]
            found[key.value] = [self.template(key.value, variant) for variant in variants]
            self.lines["templates", key.value] = line_of(key)
            if not variants:
                self.tell(key, f"the template {key.value!r} has no text.")
        return found

    def template(self, name: str, node: yaml.Node) -> Template:
        if isinstance(node, yaml.ScalarNode) and not is_null(node):
            return {"text": node.value}
        before = len(self.problems)
        content = self.value(node, _Spoken)
        if len(self.problems) > before:
            return {}
        if not isinstance(content, dict) or not isinstance(content.get("text", ""), str):
            shape = "a text, or a mapping with text: (in quotes if it begins with a bracket) and perhaps buttons: ..."
            self.tell(node, f"the template {name!r} is {shape}.")
            return {}
        if "text" not in content and not {"elements", "image", "attachment", "custom"} & set(content):
            self.tell(node, f"the template {name!r} has no text:.")
        buttons = content.get("buttons") or []
        if not isinstance(buttons, list) or not all(map(_has_title, buttons)):
            self.tell(node, f"buttons: of the template {name!r} are like [{{title: Yes, payload: /affirm}}].")
        elements = content.get("elements") or []
        if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
            self.tell(node, f"elements: of the template {name!r} are like [{{title: A card, buttons: []}}].")
        return content

    def config(self, node: yaml.Node | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, entry in self.entries(node, "config"):
            if key.value not in CONFIG_KEYS:
                hint = did_you_mean(key.value, CONFIG_KEYS)
                self.tell(key, f"config has no key {key.value!r}.{hint} Known: {', '.join(CONFIG_KEYS)}.")
            elif key.value == "restart_intent":
                found[key.value] = "restart" if is_null(entry) else self.scalar(entry, key.value) or "restart"
            elif isinstance(value := self.value(entry), bool):
                found[key.value] = value
            else:
                self.tell(entry, f"{key.value} is true or false.")
        return found
