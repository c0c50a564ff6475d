"""Changes of a message that keep its meaning, such as typing errors, to evaluate a model on untidy messages.

Each function takes an example, and returns it changed, with the new positions of its entities. It returns an example
unchanged if the change does not apply to it. Random choices depend only on the text.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rasa_core.evaluation import tables
from rasa_core.evaluation.metrics import ratio
from rasa_core.evaluation.nlu import THRESHOLDS, Parser, evaluate_messages
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.pipeline import best_understood
from rasa_core.nlu.reading import holds_nlu_data, read_training_data
from rasa_core.nlu.training_data import NLUExample
from rasa_core.policies.fallback import OUT_OF_SCOPE
from rasa_core.support.marked_text import EntitySpan
from rasa_core.support.strict_json import decode
from rasa_core.support.text_files import lines_of, read_text

Rewrite = Callable[[NLUExample], NLUExample]

SURE: Final = 0.3
"""The default threshold of a `FallbackClassifier`."""
_FIGURES: Final = {
    "intent_accuracy": "Intents",
    "sure": f"Right and {SURE} sure",
    "entity_f1": "Entity F1",
    "whole_messages": "Whole messages",
}
_FINAL: Final = ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964"
# Those of Latin, Greek and Cyrillic, and the points of Hebrew and Arabic. Marks of other scripts are not left out:
# without them, letters and words are others.
_ACCENTS: Final = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u0655\u0670]")
_EMOJI: Final = ("\U0001f600", "\u2764\ufe0f", "\U0001f44d\U0001f3fd", "\u263a", "\U0001f64f")
_INVISIBLE: Final = "\u200b\u200e\u200f\ufeff\u00ad"
_GREETINGS: Final = ("hello, ", "hi! ", "hey ", "good morning, ")


_BETWEEN_WORDS: Final = re.compile(r"(?<=[^\W\d_]) (?=[^\W\d_])")
# Of scripts with capital letters, and of others that put spaces between words.
_LONG_WORD: Final = re.compile("[A-Za-z\u00c0-\u024f\u0370-\u07bf\u1e00-\u1fff]{5,}")
_LATIN_WORD: Final = re.compile(r"(?<!\w)[A-Za-z]{4,}(?!\w)")
_VOWEL: Final = re.compile("[aeiou]", re.IGNORECASE)


def edited(example: NLUExample, at: int, removed: int, put: str) -> NLUExample:
    """Return an example with some characters replaced, and the new positions of its entities."""
    text = example.text[:at] + put + example.text[at + removed :]
    shift = len(put) - removed
    spans = tuple(
        replace(
            span,
            start=span.start + shift * (span.start > at or (span.start == at and not removed)),
            end=span.end + shift * (span.end > at),
        )
        for span in example.entities
    )
    return replace(example, text=text, entities=spans)


def with_final_sign(example: NLUExample) -> NLUExample:
    """Return an example with a full stop at its end, unless it ends with a sign of its own."""
    return example if example.text.rstrip()[-1:] in _FINAL else edited(example, len(example.text), 0, ".")


def with_exclamation_marks(example: NLUExample) -> NLUExample:
    """Return an example with three exclamation marks at its end, in place of the signs there."""
    example = without_final_sign(example)
    return edited(example, len(example.text), 0, "!!!")


def without_final_sign(example: NLUExample) -> NLUExample:
    """Return an example without the signs and spaces at its end, as far as they are no part of an entity."""
    least = max((span.end for span in example.entities), default=1)
    end = len(example.text)
    while end > least and (example.text[end - 1] in _FINAL or example.text[end - 1].isspace()):
        end -= 1
    return replace(example, text=example.text[:end])


def with_emoji(example: NLUExample) -> NLUExample:
    """Return an example with an emoji at its end."""
    return edited(example, len(example.text), 0, f" {_draw(example).choice(_EMOJI)}")


def with_invisible_marks(example: NLUExample) -> NLUExample:
    """Return an example with marks at its beginning, at its end and inside a word that nobody sees."""
    draw = _draw(example)
    inner = [at for at in range(1, len(example.text)) if example.text[at - 1 : at + 1].isalpha()]
    example = edited(example, len(example.text), 0, draw.choice(_INVISIBLE))
    if inner:
        example = edited(example, draw.choice(inner), 0, draw.choice(_INVISIBLE))
    return edited(example, 0, 0, draw.choice(_INVISIBLE))


def with_greeting(example: NLUExample) -> NLUExample:
    """Return an example of several words with a greeting before it."""
    return edited(example, 0, 0, _draw(example).choice(_GREETINGS)) if len(example.text.split()) > 1 else example


def in_upper_case(example: NLUExample) -> NLUExample:
    """Return an example in capital letters; a letter whose capital is longer stays as it is."""
    return replace(example, text=_each(example.text, str.upper))


def without_accents(example: NLUExample) -> NLUExample:
    """Return an example without accents and the like, as people type it on a foreign keyboard."""
    return replace(example, text=_each(example.text, _unaccented))


def with_doubled_letters(example: NLUExample) -> NLUExample:
    """Return an example with one of its letters three times, as in "hellooo"."""
    places = [at for at, letter in enumerate(example.text) if letter.isalpha() and letter.lower() != letter.upper()]
    if not places:
        return example
    at = _draw(example).choice(places)
    return edited(example, at, 1, example.text[at] * 3)


def in_quotes(example: NLUExample) -> NLUExample:
    """Return an example between quotation marks."""
    first, last = _draw(example).choice((('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u00ab", "\u00bb")))
    return edited(edited(example, len(example.text), 0, last), 0, 0, first)


def with_typing_error(example: NLUExample) -> NLUExample:
    """Return an example with one letter exchanged with the next, left out, replaced, or doubled."""
    draw = _draw(example)
    places = [at for at in range(len(example.text) - 1) if example.text[at : at + 2].isalpha()]
    if not places:
        return example
    at = draw.choice(places)
    one, two = example.text[at], example.text[at + 1]
    removed, put = draw.choice(
        [(2, two + one), (1, ""), (1, draw.choice("abcdefghijklmnopqrstuvwxyz")), (1, one + one)]
    )
    return edited(example, at, removed, put)


def with_two_typing_errors(example: NLUExample) -> NLUExample:
    """Return an example with two typing errors, wherever they come to stand."""
    return with_typing_error(with_typing_error(example))


def with_joined_words(example: NLUExample) -> NLUExample:
    """Return an example with one of the spaces between its words left out, but none at an end of an entity."""
    ends = {end for span in example.entities for end in (span.start - 1, span.end)}
    places = [match.start() for match in _BETWEEN_WORDS.finditer(example.text) if match.start() not in ends]
    return edited(example, _draw(example).choice(places), 1, "") if places else example


def with_divided_word(example: NLUExample) -> NLUExample:
    """Return an example with a space within one of its words of five letters or more."""
    words = [match.span() for match in _LONG_WORD.finditer(example.text)]
    if not words:
        return example
    draw = _draw(example)
    start, end = draw.choice(words)
    return edited(example, draw.randrange(start + 2, end - 1), 0, " ")


def without_vowels(example: NLUExample) -> NLUExample:
    """Return an example with two of its words without their Latin vowels but for the first letter, as in "cncl"."""
    words = [
        match
        for match in _LATIN_WORD.finditer(example.text)
        if _has_inner_vowel(match[0]) and not any(_touch(match.span(), span) for span in example.entities)
    ]
    drawn = _draw(example).sample(words, min(2, len(words)))
    for match in sorted(drawn, key=lambda one: -one.start()):
        bare = match[0][0] + _VOWEL.sub("", match[0][1:])
        example = edited(example, match.start(), len(match[0]), bare)
    return example


CHANGES: Final[dict[str, Rewrite]] = {
    "final full stop": with_final_sign,
    "three exclamation marks": with_exclamation_marks,
    "no final sign": without_final_sign,
    "emoji": with_emoji,
    "invisible marks": with_invisible_marks,
    "greeting before": with_greeting,
    "upper case": in_upper_case,
    "no accents": without_accents,
    "letter three times": with_doubled_letters,
    "quotation marks": in_quotes,
}
"""The changes, by their names in reports."""
ERRORS: Final[dict[str, Rewrite]] = {
    "two typing errors": with_two_typing_errors,
    "two words joined": with_joined_words,
    "a word divided": with_divided_word,
    "vowels left out": without_vowels,
}
"""Changes after which not even people always know what was meant."""


def changed(examples: Sequence[NLUExample], change: Rewrite) -> list[NLUExample]:
    """Return examples changed; their own places stay, so that reports name them."""
    return [change(example) for example in examples]


def untidy_figures(parser: Parser, examples: Sequence[NLUExample]) -> dict[str, dict[str, float]]:
    """Return the figures of the messages as they are, and after each change; each figure is from 0 to 1.

    ``sure`` is the share of the messages whose intent is right with a confidence of at least `SURE`.
    """
    found = {}
    for name, change in {"as they are": lambda example: example, **CHANGES, **ERRORS}.items():
        measured = evaluate_messages(parser, changed(examples, change), silent=True)
        sure = [one.is_intent_right and one.confidence >= SURE for one in measured.with_intent]
        figures = {**measured.figures, "sure": ratio(sum(sure), len(sure))}
        found[name] = {key: figures[key] for key in _FIGURES}
    return found


def untidy_table(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return what `untidy_figures` found as a table."""
    rows = [(name, *map(tables.rounded, found.values())) for name, found in figures.items()]
    return tables.table(("Change", *_FIGURES.values()), rows)


