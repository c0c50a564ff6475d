"""Translates errors of redis-py: whether a failure is temporary, and the remedy."""

from __future__ import annotations

import re

import redis
from redis.exceptions import RedisClusterException

from rasa_core.exceptions import StoreError, StoreUnavailableError

MOST_CONNECTIONS = 64
DROPPED = "Start Redis there, or correct the address."
SLOW = "It takes too long to answer: it is overloaded, or its disk is."

# For each failure: an expression for the names of its classes and its text, whether it is temporary, and the remedy.
# The first match counts. For some errors of Redis, redis-py has a class, and drops Redis's name of the error.
_FAILURES = (
    ("CERTIFICATE_VERIFY_FAILED", False, "Name a file with its certificate authority in the variable SSL_CERT_FILE."),
    ("No connection available", True, f"All its {MOST_CONNECTIONS} connections are busy: try again."),
    ("AuthenticationError|NOAUTH", False, "Give the right user and password, as in redis://:password@host:6379/0."),
    ("BusyLoadingError|LOADING", True, "It has just started, and still loads its data; try again."),
    ("ReadOnlyError|READONLY", True, "It is a replica, which takes no writes: name the primary."),
    (
        "NoPermissionError|NOPERM|can't run this command",
        False,
        "Grant its user +@read +@write +@scripting +@connection +time on the keys of the store, and +cluster +command "
        "on a cluster.",
    ),
    ("OutOfMemoryError|OOM", True, "Its memory is used up: raise its maxmemory, or delete conversations."),
    ("MovedError|MOVED", False, "It is part of a Redis Cluster: add ?cluster=true."),
    ("MISCONF", True, "It cannot save to its disk: make room there, then look into its log."),
    ("MasterDownError|MASTERDOWN|NOREPLICAS", True, "It lost its primary or its replicas: start them."),
    ("ClusterError|TryAgainError|CLUSTERDOWN|slots are not covered", True, "Part of the cluster is away; try again."),
    ("WRONGTYPE", False, "Other software uses its keys: choose another key_prefix, or another database."),
    ("Cluster mode is not enabled", False, "It is a single server: leave out ?cluster=true."),
    ("DB index is out of range", False, "Choose a lower number for the database."),
    ("unknown command", False, "Redis 6 or newer is needed."),
    ("BUSY", True, "It is busy with a long script of other software."),
    ("TimeoutError", True, SLOW),
    ("ConnectionError|OSError", True, DROPPED),
    ("Redis Cluster cannot be connected", True, "Start the cluster, or correct the address."),
    ("", False, "Look into its log."),
)
_PLACE_IN_SCRIPT = re.compile(r",? script: [0-9a-f]{40}.*", re.DOTALL)


def failure_of(error: Exception) -> tuple[bool, str]:
    """Return whether a failure is temporary, and the remedy."""
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    described = f"{kinds} {error}"
    return next((passing, remedy) for sign, passing, remedy in _FAILURES if re.search(rf"\b(?:{sign})\b", described))


def translated(error: Exception, address: str, changing: bool) -> StoreError:
    """Return the `StoreError` for an error of redis-py; `changing` says whether the operation was a write."""
    while isinstance(error, RedisClusterException) and isinstance(error.__cause__, redis.RedisError | OSError):
        error = error.__cause__  # The reason why redis-py did not find the cluster.
    passing, remedy = failure_of(error)
    text = _PLACE_IN_SCRIPT.sub("", str(error)).rstrip(". ") or type(error).__name__
    if changing and remedy in (DROPPED, SLOW) and "connecting to" not in text:
        remedy += " It may have stored the change, or not: read the conversation again."
    kind = StoreUnavailableError if passing else StoreError
    return kind(f"cannot use the tracker store {address}: {text}. {remedy}")
