"""The files of a Rasa 2 or 3 project: domain, stories and rules, NLU data, and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.rasa3.domain_parts import DATA_KEYS, DOMAIN_KEYS, KNOWN_KEYS, OLD_KEYS, OldResponses, read_rasa_domain
from rasa_core.rasa3.retrieval import asked_in_parts, holds_responses, responses_in
from rasa_core.rasa_project.imports import SETTINGS as _SETTINGS
from rasa_core.rasa_project.imports import imported_files
from rasa_core.rasa_project.rasa1 import (
    has_classes,
    has_parts_of_rasa_1,
    is_run_by_server,
    names_policies_of_rasa,
    policies_in,
    unversioned,
)
from rasa_core.stories.files import holds_stories, story_files
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.yaml import YAML_SUFFIXES, ReadStories, YamlStoryReader
from rasa_core.support.folders import files_below
from rasa_core.support.problems import UNKNOWN_KEY, Note, Problem
from rasa_core.support.text_files import TextFileError, read_text
from rasa_core.support.yaml_parts import Part, YamlError, keys_in, read_yaml

_OLD_STORIES: Final = ("stories.md", "stories")
_STORIES_OF_RASA_2: Final = "data/stories.md"  # Or of 0.9.
STORY_KEYS: Final = frozenset({"stories", "rules"})
_PARTS_OF_DOMAIN: Final = frozenset({"intents", "entities", "slots", "forms", "responses", "session_config"})
NO_STORIES: Final = "the project has neither stories nor rules; they stand in YAML files in data/."
UNREAD_DOMAIN: Final = "it holds a part of a domain, and only domain.yml, domain/ and data/ are read; move it there"
_UNTOLD: Final = ("version", "imports", *sorted(DATA_KEYS))  # Keys not about the bot, or reported with the data.


@dataclass(slots=True, weakref_slot=True)
class _KeysOfFiles:
    """A cache of the top keys of each YAML file, so that each file is read once."""

    known: dict[Path, frozenset[str]] = field(default_factory=dict)

    def of(self, path: Path) -> frozenset[str]:
        if path not in self.known:
            self.known[path] = _keys_of(path)
        return self.known[path]


class RasaFiles:
    """The files of a Rasa 2 or 3 project.

    Attributes
    ----------
    names : dict of str to list of str
        Intents and entities for a domain that lists none, as that of a project with only NLU data.
    named_in : list of Path
        The files of these intents and entities.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.names: dict[str, list[str]] = {}
        self.named_in: list[Path] = []
        self._keys = _KeysOfFiles()
        self.is_of_rasa_1 = is_of_rasa_1(self.folder)

    @property
    def domain_files(self) -> list[Path]:
        """The files with parts of the domain, in their order."""
        named = (self.folder / "domain.yml", self.folder / "domain.yaml")
        found = [path for path in ([_old_domain(self.folder)] if self.is_of_rasa_1 else named) if path.is_file()]
        found += _yaml_files(self.folder / "domain")
        return [*found, *(path for path in self.data_files if self._keys.of(path) & DOMAIN_KEYS)]

    @property
    def unread_domains(self) -> list[Path]:
        """The files beside domain.yml that have a part of a domain, but are not read."""
        read = set(self.domain_files)
        found = sorted(path for path in self.folder.iterdir() if path.suffix in YAML_SUFFIXES and path.is_file())
        return [path for path in found if path not in read and self._keys.of(path) & _PARTS_OF_DOMAIN]

    def _domains_below(self) -> Iterator[Path]:
        """Yield the files one folder deeper that have a part of a domain."""
        return (path for path in sorted(self.folder.glob("*/*.y*ml")) if self._keys.of(path) & _PARTS_OF_DOMAIN)

    @property
    def data_files(self) -> list[Path]:
        """All YAML files of training data, and all of the projects that config.yml imports."""
        return list(dict.fromkeys([*_yaml_files(self.folder / "data"), *self._imported]))

    @cached_property
    def _imported(self) -> list[Path]:
        return imported_files(self.folder / _SETTINGS)

    @property
    def story_files(self) -> list[Path]:
        """The files with stories or rules; a domain file may have some, too."""
        own = [*_yaml_files(self.folder / "domain"), self.folder / "domain.yml"]
        return [path for path in dict.fromkeys([*own, *self.data_files]) if self._keys.of(path) & STORY_KEYS]

    @property
    def markdown_files(self) -> list[Path]:
        """The files with stories in Markdown, which Rasa 1 has, and Rasa 2 reads beside stories in YAML."""
        return [path for path in self._old_files() if holds_stories(path)]

    def _old_files(self) -> list[Path]:
        """Return the files in Markdown that Rasa 1 or 2 would read."""
        if not self.is_of_rasa_1 and not _is_of_rasa_2(self.folder / "domain.yml"):
            return []
        places = ["data", *(_OLD_STORIES if self.is_of_rasa_1 else ())]
        found = (self.folder / place for place in places)
        return list(_markdown_in(found))

    def _old_responses(self) -> OldResponses | None:
        """Return the responses in Markdown of a bot of Rasa 1; None for a later one."""
        if not self.is_of_rasa_1:
            return None
        with suppress(TextFileError):  # Whoever reads such a file for what is in it tells of that.
            files = [path for path in self._old_files() if holds_responses(read_text(path))]
            return {name: one for path in files for name, one in responses_in(path).items()}
        return {}

    @property
    def test_files(self) -> list[Path]:
        """The files with test stories, in ``tests/``."""
        return [path for path in _yaml_files(self.folder / "tests") if self._keys.of(path) & STORY_KEYS]

    @property
    def unread_tests(self) -> list[Path]:
        """The files with test stories in Markdown, as in Rasa 1 and 2, which are not read."""
        return [path for path in _markdown_in([self.folder / "tests"]) if holds_stories(path)]

    @property
    def nlu_files(self) -> list[Path]:
        """The files with examples of intents."""
        return [path for path in [*self.data_files, *self.domain_files] if "nlu" in self._keys.of(path)]

    def first_domain_file(self) -> Path:
        """Return the domain file for error messages; raise `ModelError` if there is none."""
        files = self.domain_files or self.named_in
        if not files:
            found = [*self.unread_domains, *self._domains_below()]
            hint = f" Name {found[0]} domain.yml, or move it into domain/." if found else ""
            raise ModelError(f"the project {str(self.folder)!r} has no domain: neither domain.yml nor domain/.{hint}")
        return files[0]

    @property
    def config_file(self) -> Path:
        """The settings of policies and pipeline."""
        return _settings_in(self.folder) if self.is_of_rasa_1 else self.folder / "config.yml"

    @cached_property
    def domain(self) -> Domain:
        """The domain, merged from all its files.

        Raises
        ------
        DomainError
            If one of the files has a mistake; the message begins with file and line.
        """
        self.first_domain_file()  # Raises if there is none.
        files, beside = list(dict.fromkeys(self.domain_files)), frozenset(_yaml_files(self.folder / "data"))
        parts = read_rasa_domain(files, self.names, self._old_responses(), beside)
        # A retrieval intent, faq of faq/hours, is an intent of the bot even if its domain does not list it.
        asked = asked_in_parts([*self.nlu_files, *self._old_files()])
        new = {("intents", name): place for name, place in asked.items() if name not in parts.intents}
        parts = replace(parts, lines={**parts.lines, **new})
        parts.content["intents"].extend(name for _, name in new)
        parts.content["e2e_actions"][:] = dict.fromkeys([*parts.texts, *_texts_said(self.story_files)])
        return Domain.from_rasa(parts)

    def read_stories(self, problems: list[Problem] | None = None) -> ReadStories:
        """Return stories and rules; mistakes are added to `problems`, or raise `StoryParseError` without it."""
        read = YamlStoryReader(self.domain, problems).read_files(self.story_files)
        if files := self.markdown_files:
            read.steps += StoryFileReader(self.domain, problems=problems).read_stories(files)
        return read

    def has_all(self, domain: Path | None, stories: Path | None) -> bool:
        """Tell whether the project already has a given domain and given stories, each a file, a folder or None.

        Raises
        ------
        ModelError
            If they are of Rasa 2 or 3, and not of this project.
        """
        known = {path.resolve() for path in (*self.domain_files, *self.data_files, *self.markdown_files)}
        given = [path for path in (domain, stories) if path is not None]
        told = [file for path in given for file in _written_in(path)]
        own = bool(told) and all(path.resolve() in known for path in told)
        if own and not self.is_of_rasa_1 and stories is not None:  # Some of them alone cannot be learnt.
            own = {path.resolve() for path in self.story_files} <= {path.resolve() for path in told}
        if own:
            return True
        if not self.is_of_rasa_1 and not any(map(holds_stories, told)):
            raise ModelError(
                f"{given[-1] if domain is None else domain}: a bot of Rasa 2 or 3 is read from domain.yml, domain/ and "
                "data/, and from all of these; leave out what is named, or move it there."
            )
        return False

    @property
    def channels(self) -> frozenset[str]:
        """Names of the channels in credentials.yml."""
        return _keys_of(self.folder / "credentials.yml")


