"""What can go wrong with Redis, in the words of this package."""

from __future__ import annotations

import re

import redis
from redis.exceptions import MovedError, RedisClusterException

from rasa_core.exceptions import StoreError, StoreUnavailableError

DRIVER_ERRORS = (redis.RedisError, RedisClusterException, OSError)
"""All that redis-py raises."""

# The order counts: the first class that fits names the code.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (redis.AuthenticationError, "NOAUTH"),
    (redis.BusyLoadingError, "LOADING"),
    (redis.ConnectionError, "CONNECTION"),
    (redis.TimeoutError, "TIMEOUT"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.OutOfMemoryError, "OOM"),
    (MovedError, "MOVED"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (OSError, "CONNECTION"),
)
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
_GRANT = (
    "Grant its user +@read +@write +@scripting +@connection +time on the keys of the store, and +cluster +command "
    "on a cluster."
)
_PASSING = {
    "CONNECTION": "Start Redis there, or correct the address.",
    "TIMEOUT": "It takes too long to answer: it is overloaded, or its disk is.",
    "LOADING": "It has just started, and still loads its data; try again.",
    "OOM": "Its memory is used up: raise its maxmemory, or delete conversations.",
    "READONLY": "It is a replica, which takes no writes: name the primary.",
    "MISCONF": "It cannot save to its disk: make room there, then look into its log.",
    "NOREPLICAS": "Too few of its replicas are connected.",
    "MASTERDOWN": "It is a replica that lost its primary.",
    "CLUSTERDOWN": "Part of the cluster is missing; try again.",
    "TRYAGAIN": "The cluster is moving keys; try again.",
    "BUSY": "It is busy with a long script of other software.",
    "Redis Cluster cannot be connected": "Start the cluster, or correct the address.",
    "slots are not covered": "Part of the cluster is missing; try again.",
}
_LASTING = {
    "NOAUTH": "Give the right user and password, as in redis://:password@host:6379/0.",
    "NOPERM": _GRANT,
    "can't run this command": _GRANT,
    "WRONGTYPE": "Other software uses its keys: choose another key_prefix, or another database.",
    _CERTIFICATE: "Name a file with its certificate authority in the environment variable SSL_CERT_FILE.",
    "MOVED": "It is part of a Redis Cluster: add ?cluster=true.",
    "Cluster mode is not enabled": "It is a single server: leave out ?cluster=true.",
    "DB index is out of range": "Choose a lower number for the database.",
    "unknown command": "Redis 6 or newer is needed.",
}
_DOUBTFUL = {"CONNECTION", "TIMEOUT"}
_PLACE_IN_SCRIPT = re.compile(r",? script: [0-9a-f]{40}.*", re.DOTALL)


def is_dropped(error: redis.ConnectionError) -> bool:
    """Tell whether a connection broke, so that another one may do."""
    return _code(error) == "CONNECTION"


def translated(error: Exception, address: str, *, changing: bool) -> StoreError:
    """Return the error to raise for one of `DRIVER_ERRORS`.

    Parameters
    ----------
    address
        Of the server, without a password.
    changing
        Whether the operation was a change; if no reply came, nobody knows whether it took place.
    """
    error = _cause(error)
    code = _code(error)
    remedy = _PASSING.get(code) or _LASTING.get(code) or "Look into its log."
    text = _PLACE_IN_SCRIPT.sub("", str(error)).rstrip(". ") or type(error).__name__
    if changing and code in _DOUBTFUL and "connecting to" not in text:
        remedy += " It may have stored the change, or not: read the conversation again."
    kind = StoreUnavailableError if code in _PASSING else StoreError
    return kind(f"cannot use the tracker store {address}: {text}. {remedy}")


def _cause(error: Exception) -> Exception:
    """Return what kept redis-py from finding the cluster."""
    while isinstance(error, RedisClusterException) and isinstance(error.__cause__, DRIVER_ERRORS):
        error = error.__cause__
    return error


def _code(error: Exception) -> str:
    """Return Redis's name of an error; of what redis-py knows no class for, by its text."""
    text = str(error)
    if _CERTIFICATE in text:  # A ConnectionError to redis-py.
        return _CERTIFICATE
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    # Redis 6 puts the name into the middle of the text if the error arose in a script.
    return next((code for code in (*_PASSING, *_LASTING) if re.search(rf"\b{code}\b", text)), "")
