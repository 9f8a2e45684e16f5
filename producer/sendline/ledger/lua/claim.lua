-- Claims what may go now: takes tokens of the limits and messages together, over all lines with work.
-- KEYS: none (see keys.py).
-- ARGV[2] dispatcher  [3] number of this call, rising  [4] room: messages it can carry now
--     [5] room for what is not urgent  [6] lease ms  [7] horizon us: what may go within it is waited for
--     [8] promise ms: claims again within  [9] 1: sign off if nothing may go within the horizon
--     [10] packed array: parts (millionths) of an account's rate kept for normal, and for bulk
--     [11] packed array: the connections that accounts share, {free, kept for urgent messages, map of account to its
--         calls under way}; empty: nobody shares them
-- Returns {now us, next instant us (0: none), signed off, {accounts that have their share of the connections}, then for
-- each message its id, token, account, record},
-- or {now us, -1, 0, {}} where a later call of this dispatcher has come before this one,
-- or {now us, -2, 0, {}} where the ledger is behind what somebody has seen of it: nothing is claimed then.
-- Urgent messages go first, then normal ones, then bulk. But an account owes each lane that waits its share of all that
-- it sends: what it owes goes before everything else.

local dispatcher, call = ARGV[2], tonumber(ARGV[3])
local room, room_below = tonumber(ARGV[4]), tonumber(ARGV[5])
local lease, horizon, promise = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local EXAMINED_A_CALL = 1024
local QUANTUM = 8 -- messages of one turn
local FULL_FOR_US, IN_FLIGHT_FOR_US = 20000, 1000000
local GATHER_US = 5000 -- at high rates tokens are let gather for so long: one call for several messages

local reply = {NOW_US, 0, 0, {}}

if BEHIND then
  return close({NOW_US, -2, 0, {}})
end

-- The same call again: its reply was lost. What it claimed is returned once more.
local before = redis.call('GET', K.dispatcher .. dispatcher)
if before then
  before = cmsgpack.unpack(before)
  if call < before[1] then
    return close({NOW_US, -1, 0, {}})
  end
  if call == before[1] then
    for place = 2, #before, 2 do
      local id, token = before[place], before[place + 1]
      local r = load(id)
      local is_ours = r and r[F.status] == S.SENDING and r[F.claim] == token
      if is_ours and r[F.to] == '' then
        give_back(id, r, S.CREATED, false, 0, 'handed_back', 'what was kept of its recipient was erased', false)
      elseif is_ours then
        local n = #reply
        reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, token, r[F.account], cmsgpack.pack(r)
      end
    end
    reply[2] = next_instant(0) or 0
    return close(reply)
  end
end

local places_of
do
  local ALPHA = 2

  -- How many more messages the account may have under way, whatever its rate. Each takes one of the free connections: so
  -- many that behind the last there are at most ALPHA times as many under way as are free; one alone it may always have.
  -- What is kept for urgent messages counts as free only when nothing else is.
  function places_of(a)
    local places = math.huge
    if sharing[1] then
      local free, kept, own = sharing[1] - #took / 2, sharing[2], sharing[3][a.name] or 0
      free = free > kept and free - kept or free
      places = math.max(own == 0 and math.min(free, 1) or 0, math.floor((ALPHA * free - own) / (ALPHA + 1)))
    end
    if a.in_flight > 0 then
      places = math.min(places, a.in_flight - a.flying)
    end
    return a.stopped and math.min(places, 1) or places
  end
end

-- The instant (us) from which the account may go on.
local function next_of(a)
  if a.paused_until > NOW then
    return a.paused_until * 1000
  end
  if a.in_flight > 0 and a.flying >= a.in_flight then
    redis.call('HSET', K.account .. a.name, 'full', 1) -- a call that ends tells its lines: see closing.lua
    return NOW_US + IN_FLIGHT_FOR_US
  end
  if places_of(a) <= 0 then
    table.insert(reply[4], a.name)
    return NOW_US + FULL_FOR_US
  end
  if a.cap > 0 and a.used >= a.cap then
    return NOW_US + FULL_FOR_US
  end
  local at = instant_of(a, 1)
  if at <= NOW_US then
    return NOW_US -- it is our room, not its limit, that ended
  end
  return a.interval < GATHER_US and math.max(at, NOW_US + GATHER_US) or at
end

