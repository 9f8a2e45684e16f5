-- What every verb ends with: `return close(reply)`. Writes records, timers, counts and events, each kind together, and
-- tells how far the ledger has come.
-- Returns {reply, born us, era, sequence, mark us}.

local EVENTS_AN_ENTRY = 100 -- one command costs more than the writing of one event

local function write_events()
  if BORN == 0 then
    BORN = NOW_US
    redis.call('HSET', K.meta, 'born', string.format('%.0f', BORN))
  end
  tell_of_events(SEQ + 1)
  MARK = NOW_US
  local mark = string.format('%.0f', MARK)
  for first = 1, #events, EVENTS_AN_ENTRY do
    local last = math.min(first + EVENTS_AN_ENTRY - 1, #events)
    SEQ = SEQ + last - first + 1
    local oldest = string.format('%.0f', math.max(SEQ - EVENTS_KEPT, 0))
    local number = string.format('%.0f-', SEQ) .. mark
    redis.call('XADD', K.events, 'MINID', '~', oldest, number, 'e', table.concat(events, '', first, last))
  end
  redis.call('HSET', K.meta, 'seq', string.format('%.0f', SEQ), 'mark', mark)
end

local function write_records()
  local values, n = {}, 0
  for id, raw in pairs(unsaved) do
    values[n + 1], values[n + 2] = K.message .. id, raw
    n = n + 2
  end
  for first = 1, n, PASSED do
    redis.call('MSET', unpack(values, first, math.min(first + PASSED - 1, n)))
  end
end

local function write_timers()
  local set, gone, n, texts = {}, {}, 0, {}
  for id, at in pairs(timers) do
    if at then
      texts[at] = texts[at] or string.format('%.0f', at)
      set[n + 1], set[n + 2] = texts[at], id
      n = n + 2
    else
      gone[#gone + 1] = id
    end
  end
  for first = 1, n, PASSED do
    redis.call('ZADD', K.timers, unpack(set, first, math.min(first + PASSED - 1, n)))
  end
  for first = 1, #gone, PASSED do
    redis.call('ZREM', K.timers, unpack(gone, first, math.min(first + PASSED - 1, #gone)))
  end
end

-- Counts for a campaign that is still there: what comes later would be kept for ever.
local function write_tally(campaign, changes)
  local key = K.campaign .. campaign
  if redis.call('EXISTS', key) == 0 then
    return
  end
  for name, by in pairs(changes) do
    if by ~= 0 then
      redis.call('HINCRBY', key, name, by)
    end
  end
  if outcomes[campaign] then
    redis.call('APPEND', K.outcomes .. campaign, outcomes[campaign])
  end
end

local function close(reply)
  if next(unsaved) then
    write_records()
  end
  if next(filed) then
    write_archive(decimal(RETENTION))
  end
  if next(timers) then
    write_timers()
  end
  write_noted()
  for name, by in pairs(deltas) do
    if by ~= 0 then
      redis.call('HINCRBY', K.counts, name, by)
    end
  end
  for campaign, changes in pairs(tallies) do
    write_tally(campaign, changes)
  end
  for account, by in pairs(flights) do
    if by ~= 0 then
      redis.call('HINCRBY', K.account .. account, 'flying', by)
      if by < 0 and redis.call('HDEL', K.account .. account, 'full') == 1 then
        release(account)
      end
    end
  end
  if #events > 0 then
    write_events()
  end
  return {reply, BORN, ERA, SEQ, MARK}
end
