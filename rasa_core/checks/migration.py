"""Notes for ``rasa-core migrate``: which parts of a project of Rasa 2 or 3 carry over, are replaced or left out.

The notes about policies, components, servers and stories come from the code that training and serving use too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rasa_core.checks import placed
from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, RasaCoreError, counted
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.training_data import NLUDataError
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.rules import UNFOLLOWED, follows_rules
from rasa_core.rasa3.domain_parts import RASA_DEFAULT_ACTIONS
from rasa_core.rasa3.endpoints import Endpoints, read_endpoints
from rasa_core.rasa_project.config import RasaConfig, read_rasa_config
from rasa_core.rasa_project.files import UNREAD_DOMAIN, RasaFiles, keys_of
from rasa_core.stories.builder import LOST
from rasa_core.support.places import Place
from rasa_core.support.problems import Fate, Note, Problem
from rasa_core.support.yaml_parts import YamlError, read_yaml

EXIT_CODES: Final[dict[Fate, int]] = {"same": 0, "replaced": 1, "left out": 2}

_SDK: Final = re.compile(r"^(?:from|import) rasa_sdk\b", re.MULTILINE)
_MODELS: Final = "models/*.tar.gz"


def carried_over(files: RasaFiles, nlu_files: Sequence[Path] = ()) -> list[Note]:
    """Return a note about each part of a project, in the order of files and lines; wrong files raise no error.

    The `nlu_files` are additional NLU data that are not in YAML of Rasa 2 or 3, which training reads too.
    """
    found: list[Note] = []
    config, endpoints = _config_and_servers(files, found)
    domain: Domain | None = None
    try:  # An error in one file must not hide the notes about other files.
        found += keys_of(files)
        domain = files.domain
        told = () if domain.rasa is None else domain.rasa.passed_over
        found += (_passed_over(line, files) for line in told)
    except RasaCoreError as error:
        found += _of_error("domain", str(error), files)
    left = f"left out: {UNREAD_DOMAIN}"
    found += [Note(Place(str(path), 1), "domain", "left out", left) for path in files.unread_domains]
    found += [
        *_nlu(files, nlu_files),
        *_stories(files, domain, config),
        *_tests(files),
        *_code(files, domain, endpoints),
    ]
    return sorted(found, key=lambda note: note.place.order)


def exit_code(notes: Iterable[Note]) -> int:
    """Return the exit code: 0 if everything is the same, 1 if something is replaced, 2 if something is left out."""
    return max((EXIT_CODES[note.fate] for note in notes), default=0)


def _of_error(what: str, text: str, files: RasaFiles) -> Iterator[Note]:
    """Yield a note for each line of an error, at the place with which it begins."""
    for line in text.splitlines():
        place, message = placed(line, str(files.folder))
        if place.line is not None and what.endswith(".yml"):
            what = Path(str(place.file)).name  # The code that reads one of these files reads the others beside it.
        yield Note(place, what, "left out", f"has to be changed first: {message.rstrip('.')}")


def _passed_over(line: str, files: RasaFiles) -> Note:
    place, message = placed(line, str(files.folder))
    return Note(place, "domain", "same", f"as in Rasa: {message.rstrip('.')}")


def _config_and_servers(files: RasaFiles, found: list[Note]) -> tuple[RasaConfig | None, Endpoints | None]:
    config: RasaConfig | None = None
    try:
        # `ignores_own`: what is one's own becomes a note among the others, in the place of an error.
        config = read_rasa_config(files.config_file, lambda max_history: KerasPolicy(), ignores_own=True)
        found += [*config.notes, *config.pipeline.notes]
    except ModelError as error:
        found += _of_error("config.yml", str(error), files)
    try:
        endpoints = read_endpoints(files.folder)
    except ModelError as error:
        found += _of_error("endpoints.yml", str(error), files)
        return config, None
    found += endpoints.notes
    return config, endpoints


def _nlu(files: RasaFiles, others: Sequence[Path]) -> Iterator[Note]:
    for file in dict.fromkeys([*files.nlu_files, *others]):
        try:
            data = read_training_data(file)
        except NLUDataError as error:
            yield from _of_error("nlu", str(error), files)
            continue
        place = _key_place(file, "nlu")
        what = f"{counted(len(data.examples), 'message')} of {counted(len(data.intents), 'intent')}"
        yield Note(place, "nlu", "same", f"the same, {what}")
        for problem in data.problems:
            yield Note(problem.place or place, "nlu", "replaced", problem.problem.rstrip("."))


def _stories(files: RasaFiles, domain: Domain | None, config: RasaConfig | None) -> Iterator[Note]:
    """Yield the number of stories and rules in each file, and the notes of training about them."""
    if domain is None:
        return
    problems: list[Problem] = []
    read = files.read_stories(problems)
    firsts = [steps[0].source for steps in read.steps if steps]
    counts = Counter((str(place.file), "stories") for place in firsts if place is not None)
    counts += Counter((str(rule.place.file), "rules") for rule in read.rules)
    for (file, what), count in counts.items():
        note = Note(_key_place(Path(file), what), what, "same", f"the same, {count} of them")
        is_lost = what == "rules" and config is not None and not follows_rules(config.policies)
        yield replace(note, fate="left out", message=f"left out: {UNFOLLOWED}") if is_lost else note
    for problem in problems:
        is_lost = problem.severity == "error" or problem.kind == LOST
        what = "rule or story" if problem.place.name is None else f'"{problem.place.name}"'
        place = Place(problem.place.file, problem.place.line)
        yield Note(place, what, "left out" if is_lost else "replaced", problem.message.rstrip("."))


def _key_place(file: Path, key: str) -> Place:
    try:
        root = read_yaml(file)
        places = [name.place for name, _ in root.pairs() if name.written == key] if root is not None else []
    except YamlError:
        places = []
    return places[0] if places else Place(str(file), 1)


def _tests(files: RasaFiles) -> Iterator[Note]:
    for file in files.test_files:
        try:
            read_yaml(file)
        except YamlError as error:
            yield from _of_error("test stories", str(error), files)
            continue
        yield Note(Place(str(file), 1), "test stories", "same", "the same, with rasa-core evaluate PROJECT")


def _code(files: RasaFiles, domain: Domain | None, endpoints: Endpoints | None) -> Iterator[Note]:
    """Yield notes about code and models."""
    code = [*sorted(files.folder.glob("*.py")), *sorted(files.folder.glob("actions/**/*.py"))]
    for file in filter(Path.is_file, code):
        found = _SDK.search(text := file.read_text(encoding="utf-8", errors="replace"))
        if found:
            line = text.count("\n", 0, found.start()) + 1
            yield Note(Place(str(file), line), "actions", "same", "the same; start it with rasa-sdk, as before")
    for file in sorted(files.folder.glob(_MODELS)):
        yield Note(Place(str(file)), "model", "replaced", "not read; a new one is trained from these files")
    # With an action server, it runs them all; whether it does, only it knows.
    if domain is None or domain.rasa is None or endpoints is None or endpoints.actions is not None:
        return
    for name in domain.rasa.content["actions"]:
        named = name if isinstance(name, str) else str(next(iter(name)))
        if not named.startswith("utter_") and named not in RASA_DEFAULT_ACTIONS and named not in domain.rasa.forms:
            place = domain.rasa.lines.get(("actions", named)) or Place(str(files.first_domain_file()))
            if domain.action_factory == "remote":
                yield Note(place, f"action {named}", "same", "your own code runs it, over parse and continue")
            else:
                text = "needs a server that runs it: name one as action_endpoint: in endpoints.yml"
                yield Note(place, f"action {named}", "replaced", text)
