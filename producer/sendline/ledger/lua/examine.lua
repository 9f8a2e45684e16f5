-- Reads messages with all that belongs to them, each at one instant. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2] packed array of rows (`lane code:route`, and `:row` unless that is empty) that are searched for each, besides
--     its own; '': not even its own  [3..] ids
-- Returns the time (ms), then for each id {record ('' if none), ms what keeps it lives on (-1: for ever), instant (ms) of
-- its timer ('' if none), instant (ms) at which its provider is asked about it as uncertain ('' if it isn't), the same
-- as sent and late, how often its id stands in its own line: 0, 1 or 2 (-1: not searched), in which of the given lines
-- else it stands ('': none)}.
-- A search costs the length of the line.

local searched = ARGV[2] ~= '' and cmsgpack.unpack(ARGV[2])
local reply = {NOW}

local function own_row(id)
  local r = load(id)
  return r and r[F.route] and row_key(r[F.lane] .. ':' .. r[F.route], row_of(r))
end

local function times(key, id)
  return #redis.call('LPOS', key, id, 'COUNT', 2)
end

for place = 3, #ARGV do
  local id = ARGV[place]
  local own, others = -1, {}
  if searched then
    local key = own_row(id)
    own = key and times(key, id) or 0
    for _, row in ipairs(searched) do
      if K.line .. row ~= key and times(K.line .. row, id) > 0 then
        others[#others + 1] = row
      end
    end
  end
  local raw, shelf = redis.call('GET', K.message .. id), nil
  if not raw then
    raw, shelf = archived_raw(id)
  end
  reply[#reply + 1] = {
    raw or '',
    redis.call('PTTL', shelf or K.message .. id),
    redis.call('ZSCORE', K.timers, id) or '',
    redis.call('ZSCORE', K.uncertain, id) or '',
    redis.call('ZSCORE', K.unreported, id) or '',
    own,
    #others > 0 and others or '',
  }
end
return close(reply)
