"""The same stories give the same model in every process, whatever the hashes of strings are there."""

from __future__ import annotations

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
