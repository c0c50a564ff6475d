"""The Lua scripts of the Redis store: each is one atomic step on one conversation.

Redis runs a script alone, and does not undo what a failing script wrote. So a script looks at everything that
could be wrong before its first write: the version, the types of all keys (by reading them), and the
permission for each write, where the server can tell (Redis 7). Redis itself refuses the first write, and
thereby the script, when its memory is full, when it is a replica, or when it cannot save; it never starts to do
so in the middle of a script.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest under which Redis keeps it."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the digest as Redis does."""
        object.__setattr__(self, "digest", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# KEYS: head, events, answers, answers by creation, answers by storing. ARGV: the expected version, the five
# fields of the head, key, value and creation time of the answer ('' for none), how long answers are kept in
# seconds, events. It answers with what stands against the commit, and the number behind that.
# RPUSH comes in parts, since Lua has room for some thousands of arguments.
COMMIT = Script(
    """
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
)

# KEYS: as for COMMIT. It answers with 1 if there was a head.
DELETE = Script(
    """
local had = redis.call('EXISTS', KEYS[1])
redis.call('UNLINK', unpack(KEYS))
return had
"""
)

# KEYS: answers, answers by creation, answers by storing. ARGV: a Unix time, and how many answers to remove at
# most, so that Redis never stands still for long. It answers with how many it removed.
EXPIRE_ANSWERS = Script(
    """
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #old > 0 then
  redis.call('HDEL', KEYS[1], unpack(old))
  redis.call('ZREM', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
return #old
"""
)

# KEYS: head, events. ARGV: milliseconds. Both end at one moment: two PEXPIRE could differ by one millisecond.
SET_LIFETIME = Script(
    """
local now = redis.call('TIME')
local stop = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', stop))
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', stop))
return 1
"""
)

# KEYS: the lease. ARGV: the holder's token, milliseconds. It answers with 1 if the holder has the lease. Asking
# again after a lost reply does no harm.
TAKE_LEASE = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

# KEYS and ARGV: as for TAKE_LEASE. A lease that ran out is not taken anew: its holder may just have left.
RENEW_LEASE = Script(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""
)

# KEYS: the lease. ARGV: the holder's token.
RELEASE_LEASE = Script(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""
)