def texts_in(path: Path) -> list[str]:
    """Return the texts in a file: those of a list in JSON, the messages of NLU data, or else its lines.

    Raises
    ------
    RasaCoreError
        If it cannot be read, has none, or is other JSON.
    """
    text = read_text(path)
    content = _json_in(text)
    if isinstance(content, list) and all(isinstance(one, str) for one in content):
        found = content
    elif holds_nlu_data(path):
        found = [example.text for example in read_training_data(path).examples]
    elif content is not None:
        raise RasaCoreError(f'{path}: this JSON is no list of texts; expected ["what is love", "sing to me"].')
    else:
        found = lines_of(text)
    if not (found := [one for one in found if one.strip()]):
        raise RasaCoreError(f"{path}: there are no texts; write one on each line.")
    return found


def _json_in(text: str) -> Any:
    """Return the list or object that a text is in JSON; None if it is none, as lines in brackets are not."""
    try:
        return decode(text) if text.lstrip().startswith(("[", "{")) else None
    except ValueError:
        return None


def out_of_scope_figures(parser: Parser, texts: Sequence[str]) -> list[dict[str, float]]:
    """Return, for each threshold, how many texts without any of the intents would get an intent.

    The intent ``out_of_scope``, which some bots have, does not count.
    """
    best = list(map(best_understood, parser.parse_many(texts)))
    sure = [float(one["confidence"]) for one in best if one["name"] not in (None, OUT_OF_SCOPE)]
    taken = {value: sum(one >= value for one in sure) for value in THRESHOLDS}
    return [{"threshold": value, "taken": count, "share": ratio(count, len(texts))} for value, count in taken.items()]


