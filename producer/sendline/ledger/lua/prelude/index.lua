-- Which message a provider's id belongs to: entries of each day, on shelves (see shelves.lua) that their digests tell. A look-up
-- asks the days that may hold it, the newest first.

local note, find_noted, drop_noted, write_noted

do
  local DAY_MS = 86400000
  local TODAY = math.floor(NOW / DAY_MS)
  local days, sizes -- days with entries, the newest first, and how many entries each has had
  local added = 0

  local function look()
    if days then
      return
    end
    days, sizes = {}, {}
    local told = redis.call('HGETALL', K.indexed)
    for place = 1, #told, 2 do
      local day = tonumber(told[place])
      days[#days + 1], sizes[day] = day, tonumber(told[place + 1])
    end
    table.sort(days, function(one, other)
      return one > other
    end)
  end

  local function shelf_of(day, level, digest)
    return K.index .. day .. ':' .. digits_of(level, digest:byte(1, 3))
  end

  -- The id that is noted for a digest of account and provider id, and the key of its shelf; false where there is none.
  function find_noted(digest)
    look()
    for _, day in ipairs(days) do
      for level = level_of(sizes[day]), 0, -1 do
        local shelf = shelf_of(day, level, digest)
        local id = redis.call('HGET', shelf, digest)
        if id then
          return id, shelf
        end
      end
    end
    return false
  end

  -- Keeps a key for as long as what is noted today, whatever the deadline was when it was made. Mostly it is: to ask
  -- costs less than to say it anew.
  local function keep_noted(key)
    local span = (TODAY + 1) * DAY_MS - NOW + DEADLINE
    if redis.call('PTTL', key) < span - 1000 then
      redis.call('PEXPIRE', key, decimal(span))
    end
  end

  -- Notes the message of a digest that has none yet, for the time for which receipts are awaited, and at most a day more.
  function note(digest, id)
    look()
    if not sizes[TODAY] then
      table.insert(days, 1, TODAY)
      sizes[TODAY] = 0
    end
    local shelf = shelf_of(TODAY, level_of(sizes[TODAY]), digest)
    redis.call('HSET', shelf, digest, id)
    keep_noted(shelf)
    sizes[TODAY], added = sizes[TODAY] + 1, added + 1
  end

  function drop_noted(digest)
    local _, shelf = find_noted(digest)
    if shelf then
      redis.call('HDEL', shelf, digest)
    end
  end

  -- Counts what was noted: see closing.lua. Days whose shelves have ended are forgotten.
  function write_noted()
    if added == 0 then
      return
    end
    local size = redis.call('HINCRBY', K.indexed, TODAY, added)
    keep_noted(K.indexed)
    if size == added then
      for _, day in ipairs(days) do
        if (day + 1) * DAY_MS + DEADLINE < NOW then
          redis.call('HDEL', K.indexed, day)
        end
      end
    end
  end
end
