"""Training: parity of Keras and NumPy, the same bytes for the same data, and data that are hardly any."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from small_nlu import SETTINGS, messages, small_model, trained

from rasa_core.exceptions import ModelError
from rasa_core.nlu import training
from rasa_core.nlu.calibration import UNMEASURED, Calibration, Tagged, best_tag_share, calibrated, parts_of
from rasa_core.nlu.crf import forbidden
from rasa_core.nlu.linear_tags import LinearTagger, ended, entity_lifts, respelt
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.tokens import TokenVocabulary, keys_of, tokenize
from rasa_core.nlu.training import NLUTraining
from rasa_core.nlu.training_data import NLUDataError, NLUExample, Regex, TrainingData
from rasa_core.nlu.training_network import crf_loss, numbers_to_draw
from rasa_core.nlu.variation import TaggedMessage, end_signs, exchanged, final_signs, named, tagged
from rasa_core.policies.keras_training import import_keras, weights_of
from rasa_core.support.marked_text import EntitySpan
from rasa_core.support.probabilities import log_loss, softmax


def test_numpy_scores_as_keras_does() -> None:
    training, model = trained()
    none = len(model._vocabulary.pieces)
    network = training._model(model._vocabulary, Calibration())._network
    (tokens, rows) = training.batches.plan(np.array([], np.intp), np.array([], np.intp))[0]
    x = training.batches.batch(tokens, rows, numbers_to_draw(training.sizes, tokens))
    tags, deep = training.network.predict_on_batch(x)
    for row, length in enumerate(x["mask"].sum(axis=1).astype(int)):
        known = np.stack(
            [
                network.embed(int(word), [int(piece) for piece in pieces if piece < none], [], int(shape))
                for word, pieces, shape in zip(x["words"][row], x["pieces"][row], x["shapes"][row], strict=True)
            ]
        )[None, :length]
        found_tags, found_intents = network.read(known, x["extras"][row : row + 1, :length])
        found_intents -= network._wide(known)[0]
        np.testing.assert_allclose(found_tags[0], tags[row, :length], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(found_intents[0], deep[row], atol=1e-5, rtol=1e-5)


def test_numpy_scores_as_the_classifier_does() -> None:
    training, model = trained()
    model = training._model(model._vocabulary, Calibration())
    network = model._network
    texts = [example.text for example in training._examples]
    counts = training.classifier.counts([keys_of(text, tokenize(text)) for text in texts])
    expected = training.classifier.scores(counts)
    for text, scores in zip(texts, expected, strict=True):
        known = model._embedded(model._read(text))
        found, _ = network._wide(known[None])
        np.testing.assert_allclose(found[0], scores, atol=1e-5, rtol=1e-5)


def test_numpy_scores_as_the_linear_tagger_does() -> None:
    training, model = trained()
    tagger = LinearTagger(model._vocabulary, len(training._labels))
    tagger.fit(training._messages, (".",))
    without = training._model(model._vocabulary, Calibration())
    beside = training._model(model._vocabulary, Calibration(tag_share=0.3), None, tagger.arrays())
    made = *respelt(training._messages), *ended(training._messages, (".",))
    lengths = [len(message.keys) for message in (*training._messages, *made)]
    order = np.argsort(lengths, kind="stable").tolist()
    ends = np.cumsum([lengths[number] for number in order])
    scores = np.split(tagger.scores(tagger.weights), ends[:-1])
    for number, example in enumerate(training._examples):
        read = model._read(example.text)
        own, bare = (one._embedded(read)[None] for one in (beside, without))
        extras = model._patterns.extras(read.visible, read.spans)[None]
        found = beside._network.read(own, extras)[0] - np.float32(0.3) * without._network.read(bare, extras)[0]
        np.testing.assert_allclose(found[0], scores[order.index(number)], atol=1e-4, rtol=1e-4)


def test_a_sign_that_ends_entities_alone_is_put_behind_no_message() -> None:
    data = read_training_text("## intent:a\n- in [hall (north)](room)\n- in [hall](room)?\n- [stop!](sign) now\n")
    messages = [tagged(one, data.intents, data.labels, Patterns()) for one in data.examples]
    found = [one for one in messages if one is not None]
    assert final_signs(found) == ["?"]
    assert end_signs(found).last == {"?", ")", "!"}


def test_entities_that_go_with_an_intent_are_lifted_and_others_are_put_down_but_where_few_messages_say_so() -> None:
    extras = np.zeros((1, 1), np.float32)
    told = [(0, 1)] * 90 + [(1, 0)] * 90 + [(2, 0)] * 2 + [(-1, 3)]  # Intent and tag of one token each.
    lifts = entity_lifts([TaggedMessage(("x",), (tag,), intent, extras) for intent, tag in told], 4, 2)
    assert lifts.dtype == np.float32
    assert lifts[0, 0] > 1.9
    assert lifts[1, 0] < 0.1
    assert 0.5 < lifts[2, 0] < 1.0  # Two messages without it say little.
    np.testing.assert_array_equal(lifts[3], 1.0)  # No intent.
    np.testing.assert_array_equal(lifts[:, 1], 1.0)  # It stands only where the intent is not known.


def test_a_model_with_a_tagger_knows_which_entities_go_with_which_intent() -> None:
    training, model = trained()
    lifts = model._arrays["entity_lifts"]
    booked, tracked = (training._intents.index(name) for name in ("book", "track"))
    city, number = (training._labels.index((name, "", "")) for name in ("city", "number"))
    assert lifts[booked, city] > 1 > lifts[booked, number]
    assert lifts[tracked, number] > 1 > lifts[tracked, city]


def test_the_linear_tagger_loses_what_the_network_would_and_falls_where_its_slope_says() -> None:
    training, _ = trained()
    tagger = LinearTagger(training._vocabulary, len(training._labels))
    tagger.fit(training._messages, (".",))
    rng = np.random.default_rng(3)
    weights, way = rng.normal(scale=0.1, size=(2, *tagger.weights.shape)).astype("f")
    _, slope = tagger._loss(weights)
    way[-len(tagger._forbidden) :][tagger._forbidden < 0] = 0.0
    ahead, behind = (tagger._loss(weights + np.float32(step) * way)[0] for step in (1e-2, -1e-2))
    assert (ahead - behind) / 2e-2 == pytest.approx(float((slope * way).sum()), rel=1e-2)
    transitions = weights[-len(tagger._forbidden) :] + tagger._forbidden
    chain = tagger._chains[0]
    own = tagger.scores(weights)[: chain.count]
    scores = np.zeros(chain.gold.shape, np.float32)
    scores[chain.inside] = own
    tags, mask = chain.gold.argmax(axis=2), chain.inside.astype(np.float32)
    losses = np.asarray(crf_loss(import_keras().ops, scores, tags, mask, transitions, tagger._first))
    found = chain.loss(own, transitions, tagger._first)[0]
    assert found == pytest.approx(float((losses * chain.weights).sum()), rel=1e-4)


def test_the_loss_of_tags_is_that_of_every_path_counted() -> None:
    keras = import_keras()
    rng = np.random.default_rng(2)
    scores, transitions = rng.normal(size=(1, 4, 3)).astype("f"), rng.normal(size=(3, 3)).astype("f")
    begin, tags = np.array([0.0, 0.5, -1.0], np.float32), np.array([[1, 2, 0, 1]], np.int32)

    def score(path: tuple[int, ...]) -> float:
        own = sum(float(scores[0, at, tag]) for at, tag in enumerate(path))
        return own + float(begin[path[0]]) + sum(float(transitions[pair]) for pair in itertools.pairwise(path))

    for length in (4, 2):
        mask = (np.arange(4) < length).astype(np.float32)[None]
        paths = np.array([score(path) for path in np.ndindex(*[3] * length)])
        expected = np.log(np.exp(paths).sum()) - score(tuple(tags[0, :length]))
        found = crf_loss(keras.ops, scores, tags, mask, transitions, begin)
        assert float(np.asarray(found)[0]) == pytest.approx(expected, abs=1e-4)


def test_the_same_data_settings_and_seed_give_the_same_bytes(tmp_path) -> None:
    training.train(messages(), SETTINGS, silent=True).persist(tmp_path / "again")
    trained()[1].persist(tmp_path / "first")
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_model_is_the_same_once_read(tmp_path) -> None:
    model = trained()[1]
    model.persist(tmp_path / "model")
    loaded = NLUModel.load(tmp_path / "model")
    texts = [example.text for example in messages().examples]
    assert loaded.parse_many(texts) == model.parse_many(texts)
    assert (loaded.fingerprint, loaded.intents, loaded.entities) == (model.fingerprint, model.intents, model.entities)


def test_the_fingerprint_is_that_of_data_and_settings() -> None:
    fingerprint = training.fingerprint_of
    base = fingerprint("data", SETTINGS.as_json())
    assert base == fingerprint("data", replace(SETTINGS).as_json())
    assert (
        len({base, fingerprint("other", SETTINGS.as_json()), fingerprint("data", NLUSettings(seed=8).as_json())}) == 3
    )


def test_one_message_is_enough(monkeypatch) -> None:
    monkeypatch.setattr(training, "_FEWEST_STEPS", 40)
    answer = training.train(TrainingData((NLUExample("hello", "greet"),)), NLUSettings(epochs=1), silent=True).parse(
        "hello"
    )
    assert (answer["intent"]["name"], answer["entities"]) == ("greet", [])
    assert len(answer["intent_ranking"]) == 1


@pytest.mark.parametrize("examples", [(), (NLUExample("hello", None),), (NLUExample("", "greet"),)])
def test_data_without_an_intent_to_learn_are_an_error(examples) -> None:
    with pytest.raises(ModelError, match="no example of an intent"):
        training.train(TrainingData(examples), silent=True)


def test_a_malformed_expression_is_named_before_anything_is_trained() -> None:
    data = TrainingData((NLUExample("hello", "greet"),), {}, (Regex("zip", "[0-9"),))
    with pytest.raises(NLUDataError, match=r"regex 'zip': '\[0-9' is malformed: unterminated"):
        training.train(data, silent=True)


def test_entities_take_in_the_tokens_that_they_touch() -> None:
    example = NLUExample(
        "to New York now", "go", (EntitySpan(4, 11, "city", "ew York"), EntitySpan(7, 15, "x", "York now"))
    )
    message = tagged(example, ["go"], [("city", "", ""), ("x", "", "")], Patterns())
    assert message is not None
    assert message.tags == (0, 1, 2, 0)


def drawn(count: int, sureness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of messages, and intents that are drawn by them, after making them as many times as sure."""
    rng = np.random.default_rng(4)
    scores = rng.normal(0, 2, size=(count, 5)).astype(np.float32)
    chances = np.exp(scores[:, :4]) / np.exp(scores[:, :4]).sum(axis=1, keepdims=True)
    return scores * np.float32(sureness), np.array([rng.choice(4, p=row / row.sum()) for row in chances.astype(float)])