def is_rasa(folder: Path) -> bool:
    """Tell whether a folder has the layout of Rasa 2 and 3 rather than that of 0.9."""
    if is_of_rasa_1(folder):
        return True
    # Rasa 3 has no stories in Markdown, and none there; Rasa 2 may have some in data/.
    if any((folder / name).exists() for name in _OLD_STORIES):
        return False
    if (folder / _STORIES_OF_RASA_2).exists() and not _is_of_rasa_2(folder / "domain.yml"):
        return False
    if _has_rasa_domain(folder / "domain.yml") or any(
        _keys_of(path) & DOMAIN_KEYS for path in _yaml_files(folder / "domain")
    ):
        return True
    return any(_keys_of(path) & STORY_KEYS for path in _yaml_files(folder / "data"))


def is_of_rasa_1(folder: Path) -> bool:
    """Tell whether a folder has a bot of Rasa 1, or of Rasa Core 0.10 and later.

    Its stories are in Markdown, as in 0.9; its domain has keys that 0.9 did not have, or an action server runs actions.
    """
    file = _old_domain(folder)
    content = unversioned(file)
    if content is None or not _has_markdown(folder) or has_classes(content):
        return False
    if has_parts_of_rasa_1(file) or is_run_by_server(file):
        return True
    return names_policies_of_rasa(_settings_in(folder))


