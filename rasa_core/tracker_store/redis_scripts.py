"""The names of the keys of the Redis store, and its Lua scripts: each is one atomic step on one conversation.

While Redis runs a script, it runs no other command; but it does not roll back the writes of a script that fails. So a
script checks everything that could fail before its first write: the version, the types of all keys (by reading them),
and, in Redis 7, the permission for each write. If the memory of the server is full, or if it is a replica or cannot
save, Redis refuses the first write, and thereby the script; it never refuses a later write of the script.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TypeAlias

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store.base import ANSWERS_KEPT, StoredAnswer
from rasa_core.tracker_store.heads import Head

Word: TypeAlias = str | bytes | int | float
MOST_EVENTS = 1_000_000
"""The most events of one commit; a command of Redis has at most 1,048,576 words."""

_ESCAPES = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})
ANSWERS = ("answers", "answers:created", "answers:stored")
ALL_PARTS = ("head", "events", *ANSWERS)


class Keys:
    """The names of the keys of a store, which start with `prefix`.

    The keys of one conversation have its id in a hash tag, and so are in one slot of a Redis Cluster. A character that
    would end the hash tag is escaped; no two ids give the same name.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{}"):
            raise StoreError(f"key_prefix is printable ASCII text without {{ and }}, not {prefix!r}.")
        self._prefix = prefix
        self.layout = f"{prefix}:layout".encode()
        self.ids = f"{prefix}:ids".encode()

    def of(self, sender_id: str, *parts: str) -> list[bytes]:
        """Return the keys of parts of a conversation."""
        # Redis ignores an empty hash tag. The escape of the empty id, a single %, is that of no other id.
        start = f"{self._prefix}:{{{sender_id.translate(_ESCAPES) or '%'}}}:"
        return [(start + part).encode() for part in parts]


# KEYS: head, events, answers, answers by creation, answers by storing. ARGV: the expected version, the five
# fields of the head, key, value and creation time of the answer ('' for none), how long answers are kept in
# seconds, events. It returns the reason why the commit is refused, and the number that belongs to the reason.
# RPUSH is called several times, since Lua allows only some thousands of arguments.
COMMIT = """
local head, events, answers, created, stored = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local key, kept, first = ARGV[7], tonumber(ARGV[10]), 11
local version = redis.call('HGET', head, 'version') or '0'
local length = redis.call('LLEN', events)
if version ~= ARGV[1] then
  return {'version', tonumber(version)}
end
if length ~= tonumber(version) then
  return {'length', length}
end
local writes = {{'HSET', head, 'f', 'v'}, {'PERSIST', head}, {'PERSIST', events}, {'RPUSH', events, 'v'}}
local now, outdated = 0, {}
if key ~= '' then
  redis.call('HLEN', answers)
  redis.call('ZCARD', created)
  now = tonumber(redis.call('TIME')[1])
  outdated = redis.call('ZRANGEBYSCORE', stored, '-inf', '(' .. (now - kept), 'LIMIT', 0, 10)
  for _, write in ipairs({{'HSET', answers, 'f', 'v'}, {'HDEL', answers, 'f'}, {'ZADD', created, '0', 'v'},
      {'ZREM', created, 'v'}, {'EXPIRE', created, '1'}}) do
    table.insert(writes, write)
  end
end
if redis.acl_check_cmd then
  for _, write in ipairs(writes) do
    if not redis.acl_check_cmd(unpack(write)) then
      return redis.error_reply('NOPERM this user may not run ' .. write[1])
    end
  end
end
redis.call('HSET', head, 'version', ARGV[2], 'origin', ARGV[3], 'fingerprint', ARGV[4], 'updated', ARGV[5],
  'state', ARGV[6])
redis.call('PERSIST', head)
redis.call('PERSIST', events)
for from = first, #ARGV, 1000 do
  redis.call('RPUSH', events, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
if key ~= '' then
  for _, old in ipairs(outdated) do
    redis.call('HDEL', answers, old)
    redis.call('ZREM', created, old)
    redis.call('ZREM', stored, old)
  end
  redis.call('HSET', answers, key, ARGV[8])
  redis.call('ZADD', created, ARGV[9], key)
  redis.call('ZADD', stored, now, key)
  redis.call('EXPIRE', answers, kept)
  redis.call('EXPIRE', created, kept)
  redis.call('EXPIRE', stored, kept)
end
return {'done', 0}
"""

# KEYS: as for COMMIT. It returns 1 if there was a head.
DELETE = """
local had = redis.call('EXISTS', KEYS[1])
redis.call('UNLINK', unpack(KEYS))
return had
"""

# KEYS: answers, answers by creation, answers by storing. ARGV: a Unix time, and how many answers to remove at
# most, so that other commands do not wait for long. It returns the number of removed answers.
EXPIRE_ANSWERS = """
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #old > 0 then
  redis.call('HDEL', KEYS[1], unpack(old))
  redis.call('ZREM', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
return #old
"""

# KEYS: head, events. ARGV: milliseconds. Both keys expire at the same time, which two PEXPIRE would not ensure.
SET_LIFETIME = """
local now = redis.call('TIME')
local stop = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', stop))
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', stop))
return 1
"""

# KEYS: the lease. ARGV: the holder's token; milliseconds, 0 to release the lease; 1 to take a lease that is free. It
# returns 1 if the holder had or got the lease. It is safe to repeat after a lost reply. A renewal does not take a free
# lease: the holder may have just released it.
HOLD_LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and (holder or ARGV[3] ~= '1') then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

SCRIPTS = (COMMIT, DELETE, EXPIRE_ANSWERS, SET_LIFETIME, HOLD_LEASE)


def words_of_commit(
    sender_id: str, expected_version: int, events: Sequence[str], head: Head, answer: StoredAnswer | None
) -> list[Word]:
    """Return the arguments of `COMMIT`."""
    if len(events) > MOST_EVENTS:
        raise StoreError(
            f"{len(events)} events of conversation {sender_id!r} are too many for one commit: Redis takes "
            f"{MOST_EVENTS}. Commit them in parts."
        )
    said: list[Word] = ["", "", ""]
    if answer is not None and not math.isfinite(answer.created):
        raise StoreError(f"the time of the answer {answer.key!r} is {answer.created}, not a Unix time.")
    if answer is not None:
        said = [answer.key, answer_word(answer), repr(float(answer.created))]
    stored: list[Word] = [head.version, head.origin, head.fingerprint, repr(head.updated), head.state]
    return [expected_version, *stored, *said, int(ANSWERS_KEPT), *events]


def answer_word(answer: StoredAnswer) -> str:
    """Return the text in which an answer is stored."""
    return f"{json.dumps([answer.request, answer.version, answer.complete, answer.created])}\n{answer.text}"
