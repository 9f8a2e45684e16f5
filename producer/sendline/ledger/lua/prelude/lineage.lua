-- Which ledger this is and how far it has come, against what the caller has seen of it.
-- The last ARGV of every verb is that: a packed array (see lineage.py), or '' where the caller has seen nothing yet:
--   born us, era, sequence (number of the newest event), mark us (instant of the newest event)
-- A ledger that lacks what somebody has seen was brought back from an older state, by a failover or from a backup.
-- It may have forgotten claims: nothing is claimed any more until `sendline recover`.

local BORN, ERA, SEQ, MARK, BEHIND
do
  local m = redis.call('HMGET', K.meta, 'born', 'era', 'seq', 'mark', 'behind')
  BORN, ERA, SEQ, MARK = tonumber(m[1] or 0), tonumber(m[2] or 0), tonumber(m[3] or 0), tonumber(m[4] or 0)
  BEHIND = m[5]
end

local FAILOVER_TOOK = 600000 -- ms; a worker that starts right after one may have ticked before anybody noticed

local function lacks(born, era, seq, mark)
  if born ~= BORN or era < ERA then
    return false -- another ledger, or one that has recovered since
  end
  if era > ERA or seq > SEQ then
    return true
  end
  if seq == SEQ then
    return mark ~= MARK
  end
  local number = string.format('%.0f', seq)
  local kept = redis.call('XRANGE', K.events, number, number)[1]
  return kept and kept[1] ~= number .. '-' .. string.format('%.0f', mark)
end

-- The instant (ms) of the last sign of life before the loss: whatever was claimed earlier is known.
local function last_known()
  local m = redis.call('HMGET', K.meta, 'ticked_at', 'gap_from', 'gap_to')
  if m[3] and NOW - tonumber(m[3]) < FAILOVER_TOOK then
    return tonumber(m[2])
  end
  return tonumber(m[1] or 0)
end

-- Stops dispatching. `seq`: the newest event that somebody has seen.
local function fall_behind(seq)
  BEHIND = cmsgpack.pack({NOW, last_known(), seq, SEQ})
  redis.call('DEL', K.nothing) -- see go_on_when_full
  redis.call('HSET', K.meta, 'behind', BEHIND)
end

do
  local seen = table.remove(ARGV)
  if seen ~= '' and not BEHIND then
    local born, era, seq, mark = unpack(cmsgpack.unpack(seen))
    if lacks(born, era, seq, mark) then
      fall_behind(seq)
    end
  end
end
