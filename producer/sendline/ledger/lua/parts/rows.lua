-- The rows of a line, as claims go through them.

local UNHELD_A_VISIT = 256

-- The row whose turn it is, its turn, and whether it is the only one.
local function next_row(line)
  local first = redis.call('ZRANGE', K.rows .. line, 0, 1, 'WITHSCORES')
  return first[1], tonumber(first[2]), not first[3]
end

local NOTED_EVERY = 86400000 -- ms (a day): when a weight was used need be known no better

-- The weight that a campaign, or a name that `send` was given for one, was given; 1 without it. That it is used is noted
-- with it: see ending.lua.
local function given_weight(campaign)
  local weight, used = unpack(redis.call('HMGET', K.weights, campaign, '@' .. campaign))
  if not weight then
    return 1
  elseif tonumber((used or ''):match('^%d+') or 0) + NOTED_EVERY <= NOW then
    redis.call('HSET', K.weights, '@' .. campaign, decimal(NOW) .. ' ' .. weight)
  end
  return tonumber(weight) or 1
end

-- A campaign's weight; those of its rows that take turns share it.
local function weight_of(line, row)
  local campaign = campaign_of(row)
  local weight = campaign ~= '' and given_weight(campaign) or 1
  if is_one_of_several(row) then
    weight = weight / math.max(redis.call('SCARD', senders_key(line, campaign)), 1)
  end
  return weight
end

local UNKNOWN_FOR_US = 60000000 -- until a worker has published when a window opens next

-- The instant (us) at which the window of a row's campaign opens, where it is closed for its recipients; else nil.
local function closed_until(row)
  local campaign, zones = row:match('^([^#@]+)#([^@]*)')
  if not zones then
    return nil
  end
  local raw = redis.call('HGET', K.hours .. campaign, zones)
  local instants = raw and cmsgpack.unpack(raw) or {}
  for place = 1, #instants, 2 do
    if NOW_US < instants[place] then
      return instants[place]
    elseif NOW_US < instants[place + 1] then
      return nil
    end
  end
  return NOW_US + UNKNOWN_FOR_US
end

local function set_turn(line, row, turn)
  redis.call('ZADD', K.rows .. line, turn, row)
end

-- Nothing stands in the row any more. Turns that have passed need not be remembered.
local function leave(line, row, turn)
  redis.call('ZREM', K.rows .. line, row)
  redis.call('ZREM', K.held .. line, row)
  if is_one_of_several(row) then
    redis.call('SREM', senders_key(line, campaign_of(row)), row)
  end
  local first = redis.call('ZRANGE', K.rows .. line, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', K.resting .. line, turn, row)
    redis.call('ZREMRANGEBYSCORE', K.resting .. line, '-inf', first[2])
  end
end

-- The row may not go before `at` (us).
local function hold_row(line, row, turn, at)
  redis.call('ZREM', K.rows .. line, row)
  redis.call('ZADD', K.resting .. line, turn, row)
  redis.call('ZADD', K.held .. line, decimal(at), row)
  if is_one_of_several(row) then
    redis.call('SREM', senders_key(line, campaign_of(row)), row)
  end
end

-- Rows whose instant has come take turns again.
local function unhold(v)
  for _, row in ipairs(redis.call('ZRANGEBYSCORE', K.held .. v.line, '-inf', NOW_US, 'LIMIT', 0, UNHELD_A_VISIT)) do
    redis.call('ZREM', K.held .. v.line, row)
    join(v.lane, v.route, row)
  end
end

-- Sets when the line is looked at next: at `again` if a row takes turns, else when the first held one may go.
local function look_again(v, again)
  if redis.call('EXISTS', K.rows .. v.line) == 0 then
    local first = redis.call('ZRANGE', K.held .. v.line, 0, 0, 'WITHSCORES')
    if not first[2] and redis.call('EXISTS', row_key(v.line, '')) == 1 then
      return join(v.lane, v.route, '') -- it was filled by a release that knew no rows
    end
    if not first[2] then
      redis.call('DEL', K.resting .. v.line)
      redis.call('ZREM', K.ready .. v.lane, v.route)
      return
    end
    again = math.max(again, tonumber(first[2]))
  end
  redis.call('ZADD', K.ready .. v.lane, again, v.route)
end
