-- Keeps requests that no adapter could read, for people to look at: bounded in number and age.
-- KEYS: none (see keys.py).
-- ARGV[2] name of the call, so that it has its effect once  [3] entries kept  [4] time for which they are kept (ms)
-- ARGV[5..]: for each request a packed array: account, why, headers, query, body, its whole size (see rejected.py)
-- Returns for each 1. An entry is a packed array: at (ms), and those.

local name, most, kept = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local DROPPED = 100 -- old entries that one call drops, at most

local function drop_old()
  for _ = 1, DROPPED do
    local last = redis.call('LINDEX', K.rejected, -1)
    local entry = last and decode(last)
    if not last or (entry and entry[1] > NOW - kept) then
      return
    end
    redis.call('RPOP', K.rejected)
  end
end

local reply, entries = {}, {}
for place = 5, #ARGV do
  reply[place - 4] = 1
  entries[place - 4] = cmsgpack.pack({NOW, unpack(cmsgpack.unpack(ARGV[place]))})
end
if #entries > 0 and redis.call('SET', K.decision .. name, '1', 'NX', 'PX', CALLS_KEPT) then
  for _, entry in ipairs(entries) do
    redis.call('LPUSH', K.rejected, entry)
  end
  redis.call('LTRIM', K.rejected, 0, most - 1)
  redis.call('PEXPIRE', K.rejected, kept)
  drop_old()
end
return close(reply)
