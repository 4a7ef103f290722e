// The scripts on Redis. They move data: read, append what is new, cut, refresh the expiry. What
// the data means is known to `observe.ts` and `tile.ts` only.

import { createHash } from 'node:crypto'

export interface RedisScript {
  readonly source: string
  /** Hex, as EVALSHA takes it. */
  readonly sha1: string
}

function scriptOf(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/**
 * Appends the events of a batch to its entities, and returns what stood there before.
 *
 * KEYS[1]: a key of the batch, for routing. ARGV: seconds to live; what a ring is cut to, and the
 * length above which it is; the length from which it is appended to in place; longest log, log
 * length from which it is returned unasked; the batch as `packBatch` writes it.
 *
 * Returns: the events that something knew already (a byte each, their index); then for each entity
 * in order the ring before, or for a tile the log before and the base when the caller's is another
 * one; and where they are asked for, its late labels. Empty where there is nothing, or nothing was
 * asked.
 *
 * Short rings are SET: a string that APPEND has grown keeps as much room again free. Long ones are
 * appended to: two more strings of 2 kB in Lua, one to join and one to cut, are a third of the cost
 * of a full ring, so it is cut once in eight events.
 */
export const OBSERVE_SCRIPT = scriptOf(`#!lua flags=allow-cross-slot-keys
local call, byte, sub, find = redis.call, string.byte, string.sub, string.find
local ttl, packed = ARGV[1], ARGV[7]
local ringMax, ringMost, ringLong = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local logMax, logLong = tonumber(ARGV[5]), tonumber(ARGV[6])
local count, size = byte(packed, 1, 2)
local at = 3
local events, names = {}, {}
for e = 0, count - 1 do
  events[e] = sub(packed, at, at + size - 1)
  names[e] = sub(packed, at + size - 8, at + size - 1)
  at = at + size
end
local inRing, known, replies = {}, {}, {''}
local replied = 1
local last = #packed
while at <= last do
  local kind, keySize = byte(packed, at, at + 1)
  local labelled = kind >= 4
  if labelled then kind = kind - 4 end
  local key = sub(packed, at + 2, at + 1 + keySize)
  at = at + 2 + keySize
  local isTile = kind >= 2
  local asked = kind == 1 or kind == 3
  local version
  if isTile then
    version = sub(packed, at, at + 7)
    at = at + 8
  end
  local before = call('GET', key)
  local now = before
  if not now then now = isTile and '\\0\\0\\0\\0\\0\\0\\0\\0' or '' end
  local first = isTile and 9 or 1
  local added, length, isCut = '', #now, false
  for i = at + 1, at + byte(packed, at) do
    local e = byte(packed, i)
    if isTile and inRing[e] then
      known[e] = true
    elseif find(now, names[e], first, true) or find(added, names[e], 1, true) then
      known[e] = true
      if not isTile then inRing[e] = true end
    elseif not isTile or length < logMax then
      added = added .. events[e]
      length = length + size
      if not isTile and length > ringMost then
        length = ringMax
        isCut = true
      end
    end
  end
  at = at + 1 + byte(packed, at)
  if isCut then
    call('SET', key, sub(now .. added, -length), 'EX', ttl)
  elseif added ~= '' and #now >= ringLong then
    call('APPEND', key, added)
    call('EXPIRE', key, ttl)
  elseif added ~= '' then
    call('SET', key, now .. added, 'EX', ttl)
  end
  replied = replied + 1
  if not before or not (asked or isTile and #now > logLong) then
    replies[replied] = ''
    if isTile then
      replied = replied + 1
      replies[replied] = ''
    end
  else
    replies[replied] = before
    if isTile then
      replied = replied + 1
      if sub(before, 1, 8) == version then
        replies[replied] = ''
      else
        replies[replied] = call('GET', key .. 'b') or ''
      end
    end
  end
  if labelled then
    replied = replied + 1
    replies[replied] = call('GET', key .. 'l') or ''
  end
end
local list = {}
for e in pairs(known) do list[#list + 1] = string.char(e) end
replies[1] = table.concat(list)
return replies
`)

/**
 * Moves the front of a tile's log into its base, unless someone else did since.
 *
 * KEYS: log, base. ARGV: version that was read, next version, bytes of events that the base now
 * holds, the base, seconds to live. Returns 1 when done, 0 when it was not.
 *
 * A base outlives its last compaction by the longest window and needs no refreshing: after that
 * nothing in it is inside any window.
 */
export const COMPACT_SCRIPT = scriptOf(`#!lua flags=allow-cross-slot-keys
local log = redis.call('GET', KEYS[1])
if not log or string.sub(log, 1, 8) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
redis.call('SET', KEYS[1], ARGV[2] .. string.sub(log, 9 + ARGV[3]), 'EX', ARGV[5])
return 1
`)

/**
 * Replaces the daily counts of an entity's late labels, unless they are others by now.
 *
 * KEYS: the counts. ARGV: what was read, what they shall be, seconds to live. Returns 1 when done,
 * else what stands there. What was read is empty where there was nothing; any other text that no
 * counts are just reads.
 */
export const LABEL_SCRIPT = scriptOf(`#!lua
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
`)
