"""Finds the domain, the stories and the NLU data of a bot of 0.9 in a folder, by the names or contents of files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.nlu.reading import holds_nlu_data, list_data_files
from rasa_core.nlu.training_data import TrainingData
from rasa_core.stories.files import NO_YAML, holds_stories, holds_yaml_stories, story_files
from rasa_core.support.folders import files_below
from rasa_core.support.places import Place
from rasa_core.support.text_files import TextFileError, read_text
from rasa_core.support.yaml_parts import YamlError, yaml_part

STORIES: Final = ("stories.md", "stories", "data/stories.md", "data/stories")
NLU_FOLDERS: Final = ("data", "nlu")
DOMAINS: Final = ("domain.yml", "domain.yaml")
_NO_PARTS: Final = (
    *("models", "tests", "test", "venv", "env", "node_modules", "site-packages", "__pycache__", "build", "dist"),
    *("docs", "doc", "logs", "results"),
)
_MODEL_FILES: Final = ("metadata.json", "policy_metadata.json")
_FOR_TESTS: Final = re.compile(r"(failed|tests?|debug|e2e)[_.-]|(.*[_-])?(tests?|e2e)$", re.IGNORECASE)
"""Names of files with test stories and failed stories, which are not for training."""
_DOMAIN_KEY: Final = re.compile(r"^(intents|entities|slots|actions|templates|responses)[ \t]*:", re.MULTILINE)

_NLU_HEADINGS: Final = ("intent", "synonym", "regex", "lookup")
_HEADING_OF_EXAMPLES: Final = re.compile(
    r"^[ \t]*(?P<written>#+[ \t]*(?P<kind>\w+)[ \t]*:.*)\n+[ \t]*[-*+] ", re.MULTILINE
)
_DOMAIN_WORD: Final = re.compile(r"\b(intents|actions)\b")


def find_domain(folder: Path) -> Path:
    """Return the domain of a project; raise `ModelError` if there is none, or more than one."""
    found = _domains_in(folder)
    if len(found) == 1:
        return found[0]
    if not found:
        looked = f"looked for {folder / DOMAINS[0]}, and for a YAML file with intents: and actions:"
        raise ModelError(f"the project {str(folder)!r} has no domain; {looked}.")
    files = ", ".join(map(str, found))
    raise ModelError(f"the project {str(folder)!r} has several domains: {files}. Name one with -d.")


def _domains_in(folder: Path) -> list[Path]:
    named = [folder / name for name in DOMAINS if (folder / name).is_file()]
    return named[:1] or [path for path in _own_files(folder) if _holds_domain(path)]


def find_stories(folder: Path) -> Path | list[Path]:
    """Return the file, the folder or the files with the stories of a project; raise `ModelError` if there are none."""
    found = _stories_in(folder)
    if found:
        return found
    yaml = [path for path in _own_files(folder) if holds_yaml_stories(path)]  # Stories of an incomplete bot of Rasa 3.
    looked = ", ".join(str(folder / name) for name in STORIES)
    problem = f"the project {str(folder)!r} has no stories; looked for {looked}, and for files that hold some."
    raise ModelError(f"{problem} {', '.join(map(str, yaml))}: {NO_YAML}." if yaml else problem)


def _stories_in(folder: Path) -> Path | list[Path]:
    named = [folder / name for name in STORIES if (folder / name).exists()]
    if filled := [path for path in named if _has_content(path)]:
        return filled[0]
    found = [path for path in _own_files(folder) if not _FOR_TESTS.match(path.stem) and holds_stories(path)]
    return named[0] if named and not found else found


def _has_content(path: Path) -> bool:
    """Tell whether a file or folder is not empty, since editors and git leave empty ones."""
    try:
        return bool(files_below(path)) if path.is_dir() else bool(path.read_bytes().strip())
    except OSError:
        return True  # So that the file is read, and its mistakes are reported.


def told_unread(stories: Path | list[Path]) -> str:
    """Return the text about a story file that is not read, because the stories of the project are elsewhere."""
    places = ", ".join(map(str, stories if isinstance(stories, list) else [stories]))
    return f"it holds stories too, and is not read, since the project has {places}; name what to read with -s."


def unread_stories(folder: Path, stories: Path | list[Path]) -> list[Path]:
    """Return the files of a project with stories that are not among `stories`."""
    read = {path.resolve() for path in story_files(stories)}
    found = (path for path in _own_files(folder) if not _FOR_TESTS.match(path.stem) and holds_stories(path))
    return [path for path in found if path.resolve() not in read]


def misspelled_headings(folder: Path) -> Iterator[tuple[Place, str]]:
    """Yield place and mistake of each Markdown file that is not read, since its headings are almost those of NLU data.

    Such a file would otherwise be passed over without a word, as any text of another kind is.
    """
    for path in _own_files(folder):
        if path.suffix.lower() not in (".md", ".markdown") or holds_nlu_data(path) or holds_stories(path):
            continue
        try:
            text = read_text(path)
        except TextFileError:
            continue
        for heading in _HEADING_OF_EXAMPLES.finditer(text):
            if hint := did_you_mean(heading["kind"], _NLU_HEADINGS):
                line = text.count("\n", 0, heading.start("kind")) + 1
                yield Place(str(path), line), f"the file is not read: {heading['written']!r} begins no NLU data.{hint}"
                break


def find_nlu_data(folder: Path) -> list[Path]:
    """Return the files of NLU data of a project, in the order in which they are read.

    These are the files in the folder itself and in `NLU_FOLDERS`; if there are none, all files below the folder.
    """
    own = [path for path in sorted(folder.iterdir()) if path.is_file() and holds_nlu_data(path)]
    folders = [folder / name for name in NLU_FOLDERS if (folder / name).is_dir()]
    found = [*own, *(path for named in folders for path in list_data_files(named))]
    if found:
        return found
    below = [path for path in _own_files(folder) if not _FOR_TESTS.match(path.stem) and holds_nlu_data(path)]
    own_domain = _domains_in(folder)[:1] if below else []
    return [path for path in below if not _is_of_another_bot(path, folder, own_domain)]


def _is_of_another_bot(path: Path, folder: Path, domain: list[Path]) -> bool:
    """Tell whether another domain than that of the project is beside a file or above it."""
    above = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
    return any(one.is_file() and one not in domain for parent in above for one in (parent / name for name in DOMAINS))


def only_understands(folder: Path) -> bool:
    """Tell whether a project has NLU data, and neither a domain nor stories."""
    if _domains_in(folder) or _stories_in(folder) or not find_nlu_data(folder):
        return False
    return not any(map(holds_yaml_stories, _own_files(folder)))


def names_in(data: TrainingData) -> dict[str, list[str]]:
    """Return the intents and entities of NLU data by the keys of a domain; an empty dict without intents."""
    intents = sorted({name.partition("/")[0] for name in data.intents})
    return {"intents": intents, "entities": sorted(data.entities)} if intents else {}


def _own_files(folder: Path) -> Iterator[Path]:
    """Yield the files in the folder and below that a search by content looks at."""
    for path in files_below(folder):
        is_elsewhere = not set(_NO_PARTS).isdisjoint(path.relative_to(folder).parts[:-1])
        if not is_elsewhere and not any((path.parent / name).exists() for name in _MODEL_FILES):
            yield path


def _holds_domain(path: Path) -> bool:
    """Tell whether a YAML file has at least two keys of a domain, including one of intents or of actions."""
    if path.suffix.lower() not in (".yml", ".yaml"):
        return False
    try:
        text = read_text(path)
        keys = set(_DOMAIN_KEY.findall(text))
        if not keys and _DOMAIN_WORD.search(text) and (root := yaml_part(text, str(path))) is not None:
            keys = set(root.keys())  # They are in quotes, indented, or in one line.
    except (TextFileError, YamlError):
        return False
    return len(keys) > 1 and not keys.isdisjoint(("intents", "actions"))  # One alone may stand in any YAML file.
