-- Takes messages off a row, with the tokens that they cost.

local sharing = cmsgpack.unpack(ARGV[11]) -- see claim.lua
local took, examined = {}, 0 -- each message's id, and its record

local take
do
  local shares, met = cmsgpack.unpack(ARGV[10]), {}
  local OWED_MOST = LARGEST -- units: no more is ever paid at once
  local MOVED = 4 -- times as dear as a message that is merely looked at

  -- Writes down for the account what went. Every token earns something for the lanes that wait for it.
  local function pay(house, messages, units)
    if messages == 0 then
      return
    end
    local a = house.a
    a.flying, a.units = a.flying + messages, a.units + units
    if sharing[1] then
      sharing[3][a.name] = (sharing[3][a.name] or 0) + messages
    end
    for lane = 1, LANES - 1 do
      local waits = #house[lane] > 0
      a.owed[lane] = waits and math.min(a.owed[lane] + units * shares[lane] / 1000000, OWED_MOST) or 0
    end
  end

  local ends = {}

  -- The instant (ms) at which a campaign ends.
  local function end_of(campaign)
    ends[campaign] = ends[campaign] or tonumber(redis.call('HGET', K.campaign .. campaign, 'ends') or 0)
    return ends[campaign]
  end

  -- Takes one message for the account, at the instant `at` (us). Returns whether it goes: not one that is over.
  local function claim(id, r, v, a, at)
    r[F.flags] = r[F.flags] - FLAG.QUEUED
    if r[F.expires] == 0 and has(r, FLAG.TEMPLATED) then
      r[F.expires] = math.max(end_of(r[F.campaign]) - r[F.created], 1)
    end
    if expires_at(r) <= NOW then
      give_up(id, r, S.EXPIRED, r[F.error], 'its validity ended')
      return false
    end
    if has(r, FLAG.CANCEL) then
      give_up(id, r, S.CANCELED, r[F.error], 'a person said so')
      return false
    end
    local by = ''
    if r[F.route] ~= a.name then
      by = 'by account ' .. a.name .. (v.why and ': ' .. v.why or '')
    end
    r[F.account] = a.name
    r[F.attempts] = r[F.attempts] + 1
    move(id, r, S.SENDING, '', by, false, math.floor(at / 1000))
    local n = #took
    took[n + 1], took[n + 2] = id, r
    return true
  end

  -- The instant (us) of the newest entry of its timeline: nothing that follows is dated earlier.
  local function latest(r)
    local at = r[F.created]
    if #r[F.timeline] > 4 then
      local entries = {cmsgpack.unpack(r[F.timeline])}
      at = at + (entries[#entries - 2] or 0)
    end
    return math.min(at * 1000, NOW_US) -- the clock may have stepped back
  end

  -- The instant (us) from which a message may go, by the account's limits; also the one from which its sender may, where
  -- that is what holds it.
  local function instant_for(r, v, a, cost)
    local at = math.max(v.base, latest(r), instant_of(a, cost))
    if not fits_day(a, cost) then
      return math.huge
    end
    if a.s_interval == 0 and a.s_cap == 0 then
      return at
    end
    local n = number_of(a, r[F.sender])
    if not fits_day(n, cost) then
      return math.huge, n.day_ends * 1000
    end
    local from = instant_of(n, cost)
    if from > NOW_US then
      return math.huge, from
    end
    return math.max(at, from), nil, n
  end

  -- Ends a message whose recipient has opted out since it was accepted: it takes no token.
  local function suppress(id, r, reason)
    examined = examined + MOVED
    set(r, FLAG.QUEUED, false)
    give_up(id, r, S.SUPPRESSED, 'opted_out', reason)
  end

  local function put_back(key, ids, first)
    for place = #ids, first, -1 do
      redis.call('LPUSH', key, ids[place])
    end
  end

  -- Whether an id that was taken off a row still waits there. What belongs into another row goes there.
  local function belongs(id, r, row)
    if met[id] or not r or not is_waiting(r) or not has(r, FLAG.QUEUED) then
      return false
    end
    if row_of(r) ~= row then
      examined = examined + MOVED
      stand(id, r, false)
      return false
    end
    met[id] = true
    return true
  end

  -- Takes up to `n` messages off a row. Ids of messages that don't wait any more are dropped on the way. Returns how many
  -- went, their units, whether a limit stopped it, and until when (us) its sender is held.
  function take(house, v, row, n)
    local a, key = house.a, row_key(v.line, row)
    local ids = redis.call('LPOP', key, n) or {}
    local got, units = 0, 0
    examined = examined + #ids
    local records = load_all(ids)
    local reasons = opted_out(records, #ids, F.to)
    for place, id in ipairs(ids) do
      local r = records[place]
      local is_ours = belongs(id, r, row)
      if is_ours and reasons[r[F.to]] then
        suppress(id, r, reasons[r[F.to]])
      elseif is_ours then
        local cost = a.segments and math.max(r[F.segments], 1) or 1
        local at, held, n_from = instant_for(r, v, a, cost)
        if at > NOW_US then
          met[id] = nil
          put_back(key, ids, place)
          pay(house, got, units)
          if not held then -- nobody else takes the tokens that it waits for; a day that is over, `choose` knows
            house.short_until = at < math.huge and at or NOW_US
          end
          return got, units, true, held
        end
        if claim(id, r, v, a, at) then
          spend(a, at, cost)
          if n_from then
            spend(n_from, at, cost)
          end
          got, units = got + 1, units + cost
        end
      end
    end
    pay(house, got, units)
    return got, units, false
  end
end
