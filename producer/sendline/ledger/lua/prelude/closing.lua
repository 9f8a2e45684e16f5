-- What every verb ends with: `return close(reply)`. Writes counts and events, and tells how far the ledger has come.
-- Returns {reply, born us, era, sequence, mark us}.

local function write_events()
  if BORN == 0 then
    BORN = NOW_US
    redis.call('HSET', K.meta, 'born', string.format('%.0f', BORN))
  end
  MARK = NOW_US
  local mark = string.format('%.0f', MARK)
  for _, event in ipairs(events) do
    SEQ = SEQ + 1
    redis.call('XADD', K.events, 'MAXLEN', '~', EVENTS_KEPT, string.format('%.0f-', SEQ) .. mark, 'e', event)
  end
  redis.call('HSET', K.meta, 'seq', string.format('%.0f', SEQ), 'mark', mark)
end

local function close(reply)
  for name, by in pairs(deltas) do
    if by ~= 0 then
      redis.call('HINCRBY', K.counts, name, by)
    end
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
