"""The same stories give the same model in every process, with any hash seed."""

from __future__ import annotations

import os
from pathlib import Path

import policy_bot
import pytest
from policy_bot import needs_keras

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.policies import KerasPolicy, MemoizationPolicy
from rasa_core.stories import load_data

STORIES = """
## hello
* greet OR thank
    - utter_greet
> greeted

## ask
> greeted
    - utter_ask_cuisine
* inform{"cuisine": "italian", "tags": ["quiet", "cheap"]}
    - action_search
    - slot{"found": "Da Mario"}
    - slot{"price": "high"}
    - utter_found

## leave
> greeted
* bye
    - utter_bye

## thank
* thank
    - utter_welcome
"""

PROGRAM = """
import hashlib, pathlib, policy_bot
from rasa_core.agent import Agent
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies import AugmentedMemoizationPolicy, FallbackPolicy, MemoizationPolicy
policies = [MemoizationPolicy(), AugmentedMemoizationPolicy(), FallbackPolicy()]
agent = Agent(policy_bot.local_domain(), policies)
trackers = agent.load_data(sys.argv[1], augmentation_factor=8)
agent.train(trackers)
agent.persist(sys.argv[2])
digest = hashlib.sha256()
for file in sorted(path for path in pathlib.Path(sys.argv[2]).rglob("*") if path.is_file()):
    digest.update(file.read_bytes())
featurizer = HistoryFeaturizer()
collector = policy_bot.collector_of(featurizer, agent.domain)
for tracker in trackers:
    collector.add(tracker)
rows = collector.examples()
matrix = rows.block(0).matrix
for array in [matrix.indptr, matrix.indices, matrix.data, rows.actions, rows.weights, collector._groups]:
    digest.update(array.tobytes())
pathlib.Path(sys.argv[2], "rows").mkdir()
collector.training_turns(rows).save(pathlib.Path(sys.argv[2], "rows"))
digest.update(pathlib.Path(sys.argv[2], "rows", "training_turns.npz").read_bytes())
print(len(trackers), digest.hexdigest())
"""


def test_a_trained_model_is_the_same_in_every_process(run_python, tmp_path) -> None:
    (tmp_path / "stories.md").write_text(STORIES)
    seen = set()
    for seed in ("0", "1", "2"):
        done = run_python(PROGRAM, tmp_path / "stories.md", tmp_path / seed, PYTHONHASHSEED=seed)
        assert done.stderr == ""
        seen.add(done.stdout)
    assert len(seen) == 1
    assert int(seen.pop().split()[0]) > 8


def train_with_concerts(data: str, folder: str) -> None:
    """Train with so many stories that something is large enough to be shared out among processors."""
    domain = Domain.load(f"{data}/concert_domain.yml", action_factory="remote")
    policy = KerasPolicy()
    policy.train(load_data(f"{data}/stories.md", domain, max_history=5), domain, epochs=3, verbose=0)
    policy.persist(folder)


ON_ONE_PROCESSOR = """
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
sys.path.insert(0, sys.argv[3])
from test_same_bytes import train_with_concerts
train_with_concerts(*sys.argv[1:3])
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one processor.")
def test_a_network_is_the_same_on_one_processor_and_on_more(run_python, sample_data, tmp_path) -> None:
    needs_keras()
    data, one, more = sample_data / "concertbot", tmp_path / "one", tmp_path / "more"
    one.mkdir()
    more.mkdir()
    done = run_python(ON_ONE_PROCESSOR, data, one, Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    train_with_concerts(str(data), str(more))
    assert (one / "weights.npz").read_bytes() == (more / "weights.npz").read_bytes()


@pytest.mark.parametrize("names", [["a.md"], ["a.md", "more/b.md"]], ids=["one file", "several"])
def test_a_model_does_not_tell_from_which_folder_its_stories_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    (tmp_path / "bot" / "data" / "more").mkdir(parents=True)
    for number, name in enumerate(names):
        text = STORIES.replace("## ", f"## {number} ").replace("greeted", f"greeted{number}")
        (tmp_path / "bot" / "data" / name).write_text(text, encoding="utf-8")
    written = []
    for folder, named in (
        (".", "bot/data"),
        ("bot", "data"),
        ("bot/data/more", ".."),
        (".", str(tmp_path / "bot/data")),
    ):
        monkeypatch.chdir(tmp_path / folder)
        agent = Agent(policy_bot.local_domain(), [MemoizationPolicy()])
        agent.train(agent.load_data(named))
        agent.persist(tmp_path / "model")
        files = sorted(path for path in (tmp_path / "model").rglob("*") if path.is_file())
        written.append([(path.name, path.read_bytes()) for path in files])
    assert all(files == written[0] for files in written[1:])
