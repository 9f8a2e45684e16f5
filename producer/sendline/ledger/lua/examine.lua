-- Reads messages with all that belongs to them, each at one instant. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2..] ids
-- Returns the time (ms), then for each id {record ('' if none), ms its key lives on (-1: for ever),
-- instant (ms) of its timer ('' if none), how often its id stands in the line of its record: 0, 1 or 2}.
-- The last is counted only where a single id is asked for, because it costs the length of the line; else -1.

local reply = {NOW}
for place = 2, #ARGV do
  local id = ARGV[place]
  local raw = redis.call('GET', K.message .. id)
  local places = -1
  if raw and #ARGV == 2 then
    local r = cmsgpack.unpack(raw)
    places = #redis.call('LPOS', K.line .. r[F.lane] .. ':' .. r[F.route], id, 'COUNT', 2)
  end
  reply[place] = {
    raw or '',
    redis.call('PTTL', K.message .. id),
    redis.call('ZSCORE', K.timers, id) or '',
    places,
  }
end
return close(reply)
