-- Which ledger this is and how far it has come, against what the caller has seen of it.
-- The last ARGV of every verb is that: a packed array (see lineage.py), or '' where the caller has seen nothing yet:
--   born us, era, sequence (number of the newest event), mark us (instant of the newest event)
-- A ledger that lacks what somebody has seen was brought back from an older state, by a failover or from a backup.
-- It may have forgotten claims: nothing is claimed any more until `sendline recover`.

local BORN, ERA, SEQ, MARK, BEHIND, SPLIT, WOKEN
do
  local m = redis.call('HMGET', K.meta, 'born', 'era', 'seq', 'mark', 'behind', 'split', 'hooked', 'wake_at')
  BORN, ERA, SEQ, MARK = tonumber(m[1] or 0), tonumber(m[2] or 0), tonumber(m[3] or 0), tonumber(m[4] or 0)
  HOOKED, WOKEN = m[7], tonumber(m[8] or 0) -- WOKEN: ms, when a wake was pushed last
  BEHIND, SPLIT = m[5], m[6] -- SPLIT: ',a,b,': accounts that limit what goes from one sender
end

local CLOCKS_APART = 2000 -- ms by which the clocks of two servers may differ
local last_known, fall_behind

do
  local SEQ_JUMP = 1000000 -- beyond any number that was given out and forgotten

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
    if kept then
      return kept[1] ~= number .. '-' .. string.format('%.0f', mark)
    end
    -- what a call tells as its newest event is the last one of an entry: in this ledger it is in the middle of one
    local over = redis.call('XRANGE', K.events, number, '+', 'COUNT', 1)[1]
    return over and tonumber(over[1]:match('^%d+')) - select('#', cmsgpack.unpack(over[2][2])) < seq
  end

  -- The instant (ms) of the last sign of life before the loss: whatever was claimed earlier is known. `mark` (us) is of
  -- something that was forgotten: a time without ticks that ended before it is of the past that was kept.
  function last_known(mark)
    local m = redis.call('HMGET', K.meta, 'ticked_at', 'gaps')
    local since = tonumber(m[1] or 0)
    for _, gap in ipairs(m[2] and cmsgpack.unpack(m[2]) or {}) do
      if gap[2] > mark / 1000 - CLOCKS_APART then
        since = math.min(since, gap[1])
      end
    end
    return since
  end

  -- What the accounts of all lines may send: {name: {interval us, burst}}, or might until lately (see configure.lua).
  local function limits_in_force()
    local limits = {}
    for lane = 0, LANES - 1 do
      for _, route in ipairs(redis.call('ZRANGE', K.ready .. lane, 0, -1)) do
        for name in route:gmatch('[^,]+') do
          local h = redis.call('HMGET', K.account .. name, 'interval', 'burst', 'was_interval', 'was_burst', 'was_until')
          local limit = h[1] and {tonumber(h[1]), tonumber(h[2])}
          if limit and h[5] and tonumber(h[5]) > NOW then
            limit = {math.min(limit[1], tonumber(h[3])), math.max(limit[2], tonumber(h[4]))}
          end
          limits[name] = limit
        end
      end
    end
    return limits
  end

  -- Stops dispatching. `era`, `seq` and `mark` are of the newest event that somebody has seen. Numbers of events go on beyond
  -- it, so that who reads them is told that some are lost.
  function fall_behind(era, seq, mark)
    BEHIND = cmsgpack.pack({NOW, last_known(mark), seq, SEQ, limits_in_force(), era})
    SEQ, MARK = math.max(SEQ, seq) + SEQ_JUMP, NOW_US
    redis.call('HSET', K.meta, 'behind', BEHIND, 'seq', string.format('%.0f', SEQ), 'mark', string.format('%.0f', MARK))
  end

  local seen = table.remove(ARGV)
  if seen ~= '' and not BEHIND then
    local born, era, seq, mark = unpack(cmsgpack.unpack(seen))
    if lacks(born, era, seq, mark) then
      fall_behind(era, seq, mark)
    end
  end
end