def out_of_scope_table(figures: Iterable[Mapping[str, float]]) -> list[str]:
    """Return what `out_of_scope_figures` found as a table."""
    rows = [(f"{one['threshold']:.1f}", f"{one['taken']:.0f}", f"{one['share']:.1%}") for one in figures]
    return tables.table(("nlu_threshold", "Texts of nothing known taken for something", "Share"), rows)


def _has_inner_vowel(word: str) -> bool:
    """Whether a word has vowels behind its first letter, and is three letters or more without them."""
    return 3 <= 1 + len(_VOWEL.sub("", word[1:])) < len(word)


def _touch(place: tuple[int, int], span: EntitySpan) -> bool:
    return place[0] < span.end and place[1] > span.start


def _draw(example: NLUExample) -> random.Random:
    # By the text: the same example is changed alike in each run, and whatever others there are.
    return random.Random(example.text)


def _each(text: str, change: Callable[[str], str]) -> str:
    """Return a text of which each character is changed, where that leaves it one character."""
    return "".join(new if len(new := change(one)) == 1 else one for one in text)


def _unaccented(letter: str) -> str:
    letter = {"\u0111": "d", "\u0110": "D", "\u00f8": "o", "\u0142": "l"}.get(letter, letter)
    return _ACCENTS.sub("", unicodedata.normalize("NFD", letter))
