from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from policy_bot import STORIES, collector_of, conversation, local_domain

from rasa_core.domain import Domain
from rasa_core.policies.example_rows import TrainingExamples
from rasa_core.policies.feature_cache import FeatureCache
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.support.stored_models import read_arrays, write_arrays


def collected(
    trackers, domain, file=None, max_history=5
) -> tuple[TrainingExamples, HistoryFeaturizer, FeatureCache | None]:
    featurizer = HistoryFeaturizer(max_history)
    cache = None if file is None else FeatureCache(file, featurizer, domain)
    collector = collector_of(featurizer, domain, cache)
    for tracker in trackers:
        collector.add(tracker)
    if cache is not None:
        cache.save()
    return collector.examples(), featurizer, cache


def content(rows: TrainingExamples, featurizer: HistoryFeaturizer) -> list[object]:
    (block,) = rows.blocks()
    return [
        featurizer.names,
        rows.dense(block).tobytes(),
        rows.actions.tolist(),
        rows.weights.tolist(),
        rows.groups.tolist(),
    ]


def new_story(domain):
    return conversation(
        domain, "/greet", "utter_greet", "/thank", "utter_welcome", '/inform{"tags": "quiet"}', "utter_bye"
    )


@pytest.fixture
def file(tmp_path, trackers, domain):
    path = tmp_path / "models" / "features.npz"
    assert collected(trackers, domain, path)[2].reused == 0
    return path


def test_what_is_learnt_is_the_same_with_and_without_it(file, trackers, domain) -> None:
    rows, featurizer, cache = collected(trackers, domain, file)
    assert cache.reused == len(trackers)
    assert content(rows, featurizer) == content(*collected(trackers, domain)[:2])


def test_only_new_conversations_are_featurised(file, trackers, domain, monkeypatch) -> None:
    made = []
    add = ConversationFeaturizer.add
    monkeypatch.setattr(ConversationFeaturizer, "add", lambda self, tracker: made.append(tracker) or add(self, tracker))
    story = new_story(domain)
    rows, featurizer, _ = collected([story, *trackers], domain, file)
    assert made == [story]
    assert content(rows, featurizer) == content(*collected([story, *trackers], domain)[:2])


def test_what_is_no_longer_in_the_stories_leaves_no_trace(file, trackers, domain) -> None:
    rows, featurizer, cache = collected(trackers[1:], domain, file)
    assert cache.reused == len(trackers) - 1
    assert content(rows, featurizer) == content(*collected(trackers[1:], domain)[:2])
    assert collected(trackers, domain, file)[2].reused == len(trackers) - 1


@pytest.mark.parametrize(
    "changed",
    [
        ("/greet", "utter_greet", "utter_ask_cuisine", '/inform{"cuisine": "thai"}', "action_search", "utter_found"),
        ("/greet", "utter_greet"),
    ],
)
def test_a_changed_story_is_featurised_again(file, trackers, domain, changed) -> None:
    story = conversation(domain, *changed)
    rows, featurizer, cache = collected([story], domain, file)
    assert cache.reused == 0
    assert content(rows, featurizer) == content(*collected([story], domain)[:2])


def test_features_of_another_domain_or_history_are_not_used(file, trackers, domain) -> None:
    text = local_domain().as_yaml().replace("- thank", "- thank\n- curse")
    other = Domain.from_yaml(text)
    stories = [conversation(other, *story) for story in STORIES]
    assert collected(stories, other, file)[2].reused == 0
    assert collected(stories, other, file)[2].reused == len(stories)
    assert collected(stories, other, file, max_history=3)[2].reused == 0


@pytest.mark.parametrize("damage", ["empty", "cut", "counts", "columns", "actions", "text", "missing"])
def test_a_damaged_file_is_told_and_not_used(file, trackers, domain, damage, caplog) -> None:
    caplog.set_level(logging.WARNING)
    if damage in ("empty", "cut"):
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    else:
        arrays = read_arrays(file)
        if damage == "counts":
            arrays["counts"] = arrays["counts"] + 1
        elif damage == "columns":
            arrays["rows"] = (arrays["rows"].view(np.int32) + np.int32(100_000)).view(np.uint8)
        elif damage == "actions":
            arrays["examples"] = arrays["examples"] + np.array([0, 0, 99], np.int32)
        elif damage == "text":
            arrays["text"] = arrays["text"][:-1]
        else:
            del arrays["rows"]
        write_arrays(file, arrays)
    rows, featurizer, cache = collected(trackers, domain, file)
    assert cache.reused == 0
    assert "features.npz are not used" in caplog.text
    assert content(rows, featurizer) == content(*collected(trackers, domain)[:2])
    assert collected(trackers, domain, file)[2].reused == len(trackers)


def test_a_folder_that_cannot_be_written_only_warns(tmp_path, trackers, domain, caplog) -> None:
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    rows, featurizer, _ = collected(trackers, domain, tmp_path / "models" / "features.npz")
    assert "cannot be kept" in caplog.text
    assert content(rows, featurizer) == content(*collected(trackers, domain)[:2])


def test_the_same_conversations_give_the_same_bytes(file, trackers, domain, tmp_path) -> None:
    collected(trackers, domain, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()
    assert not list(file.parent.glob("*.part*"))


def test_two_trainings_at_once_do_not_write_into_the_same_file(file, trackers, domain, monkeypatch) -> None:
    """While one training writes, another begins and ends."""
    slow, quick = (FeatureCache(file, HistoryFeaturizer(), domain) for _ in range(2))
    for cache in (slow, quick):
        for tracker in trackers[:2]:
            cache.examples(tracker)
    whole, written = file.read_bytes(), []

    def write_in_two_steps(path, arrays) -> None:
        written.append(path)
        assert file.read_bytes() == whole
        if len(written) == 1:
            path.write_bytes(b"half")
            quick.save()
            assert path.read_bytes() == b"half"
        write_arrays(path, arrays)

    monkeypatch.setattr("rasa_core.policies.feature_cache.write_arrays", write_in_two_steps)
    slow.save()
    monkeypatch.undo()
    assert len(set(written)) == 2
    assert collected(trackers[:2], domain, file)[2].reused == 2
    assert os.listdir(file.parent) == [file.name]
