-- Records of campaigns' messages that are final, on shelves (see shelves.lua) that the ends of their ids tell. Many records of
-- a campaign are alike: of each is kept what differs from a pattern, which another one left. What differs in too much
-- keeps a record of its own.
-- A pattern, and what is kept of a record, are of its values, as `spread` returns them.

local archived, archived_raw, archive, take_out, write_archive
local filed, pulled = {}, {} -- id to its record, which `close` writes; id to the shelf on which it was found

do
  local BEGINNING = 6 -- bytes of an id, its time: a campaign's messages have that in common
  local LONGEST = 64 -- bytes: with larger values a server spreads out a hash
  local PATTERNS_MOST, VALUES_MOST = 16, 120
  local raws, campaigns = {}, {} -- id to what is kept of it; beginning of ids to what is known of such messages

  -- The values of a record, with those of its timeline behind them. Its recipient is a number there, an instant is told
  -- from the one before it, and in the timeline's place stands how many fields there are.
  local function spread(r)
    local fields = #r
    local values, steps = {unpack(r)}, {cmsgpack.unpack(r[F.timeline])}
    local number = tonumber(r[F.to]:match('^%+(%d+)$'))
    if number and string.format('+%.0f', number) == r[F.to] then
      values[F.to] = number
    end
    values[F.timeline] = fields
    local before = 0
    for place = 1, #steps, 4 do
      values[fields + place] = steps[place]
      values[fields + place + 1] = steps[place + 1] - before
      values[fields + place + 2], values[fields + place + 3] = steps[place + 2], steps[place + 3]
      before = steps[place + 1]
    end
    return values
  end

  local function gathered(values, last)
    local fields = values[F.timeline]
    local r, steps = {unpack(values, 1, fields)}, {unpack(values, fields + 1, last)}
    for place = 6, #steps, 4 do
      steps[place] = steps[place] + steps[place - 4]
    end
    r[F.timeline] = cmsgpack.pack(unpack(steps))
    if type(r[F.to]) == 'number' then
      r[F.to] = string.format('+%.0f', r[F.to])
    end
    return r
  end

  local function both_numbers(one, other)
    return type(one) == 'number' and type(other) == 'number'
  end

  -- What is kept of values that follow the pattern number `number`.
  local function differing(values, pattern, number)
    local places, new, n = {}, {}, 0
    for place = 1, #values do
      local value, usual = values[place], pattern[place]
      if value ~= usual then
        n = n + 1
        local exact = both_numbers(value, usual) and usual + (value - usual) == value
        places[n], new[n] = place, exact and value - usual or value
      end
    end
    return cmsgpack.pack(number, string.char(unpack(places)), unpack(new))
  end

  local function known_of(id)
    local beginning = id:sub(1, BEGINNING)
    local known = campaigns[beginning]
    if not known then
      known = {beginning = beginning, size = 0, added = 0, patterns = {}, raw = {}, new = {}}
      campaigns[beginning] = known
      local told = redis.call('HGETALL', K.patterns .. beginning)
      for place = 1, #told, 2 do
        if told[place] == 'size' then
          known.size = tonumber(told[place + 1])
        else
          known.raw[tonumber(told[place])] = told[place + 1]
        end
      end
    end
    return known
  end

  local function unpacked(raw)
    return {cmsgpack.unpack(raw)}
  end

  -- A pattern; one that can't be read fits nothing.
  local function pattern_of(known, number)
    if not known.patterns[number] then
      local readable, pattern = pcall(unpacked, known.raw[number])
      known.patterns[number] = readable and pattern or {}
    end
    return known.patterns[number]
  end

  local function record_of(known, raw)
    local kept = {cmsgpack.unpack(raw)}
    local pattern, places = pattern_of(known, kept[1]), kept[2]
    local values = {unpack(pattern)}
    for n = 1, #places do
      local place, new = places:byte(n), kept[n + 2]
      values[place] = both_numbers(new, pattern[place]) and pattern[place] + new or new
    end
    return gathered(values, #pattern)
  end

  local function shelf_of(known, level, id)
    return K.archive .. known.beginning .. digits_of(level, id:byte(-1), id:byte(-2), id:byte(-3))
  end

  -- What is kept of a message, what is known of such messages, and the shelf; nothing where it isn't there.
  local function find(id)
    local known = known_of(id)
    for level = known.size > 0 and level_of(known.size) or -1, 0, -1 do
      local shelf = shelf_of(known, level, id)
      local raw = redis.call('HGET', shelf, id:sub(BEGINNING + 1))
      if raw then
        return raw, known, shelf
      end
    end
  end

  -- The record of a message, or false where there is none, or none that can be read.
  function archived(id)
    local raw, known, shelf = find(id)
    if not raw then
      return false
    end
    pulled[id] = shelf
    local readable, r = pcall(record_of, known, raw)
    return readable and r
  end

  -- The same, packed as every record is; what can't be read as it is. Also the shelf.
  function archived_raw(id)
    local raw, known, shelf = find(id)
    if not raw then
      return false
    end
    local readable, r = pcall(record_of, known, raw)
    return readable and cmsgpack.pack(r) or raw, shelf
  end

  -- Leaves a pattern of values, if they follow it closely enough. It names nobody: what differs anyway is left out of it.
  -- Returns what is kept of the values.
  local function leave_pattern(known, values)
    local number, pattern = #known.raw + 1, {unpack(values)}
    pattern[F.to], pattern[F.provider_id], pattern[F.extras] = 0, '', ''
    local raw = differing(values, pattern, number)
    if #raw <= LONGEST then
      known.patterns[number], known.raw[number] = pattern, cmsgpack.pack(unpack(pattern))
      known.new[number] = true
      return raw
    end
  end

  -- What is kept of values where they follow a pattern closely enough, an earlier one or their own; else nothing.
  local function kept_of(known, values)
    for number = 1, #known.raw do
      local pattern = pattern_of(known, number)
      if #pattern == #values and pattern[F.status] == values[F.status] then
        local raw = differing(values, pattern, number)
        if #raw <= LONGEST then
          return raw
        end
      end
    end
    if #values <= VALUES_MOST and #known.raw < PATTERNS_MOST then
      return leave_pattern(known, values)
    end
  end

  -- Puts a record on its shelf. Returns whether it fits there.
  function archive(id, r)
    local readable, values = pcall(spread, r)
    local raw = readable and kept_of(known_of(id), values)
    if not raw then
      return false
    end
    filed[id], raws[id] = r, raw
    return true
  end

  -- Takes a record off its shelf: it has one of its own again.
  function take_out(id)
    filed[id] = nil
    if pulled[id] then
      redis.call('HDEL', pulled[id], id:sub(BEGINNING + 1))
      pulled[id] = nil
    end
  end

  local kept = {}

  -- Keeps a key for at least `span` ms (as text), the same at each call.
  local function keep(key, span)
    kept[key] = kept[key] or redis.call('PEXPIRE', key, span, 'GT') == 1 or redis.call('PEXPIRE', key, span, 'NX')
  end

  -- Keeps for `span` ms (as text) what new entries stand on, and all that they are read by.
  local function write_patterns(span)
    for _, known in pairs(campaigns) do
      local key = K.patterns .. known.beginning
      for number in pairs(known.new) do
        redis.call('HSET', key, number, known.raw[number])
      end
      if known.added > 0 then
        redis.call('HINCRBY', key, 'size', known.added)
      end
      if known.added > 0 or next(known.new) then
        keep(key, span)
      end
    end
  end

  -- Writes what is filed, and takes away the records that it had: see closing.lua.
  function write_archive(span)
    local gone = {}
    for id in pairs(filed) do
      local known, shelf = known_of(id), pulled[id]
      if not shelf then
        shelf = shelf_of(known, level_of(known.size), id)
        known.size, known.added = known.size + 1, known.added + 1
        gone[#gone + 1] = K.message .. id
      end
      redis.call('HSET', shelf, id:sub(BEGINNING + 1), raws[id])
      if not pulled[id] then
        keep(shelf, span)
      end
    end
    for first = 1, #gone, 1000 do
      redis.call('DEL', unpack(gone, first, math.min(first + 999, #gone)))
    end
    write_patterns(span)
  end
end