def _old_domain(folder: Path) -> Path:
    """Return domain.yml, or, without it, the only file in the folder with a domain, whatever its name."""
    named = folder / "domain.yml"
    if named.is_file():
        return named
    files = sorted(path for path in folder.iterdir() if path.suffix in YAML_SUFFIXES and path.is_file())
    found = [path for path in files if {"intents", "actions"} <= _keys_of(path)]
    return found[0] if len(found) == 1 else named


def _has_markdown(folder: Path) -> bool:
    """Tell whether there are stories in Markdown where Rasa 1 looked for them."""
    places = [folder / "data", *(folder / name for name in _OLD_STORIES)]
    return any(map(holds_stories, _markdown_in(places)))


def _written_in(place: Path) -> list[Path]:
    """Return a file, or the files of a folder that may have a domain or stories."""
    return [*_yaml_files(place), *story_files(place)] if place.is_dir() else [place]


def _markdown_in(places: Iterable[Path]) -> Iterator[Path]:
    """Yield the files in Markdown among these files, and in these folders and below, as far as they exist."""
    files = (file for path in places for file in (files_below(path) if path.is_dir() else [path]))
    return (path for path in files if path.suffix.lower() == ".md" and path.is_file())


def _settings_in(folder: Path) -> Path:
    """Return config.yml, or the first other file beside it that names policies, since Rasa Core took any name."""
    beside = sorted(path for path in folder.iterdir() if path.suffix in YAML_SUFFIXES and path.name != _SETTINGS)
    found = (path for path in [folder / _SETTINGS, *beside] if policies_in(path) is not None)
    return next(found, folder / _SETTINGS)


def _yaml_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))  # Also where `walk` goes on.
        yield from (
            Path(place, name) for name in sorted(names) if name.endswith(YAML_SUFFIXES) and not name.startswith(".")
        )


def _keys_of(path: Path) -> frozenset[str]:
    """Return the top keys of a file; for invalid YAML, those of stories, so that the story reader reports it."""
    try:
        return frozenset(keys_in(path))
    except YamlError:
        return STORY_KEYS


def _texts_said(files: Iterable[Path]) -> Iterator[str]:
    """Yield the texts that stories say without an action."""
    for path in files:
        if b"bot:" not in path.read_bytes():  # Most files have none, and need not be parsed for that.
            continue
        try:
            keys = keys_in(path)
            # In the order of the file: it decides on the order of the actions, and so on the bytes of a model.
            told = [part.keys() for key, value in keys.items() if key in STORY_KEYS for part in value.entries()]
            steps = [step.keys() for one in told if "steps" in one for step in one["steps"].entries()]
        except YamlError:  # Whoever reads the stories tells of it.
            continue
        yield from (text for step in steps if "bot" in step and (text := step["bot"].written.strip()))


def _is_of_rasa_2(path: Path) -> bool:
    try:
        keys = keys_in(path)
        return "version" in keys and keys["version"].written.startswith("2")
    except YamlError:
        return False


def _has_rasa_domain(path: Path) -> bool:
    try:
        return bool({"version", "responses", "session_config", "forms"} & keys_in(path).keys())
    except YamlError:
        return False


def keys_of(files: RasaFiles) -> Iterator[Note]:
    """Yield a note for each key of the domain, and for each key of domain, data and tests that nothing reads."""
    for file in dict.fromkeys([*files.domain_files, *files.data_files, *files.test_files]):
        pairs: list[tuple[Part, int]] = []
        with suppress(YamlError):  # Whoever reads it for what is in it tells of that.
            told = () if (root := read_yaml(file)) is None else root.pairs()
            pairs = [(key, len(value.entries()) or sum(1 for _ in value.pairs())) for key, value in told]
        for key, count in pairs:
            name = key.written
            if name in OLD_KEYS and count:
                yield Note(key.place, name, "replaced", f"read as {OLD_KEYS[name]}:, {count} of them")
            elif name in KNOWN_KEYS and name not in _UNTOLD and count:
                yield Note(key.place, name, "same", f"the same, {count} of them" if name != "config" else "the same")
            elif name not in (*KNOWN_KEYS, *OLD_KEYS, *DATA_KEYS):
                hint = did_you_mean(name, [*KNOWN_KEYS, *DATA_KEYS])
                if name.startswith("utter_"):
                    hint = " Indent it below responses:, to be said"
                yield Note(key.place, name, "left out", f"{UNKNOWN_KEY}.{hint}".rstrip("."))