def halves(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as those of two parts of a model that know as much."""
    other = np.random.default_rng(5).normal(0, 1, size=scores.shape).astype(np.float32)
    return scores / 2 + other, scores / 2 - other


def test_calibration_makes_held_out_confidences_fit() -> None:
    scores, intents = drawn(800, 2.5)  # More sure than it may be.
    deep, wide = halves(scores)
    found = calibrated(deep[:400], wide[:400], intents[:400])
    both = (found.deep * deep + found.wide * wide)[400:]
    after = log_loss(both, labels=intents[400:], temperature=found.temperature)
    assert 0.95 < found.temperature <= 1.7
    assert found.deep + found.wide == pytest.approx(1.0)
    assert 0.45 < found.deep < 0.55
    assert after < log_loss(scores[400:], labels=intents[400:], temperature=1.0) - 0.2


def test_none_of_the_intents_takes_no_more_of_what_means_one_than_it_must_where_enough_messages_say_so() -> None:
    scores, intents = drawn(800, 1.0)
    scores[:, -1] += 4.0
    none = [calibrated(scores[:n], scores[:n], intents[:n]).none for n in (0, 4, 400)]
    assert none[0] == UNMEASURED.none == -2.0
    assert none[1] == pytest.approx(-2.0, abs=0.2)
    assert -6.0 <= none[2] < -2.5
    found = calibrated(scores[:400], scores[:400], intents[:400])
    without = scores[400:] / np.float32(found.temperature)
    with_none = without.copy()
    with_none[:, -1] += np.float32(found.none)
    gaps = []
    for own in (without, with_none):
        chances = softmax(own)[:, :-1]
        gaps.append(abs(chances.max(axis=1).mean() - (chances.argmax(axis=1) == intents[400:]).mean()))
    assert gaps[1] < 0.7 * gaps[0]


@pytest.mark.parametrize(("misread", "least", "most"), [(True, 0.25, 0.4), (False, 0.0, 0.15)])
def test_each_unknown_word_makes_a_message_less_sure_as_far_as_held_out_ones_bear_it_out(
    misread: bool, least: float, most: float
) -> None:
    scores, intents = drawn(800, 1.0)
    unknown = np.random.default_rng(7).integers(6, size=800).astype(np.float32)
    if misread:  # Those with unknown words are not understood as well as it seems.
        scores *= np.exp(0.4 * unknown)[:, None]
    found = calibrated(scores, scores, intents, unknown)
    assert least < found.doubt < most
    few = calibrated(scores[:10], scores[:10], intents[:10], unknown[:10])
    assert few.doubt == pytest.approx(UNMEASURED.doubt, abs=0.02)
    assert UNMEASURED.doubt == 0.18


def test_scores_of_intents_but_not_of_none_are_divided_for_each_unknown_word() -> None:
    training, _ = trained()
    plain = training._model(training._vocabulary, Calibration())
    doubting = training._model(training._vocabulary, Calibration(temperature=2.0, none=-1.0, doubt=0.3))
    texts = [training._examples[0].text, f"{training._examples[0].text} qwertz", "qwertz asdfg qwertz"]
    keys = [keys_of(text, tokenize(text)) for text in texts]
    unknown = np.array([training._vocabulary.unknown(own) for own in keys])
    assert unknown.tolist() == [0, 1, 3]
    expected = plain.scores(texts)[1]
    expected[:, :-1] *= np.exp(-0.3 * unknown)[:, None]
    expected[:, -1] -= 2.0
    np.testing.assert_allclose(doubting.scores(texts)[1], expected, rtol=1e-5, atol=1e-5)
    # Whether a token is met for the first time, and how many messages are read at once, changes nothing.
    assert [doubting.parse(text)["intent"] for text in texts] == [doubting.parse(text)["intent"] for text in texts]


def test_a_part_that_knows_nothing_counts_for_little() -> None:
    scores, intents = drawn(400, 1.0)
    chance = np.random.default_rng(6).normal(0, 2, size=scores.shape).astype(np.float32)
    assert calibrated(chance, scores, intents).deep < 0.2
    assert calibrated(scores, chance, intents).deep > 0.65


def test_a_network_that_has_learnt_less_says_less_of_its_share() -> None:
    scores, intents = drawn(100, 1.0)
    chance = np.random.default_rng(6).normal(0, 2, size=scores.shape).astype(np.float32)
    shares = [calibrated(chance, scores, intents, is_brief=is_brief).deep for is_brief in (False, True)]
    assert shares[0] < shares[1] < UNMEASURED.deep == 0.4


def test_a_model_may_be_surer_than_networks_that_have_learnt_from_fewer_messages() -> None:
    scores, intents = drawn(400, 1.0)
    whole, brief = (calibrated(scores, scores, intents, is_brief=is_brief).temperature for is_brief in (False, True))
    assert whole == pytest.approx(1.05 * brief, rel=0.01)


def test_the_network_tags_as_much_as_it_finds_beside_the_tagger() -> None:
    random = np.random.default_rng(0)
    tags = [[0, 1, 2, 0, 3] for _ in range(100)]
    good = [np.eye(5, dtype=np.float32)[own] for own in tags]
    poor = [random.normal(0.0, 0.5, one.shape).astype(np.float32) for one in good]
    free, none = forbidden(2), np.zeros((5, 5), np.float32)
    shares = [best_tag_share([Tagged(tags, deep, wide, free, none)]) for deep, wide in ((good, poor), (poor, good))]
    assert shares[0] == 1.0
    assert shares[1] <= 0.3
    assert best_tag_share([Tagged(tags, good, good, free, none)]) == Calibration().tag_share


def test_few_messages_say_little_of_the_temperature() -> None:
    scores, intents = drawn(400, 2.5)
    none, few, many = (
        calibrated(*(half[:n] for half in halves(scores * 2)), intents[:n]).temperature for n in (0, 10, 400)
    )
    assert none == UNMEASURED.temperature == 0.8
    assert 0.8 <= few < 1.4 < 1.8 < many


def test_very_few_messages_leave_the_temperature_at_the_typical_one() -> None:
    scores, intents = drawn(400, 1.0)
    two, many = (calibrated(scores[:n], scores[:n], intents[:n]).temperature for n in (2, 400))
    assert two == pytest.approx(0.8, abs=0.05)
    assert two < many - 0.1


def test_the_temperature_is_as_certain_as_the_sum_of_both_parts() -> None:
    scores, intents = drawn(1600, 1.0)
    # Of a part that knows the same, nobody can say how much it should count; of both together, one can.
    parts = [
        calibrated(scores[at : at + 100], scores[at : at + 100], intents[at : at + 100]) for at in range(0, 1600, 100)
    ]
    temperatures = np.array([part.temperature for part in parts])
    assert temperatures.std() < 0.15 * temperatures.mean()


def test_the_threshold_keeps_nearly_all_that_is_right() -> None:
    scores, intents = drawn(400, 1.0)
    deep, wide = halves(scores)
    found = calibrated(deep, wide, intents)
    both = (found.deep * deep + found.wide * wide) / np.float32(found.temperature)
    both[:, -1] += np.float32(found.none)
    chances = softmax(both)[:, :-1]
    right = chances.max(axis=1)[chances.argmax(axis=1) == intents]
    assert 0.96 <= (right >= found.threshold).mean() < 0.99


def test_the_threshold_is_not_below_chance() -> None:
    scores = np.zeros((30, 10), np.float32)  # Of nine intents and none of them; each is as likely as the others.
    scores[0, 0] = -9.0  # This one is right by chance.
    found = calibrated(scores, scores, np.array([1] + [0] * 29))
    assert found.threshold == 0.1


def test_parts_hold_each_intent_and_the_same_texts_together() -> None:
    examples = [
        NLUExample(text, intent) for intent in "abc" for n in range(9) for text in (f"{intent} {n}", f"{intent} {n}!")
    ]
    parts = parts_of(examples, np.arange(len(examples)), 3)
    assert sorted(number for part in parts for number in part) == list(range(len(examples)))
    for part in parts:
        assert [examples[number].intent for number in part] == ["a"] * 6 + ["b"] * 6 + ["c"] * 6
        assert {examples[number].text.strip("!") for number in part} == {examples[n].text for n in part[::2]}


@pytest.mark.parametrize("count", [5, 60])
def test_a_run_without_a_part_is_long_enough_for_its_intents(count) -> None:
    examples = tuple(NLUExample(f"{intent} {n}", f"intent {intent}") for intent in range(count) for n in range(6))
    begun = NLUTraining(TrainingData(examples=examples), Patterns(), NLUSettings())
    (_, _, longest), *others = begun._runs(begun._held_out())
    for left_out, again, epochs in others:
        steps = epochs * len(begun.batches.plan(left_out, again))
        assert epochs == max(round(0.4 * longest), 1) or 4 * count <= steps < 5 * count


@pytest.mark.parametrize(("count", "each", "least", "most"), [(5, 6, 400, 440), (70, 14, 490, 520), (120, 9, 680, 800)])
def test_a_network_of_many_intents_learns_longer_but_for_no_more_than_forty_epochs(count, each, least, most) -> None:
    examples = tuple(NLUExample(f"{intent} {n}", f"intent {intent}") for intent in range(count) for n in range(each))
    begun = NLUTraining(TrainingData(examples=examples), Patterns(), NLUSettings())
    (left_out, again, epochs), *_ = begun._runs(begun._held_out())
    assert least <= epochs * len(begun.batches.plan(left_out, again)) <= most
    assert epochs <= 40 or count == 5


def test_every_example_that_contradicts_no_other_is_understood(monkeypatch) -> None:
    """Also those that all others speak against, and however little was learnt."""
    monkeypatch.setattr(training, "_FEWEST_STEPS", 40)
    against = (NLUExample("hello lisbon", "bye"), NLUExample("see you", "greet"), NLUExample("hi there you", "track"))
    data = replace(messages(), examples=(*messages().examples, *against))
    model = training.train(data, replace(SETTINGS, validation_split=0.0), silent=True)
    clear = [example for example in data.examples if example.intent and example.text != "see you"]
    answers = model.parse_many([example.text for example in clear])
    assert [answer["intent"]["name"] for answer in answers] == [example.intent for example in clear]


def test_the_model_that_is_asked_what_to_learn_by_heart_answers_as_the_one_that_serves(monkeypatch) -> None:
    """Entities, which a tagger finds, decide on the intent of ``amazing, thanks``."""
    monkeypatch.setattr(training, "_FEWEST_STEPS", 40)
    asked: list[NLUModel] = []
    by_heart = NLUTraining._by_heart
    monkeypatch.setattr(NLUTraining, "_by_heart", lambda self, model: asked.append(model) or by_heart(self, model))
    model = training.train(messages(), replace(SETTINGS, validation_split=0.0), silent=True)
    texts = [example.text for example in messages().examples if model.said(example.text) not in model._by_heart]
    assert asked[0].parse_many(texts) == model.parse_many(texts)


def test_a_vocabulary_leaves_out_what_is_rare() -> None:
    keys = [keys_of(example.text, tokenize(example.text)) for example in messages().examples]
    vocabulary = TokenVocabulary.of(keys, 5)
    assert vocabulary.word("Table") == vocabulary.word("table") > 0
    assert vocabulary.word("tomorrow") == 0
    assert vocabulary.pieces_in("tables")
    assert not vocabulary.pieces_in("xqz")
    assert vocabulary.letters_in("t") == [
        vocabulary.letters[letter] for letter in ("t", "<t", "t>") if letter in vocabulary.letters
    ]
    assert "<q" not in vocabulary.letters


def test_words_pieces_and_letters_say_an_intent_by_themselves() -> None:
    """Without all but the linear classifier, what was learnt is still understood."""
    model = small_model()
    alone = {name: np.zeros_like(a) if name.startswith("intents_") else a for name, a in model._arrays.items()}
    linear = NLUModel(model._description, alone)
    known = [example for example in messages().examples if example.intent]
    answers = linear.parse_many([example.text for example in known])
    assert [answer["intent"]["name"] for answer in answers] == [example.intent for example in known]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("report_lost-card", "report lost card"),
        ("reportLostCard", "report Lost Card"),
        ("faq/lost+found", "faq lost found"),
        ("buscar_canción", "buscar canción"),
        ("FAQ2", "FAQ 2"),
    ],
)
def test_the_name_of_an_intent_is_a_message_that_means_it(name: str, words: str) -> None:
    (message,) = named([name], 2)
    assert " ".join(message.keys) == words
    assert (message.intent, message.extras.shape, any(message.tags)) == (0, (len(message.keys), 2), False)


def test_a_name_without_words_is_no_message() -> None:
    assert [message.intent for message in named(["---", "bye"], 1)] == [1]


def test_the_classifier_learns_from_the_names_of_intents() -> None:
    """Of words that stand in messages of both intents alike, one is in the name of one of them."""
    texts = {"lost_card": ("my purse is gone", "one purse"), "get_money": ("my bill is gone", "one bill")}
    examples = [NLUExample(text, intent) for intent, some in texts.items() for text in some]
    examples += [NLUExample("is it lost", intent) for intent in texts]
    learnt = NLUTraining(TrainingData.build(examples), Patterns(), NLUSettings())
    learnt._teach(np.array([], np.intp))
    scores = learnt.classifier.scores(learnt.classifier.counts([("lost",)]))[0]
    assert learnt._intents[int(scores[:2].argmax())] == "lost_card"
    assert scores[:2].max() - scores[:2].min() > 0.5


def test_ngrams_count_beside_words() -> None:
    """The features of each bag have a norm of their own, by which words, which are few, do not outweigh n-grams."""
    classifier = trained()[0].classifier
    rows = classifier._weighed(classifier.counts([("table",)])).toarray()[0, :-1]
    norms = [float(np.square(part).sum()) ** 0.5 for part in np.split(rows, [classifier._words])]
    assert norms == pytest.approx([1.0, 1.3])


@pytest.mark.parametrize("units", [3, 64])
def test_words_that_speak_for_the_same_intent_are_near_each_other(units: int) -> None:
    """Whether there are more intents than units, or fewer."""
    training, model = trained()
    points, pieces = training.classifier.directions(units)
    assert (len(points), len(pieces)) == (len(model._vocabulary.words) + 1, len(model._vocabulary.pieces))
    assert float((np.concatenate([points, pieces]) ** 2).mean()) == pytest.approx(1.0, abs=0.01)
    hello, hi, until, order = (points[model._vocabulary.word(word)] for word in ("hello", "hi", "until", "order"))
    assert _cosine(hello, hi) > 0.9 > 0.5 > max(_cosine(hello, until), _cosine(hello, order))


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_network_begins_with_what_the_classifier_knows_of_words() -> None:
    data = messages()
    begun = NLUTraining(data, Patterns(data.regexes, data.lookups), SETTINGS)
    begun._begin(np.array([], np.intp), again=False, is_hurried=True)
    for layer, points in zip((begun.network.words, begun.network.pieces), begun.classifier.directions(64), strict=True):
        (table,) = weights_of(layer)
        assert np.abs(table[: len(points)] - 0.15 * points).max() <= 0.0501


def test_a_network_that_has_steps_enough_for_its_intents_begins_without_that() -> None:
    """Of few intents it learns what the classifier does not see, if it is not told what that sees."""
    data = messages()
    begun = NLUTraining(data, Patterns(data.regexes, data.lookups), SETTINGS)
    begun._begin(np.array([], np.intp), again=False, is_hurried=False)
    assert not begun.network.words.built


def test_what_is_known_of_words_is_that_of_the_messages_not_left_out() -> None:
    """Or the network would have seen what it is measured by."""
    data = messages()
    begun = NLUTraining(data, Patterns(data.regexes, data.lookups), SETTINGS)
    number = next(at for at, example in enumerate(begun._examples) if example.text == "until tomorrow")
    begun._begin(np.array([number]), again=False, is_hurried=True)
    points, _ = begun.classifier.directions(64)
    assert not points[begun._vocabulary.word("tomorrow")].any()


def test_the_tagger_sees_each_message_with_another_end() -> None:
    def tagged_as(text: str, *tags: int) -> TaggedMessage:
        return TaggedMessage(tuple(text.split()), tags, 0, np.zeros((len(tags), 1), np.float32))

    messages = [tagged_as("in rome", 0, 1), tagged_as("in rome ?", 0, 1, 0), tagged_as("by yahoo !", 0, 1, 2)]
    found = [(" ".join(one.keys), one.tags) for one in ended(messages, ("!", "?"))]
    assert found == [("in rome !", (0, 1, 0)), ("in rome", (0, 1)), ("by yahoo ! !", (0, 1, 2, 0))]
    assert [one.keys for one in ended(messages, ())] == [("in", "rome")]


def roles() -> TrainingData:
    return read_training_text(
        "## intent:a\n"
        '- from [Rome]{"entity": "city", "role": "from"} to [New York]{"entity": "city", "role": "to"}\n'
        '- to [Oslo]{"entity": "city", "role": "to"} on [Monday](day)\n'
        "- on [Friday](day)\n"
    )


def test_the_network_sees_roles_with_the_values_of_others_in_some_epochs() -> None:
    batches = NLUTraining(roles(), Patterns(), SETTINGS).batches
    none = np.array([], np.intp)
    written = {"Rome": 0, "New": 0}
    numbers = {batches._table.number(name): name for name in written}
    for _ in range(40):
        for tokens, rows in batches.plan(none, none):
            for keys, tags in zip(batches._keys[rows, :tokens], batches._tags[rows, :tokens], strict=True):
                for at, name in numbers.items():
                    written[name] += int(((keys == at) & (tags == (3 if name == "Rome" else 1))).sum())
    assert min(written.values()) > 5


def test_the_tagger_sees_each_role_with_the_values_of_the_others() -> None:
    data = roles()
    messages = [tagged(one, data.intents, data.labels, Patterns()) for one in data.examples]
    made = exchanged([one for one in messages if one is not None])
    assert [" ".join(one.keys) for one in made] == ["from New York to Rome", "to Rome on Monday", "on Friday"]
    assert [one.tags for one in made] == [(0, 1, 2, 0, 3), (0, 3, 0, 5), (0, 5)]
    assert [one.extras.shape for one in made] == [(5, 1), (4, 1), (2, 1)]
    assert made[2] is messages[2]
