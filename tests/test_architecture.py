"""The layers of the package: every module has a storey, and imports only from lower storeys."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "rasa_core"

# From the ground up. Each storey is a list of lines, from the ground up again; the rooms and modules of one line are
# neighbours. A module may import from its own room, and from what stands on a lower line; never sideways, never up.
# A name stands for a module, or for a room with all that is in it; the longest name that fits counts.
STOREYS: list[list[list[str]]] = [
    [["version", "exceptions", "compat"], ["_legacy", "support"]],
    [["events", "slots"], ["history"], ["rasa3"], ["domain"], ["trackers"]],
    [["channels"], ["dispatcher", "compat.messages"], ["responses"], ["actions"], ["interpreter"], ["slash_messages"]],
    [["stories", "policies", "tracker_store"]],
    [["nlu"]],
    [
        ["turn"],
        ["rasa_turn", "compat.processors"],
        ["processor"],
        ["explanation", "teaching"],
        ["model_folder", "rasa_project", "agent_turns"],
        ["agent"],
    ],
    [["drawing"], ["evaluation", "checks"], ["project"]],
    [["server", "remote"]],
    [
        ["commands"],
        ["training"],
        [
            # Names of 0.9 and later that live elsewhere now.
            "broker",
            "cli",
            "config",
            "constants",
            "conversation",
            "evaluate",
            "featurizers",
            "nlg",
            "policies.online_trainer",
            "restore",
            "run",
            "server.__main__",
            "test",
            "train",
            "utils",
            "visualize",
        ],
        ["__init__"],
    ],
]
LINES = [line for storey in STOREYS for line in storey]
RANK = {name: rank for rank, line in enumerate(LINES) for name in line}

LONGEST_FILE = 400
LONGEST_CHAIN = 12
SERVING_ONLY = {"werkzeug", "granian", "wsgiref"}
TRAINING_ONLY = {"keras", "jax", "tensorflow", "torch"}
TRAINING_CODE = {"policies.keras_policy", "policies.keras_training"}


def modules() -> list[str]:
    """Return all modules without the name of the package; a package is called by its ``__init__``."""
    return [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))]


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def room_of(module: str) -> str | None:
    """Return the entry of the table that a module belongs to."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in RANK), None)


@cache
def imports_of(module: str) -> tuple[tuple[str, bool, int], ...]:
    """Return imported names, whether the import stands inside a function, and its line; those for types too."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: imports are absolute"
                yield from ((f"{child.module}.{alias.name}", inside, child.lineno) for alias in child.names)
            else:
                yield from walk(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    return tuple(walk(tree_of(path_of(module).read_text(encoding="utf-8")), False))


def tree_of(source: str) -> ast.Module:
    """Return the tree of a module. CPython 3.11 counts depth for all threads as one, and fails if two parse at once."""
    for _ in range(10):
        with suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)


def module_named(name: str) -> str | None:
    """Return the module that an imported name is, or is from; None for one outside of the package."""
    if not name.startswith("rasa_core."):
        return None
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        for found in (".".join(parts[:length]), ".".join([*parts[:length], "__init__"])):
            if path_of(found).is_file():
                return found
    return "__init__"


@cache
def neighbours(module: str) -> frozenset[str]:
    found = {module_named(name) for name, _, _ in imports_of(module)}
    return frozenset(name for name in found if name is not None) - {module}


def test_the_table_names_every_module_once_and_no_other() -> None:
    assert [module for module in modules() if room_of(module) is None] == []
    assert sorted(set(RANK) - {room_of(module) for module in modules()}) == []
    assert sum(map(len, LINES)) == len(RANK)


def imports() -> Iterator[tuple[str, str, str, bool]]:
    """Yield each import: its module, where it stands, its name, and whether it stands inside a function."""
    for module in modules():
        for name, inside, line in imports_of(module):
            yield module, f"{path_of(module)}:{line}", name, inside


def test_imports_point_down() -> None:
    upward = []
    for module, place, name, _ in imports():
        room, target = str(room_of(module)), module_named(name)
        other = room if target is None else str(room_of(target))
        if other != room and RANK[other] >= RANK[room]:
            upward.append(f"{place} imports {name} from above")
    assert upward == []


def test_no_imports_go_in_circles() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(neighbours(module)):
                visit(other, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())


def test_chains_of_imports_are_short() -> None:
    @cache
    def longest(module: str) -> tuple[str, ...]:
        return (module, *max((longest(other) for other in sorted(neighbours(module))), key=len, default=()))

    chain = max((longest(module) for module in modules()), key=len)
    assert len(chain) <= LONGEST_CHAIN, " -> ".join(chain)


def test_files_can_be_read_at_a_sitting() -> None:
    lengths = {module: len(path_of(module).read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert {module: length for module, length in lengths.items() if length > LONGEST_FILE} == {}


def test_nothing_below_the_server_knows_http_servers() -> None:
    below = [(place, name) for module, place, name, _ in imports() if RANK[str(room_of(module))] < RANK["server"]]
    assert [place for place, name in below if name.split(".")[0] in SERVING_ONLY] == []


def test_keras_is_imported_where_it_trains_and_only_when_it_trains() -> None:
    found = [
        (module, place, inside) for module, place, name, inside in imports() if name.split(".")[0] in TRAINING_ONLY
    ]
    assert {module for module, _, _ in found} <= TRAINING_CODE, found
    assert [place for _, place, inside in found if not inside] == []