-- Accounts with lines that may go now: {name, a, [lane] = lines}, in the order in which they were found. What is found of
-- one after its turn waits for the next claim. An account is read when its turn comes (a is nil until then, and false where
-- it may not go): room may end before.
local houses = {}
local gathered = {[0] = 0, 0, 0} -- lines of each lane

local gather
do
  local NONE = {}
  local house_of = {}

  local function line_of(name, lane, line)
    local house = house_of[name]
    if not house then
      house = {name = name, [0] = NONE, NONE, NONE}
      houses[#houses + 1], house_of[name] = house, house
    end
    if house[lane] == NONE then
      house[lane] = {line}
    else
      table.insert(house[lane], line)
    end
  end

  -- Finds up to `most` lines more that may go, those that are due longest first. Returns whether there may be others.
  function gather(lane, most)
    local due = K.ready .. lane
    local found = redis.call('ZRANGEBYSCORE', due, '-inf', NOW_US, 'WITHSCORES', 'LIMIT', gathered[lane], most)
    for place = 1, #found, 2 do
      local route, name, why, again = found[place], found[place], nil, nil
      if route:find(',', 1, true) then
        name, why, again = choose(route)
      end
      if name then
        local base = math.max(tonumber(found[place + 1]) - GATHER_US, NOW_US - GRACE)
        line_of(name, lane, {lane = lane, route = route, line = lane .. ':' .. route, base = base, why = why, passed = again})
        gathered[lane] = gathered[lane] + 1
      else
        redis.call('ZADD', due, again, route)
      end
    end
    return #found == 2 * most
  end
end

-- Whether the account of a house may go. Where it may not, its lines are looked at again when it may.
local function opens(house)
  if house.a == nil then
    local name, _, again = choose(house.name)
    house.a = name and account_of(name) or false
    for lane = 0, LANES - 1 do
      for _, v in ipairs(name and {} or house[lane]) do
        redis.call('ZADD', K.ready .. lane, again, v.route)
        gathered[lane] = gathered[lane] - 1
      end
    end
  end
  return house.a
end

-- Lines of one account and lane take turns: the one that was served longest ago goes first.
local function in_turn(lines)
  if #lines < 2 then
    return lines
  end
  local fields, turns = {}, {}
  for place, v in ipairs(lines) do
    fields[place] = v.line
  end
  for place, at in ipairs(redis.call('HMGET', K.turns, unpack(fields))) do
    at = tonumber(at or 0)
    turns[fields[place]] = at <= NOW_US and at or 0 -- a later one is of before the clock stepped back
  end
  table.sort(lines, function(v, w)
    return turns[v.line] < turns[w.line]
  end)
  return lines
end

-- Lets the rows of a line take turns, for up to `places` messages of `budget` units. Returns how many went.
local function serve(house, v, places, budget)
  local a, got = house.a, 0
  unhold(v)
  while examined < EXAMINED_A_CALL and not house.short_until do
    local n = math.min(places - got, budget, places_of(a), tokens(a, v.base))
    local row, turn, alone = next_row(v.line)
    if n <= 0 or not row then
      break
    end
    local went, units, limited, held = 0, 0, false, closed_until(row)
    if not held then
      went, units, limited, held = take(house, v, row, alone and n or math.min(n, QUANTUM))
    end
    got, budget = got + went, budget - units
    turn = turn + (units > 0 and units / weight_of(v.line, row) or 0)
    if redis.call('EXISTS', row_key(v.line, row)) == 0 then
      leave(v.line, row, turn)
    elseif held then
      hold_row(v.line, row, turn, held)
    else
      set_turn(v.line, row, turn)
      if limited then
        break
      end
    end
    if a.stopped and went > 0 then
      a.paused_until = NOW + lease -- one message shows whether it works again
      redis.call('HSET', K.account .. a.name, 'paused_until', a.paused_until, 'probing', a.paused_until)
      break
    end
  end
  v.got = (v.got or 0) + got
  room, room_below = room - got, room_below - got
  return got
end

local function places_in(lane)
  return math.min(lane == 0 and room or math.min(room, room_below), EXAMINED_A_CALL - examined)
end

local function serve_lane(house, lane, budget)
  for _, v in ipairs(in_turn(house[lane])) do
    local places = places_in(lane)
    if places > 0 and budget > 0 and house.a.paused_until <= NOW then
      budget = budget - serve(house, v, places, budget)
    end
  end
end

-- Serves what the account owes to a lane that waits, or (`owed` false) whatever waits in the lane.
local function serve_house(house, lane, owed)
  if #house[lane] == 0 or places_in(lane) <= 0 or not opens(house) then
    return
  end
  local a = house.a
  local units, debt = a.units, a.owed[lane]
  if not owed then
    serve_lane(house, lane, math.huge)
    if lane > 0 and a.units > units then
      a.owed[lane] = math.min(a.owed[lane], math.max(a.owed[lane] - (a.units - units), 0))
    end
  elseif debt >= 1 then
    serve_lane(house, lane, math.floor(debt))
    a.owed[lane] = a.owed[lane] - (a.units - units)
  end
end

do
  local FEW = 8 -- lines: to look at one costs as much as a message, and mostly one has many
  local STEP = 128 -- messages that are merely looked at: as dear as a step
  local more = {} -- lanes with lines that were not looked at
  for lane = 0, LANES - 1 do
    more[lane] = gather(lane, FEW)
  end
  -- Where an account has several, or several lanes have some, more of them take part at once: lines take turns, and lanes
  -- are owed their share, without room as well.
  local are_single = math.max(gathered[0], gathered[1], gathered[2]) == #houses
    and gathered[0] + gathered[1] + gathered[2] == #houses
  for lane = 0, are_single and -1 or LANES - 1 do
    gather(lane, 2 * math.max(places_in(lane), 0) + FEW)
  end
  for lane = 1, LANES - 1 do
    for _, house in ipairs(houses) do
      if #house[0] > 0 or lane > 1 and #house[1] > 0 then
        serve_house(house, lane, true)
      end
    end
  end
  for lane = 0, LANES - 1 do
    local place = 1
    repeat
      for each = place, #houses do
        serve_house(houses[each], lane, false)
      end
      place = #houses + 1
      local goes_on = are_single and more[lane] and places_in(lane) > 0
      more[lane] = goes_on and gather(lane, 2 * FEW)
      examined = examined + (goes_on and STEP or 0)
    until not goes_on
  end
end
for _, house in ipairs(houses) do
  local again = house.a and math.max(next_of(house.a), math.min(house.short_until or 0, NOW_US + DAY * 1000))
  for lane = 0, LANES - 1 do
    local lines = house[lane]
    for place, v in ipairs(again and in_turn(lines) or {}) do
      local behind = #lines == 1 and 0 or place - 1 + ((v.got or 0) > 0 and #lines or 0) -- however many there are
      if v.got or again > NOW_US then -- else our room ended: what is due longest goes first at the next claim
        look_again(v, math.min(again + behind, v.passed or math.huge))
      end
      if v.got and v.got > 0 and #lines > 1 then
        redis.call('HSET', K.turns, v.line, decimal(NOW_US))
      end
    end
  end
end
write_limits()

local remembered = {call}
if #took > 0 then
  local token = redis.call('HINCRBY', K.meta, 'claims', #took / 2) - #took / 2
  redis.call('HSET', K.meta, 'claimed_at', decimal(NOW_US))
  local n = 4
  for place = 1, #took, 2 do
    local id, r = took[place], took[place + 1]
    token = token + 1
    r[F.claim] = token
    timers[id] = NOW + lease
    remembered[place + 1], remembered[place + 2] = id, token
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = id, token, r[F.account], save(id, r)
    n = n + 4
  end
end
redis.call('SET', K.dispatcher .. dispatcher, cmsgpack.pack(remembered), 'PX', CALLS_KEPT)

local upcoming = next_instant(0)
reply[2] = upcoming or 0

local nothing_near = not upcoming or upcoming > NOW_US + horizon
if ARGV[9] == '1' and #took == 0 and nothing_near and is_awake(dispatcher) then
  redis.call('ZREM', K.awake, dispatcher)
  reply[3] = 1
elseif room > 0 then
  redis.call('ZADD', K.awake, NOW + promise, dispatcher)
  local below = room_below <= 0 and next_instant(1)
  if below and below <= NOW_US then
    wake_another() -- what room is left is kept for urgent ones
  end
else
  redis.call('ZREM', K.awake, dispatcher)
  if upcoming and upcoming <= NOW_US then
    rouse() -- more work than this dispatcher can carry
  end
end
return close(reply)
