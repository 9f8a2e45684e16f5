-- Campaigns: which of them rest, and which go.

local UNSTARTED_FOR = 7776000000 -- ms (90 days): for so long a campaign waits for its start

-- What a campaign has in the lines of its lane: calls `visit(kind, route, row)` for each row that takes turns or is held.
local function each_row_of(name, visit)
  for _, route in ipairs(redis.call('ZRANGE', K.ready .. BULK, 0, -1)) do
    for _, kind in ipairs({K.rows, K.held}) do
      for _, row in ipairs(redis.call('ZRANGE', kind .. BULK .. ':' .. route, 0, -1)) do
        if campaign_of(row) == name then
          visit(kind, route, row)
        end
      end
    end
  end
end

-- Lets nothing of a campaign go.
local function still(name)
  redis.call('SADD', K.stilled, name)
  each_row_of(name, function(kind, route, row)
    local line = BULK .. ':' .. route
    if kind == K.rows then
      redis.call('ZADD', K.resting .. line, redis.call('ZSCORE', K.rows .. line, row), row)
      redis.call('ZREM', K.rows .. line, row)
      redis.call('SREM', senders_key(line, name), row)
    end
    redis.call('ZADD', K.held .. line, NEVER_US, row)
  end)
end

-- Lets a campaign go on.
local function unstill(name)
  redis.call('SREM', K.stilled, name)
  each_row_of(name, function(kind, route, row)
    if kind == K.held then
      redis.call('ZREM', K.held .. BULK .. ':' .. route, row)
      join(BULK, route, row)
    end
  end)
  rouse()
end

-- The instant (ms) at which a campaign ends that is to start at `start`.
local function end_from(name, start)
  return decimal(start + tonumber(redis.call('HGET', K.campaign .. name, 'valid_for')))
end

local function begin_campaign(name)
  redis.call('HSET', K.campaign .. name, 'state', 'running', 'started', NOW, 'ends', end_from(name, NOW))
  redis.call('ZREM', K.starts, name)
  redis.call('SADD', K.running, name)
  unstill(name)
end

-- Takes a campaign's row in which nothing stands any more out of its line.
local function drop_row(name, kind, route, row)
  local line = BULK .. ':' .. route
  redis.call('ZREM', kind .. line, row)
  redis.call('ZREM', K.resting .. line, row)
  redis.call('SREM', senders_key(line, name), row)
  if redis.call('EXISTS', K.rows .. line, K.held .. line, row_key(line, '')) == 0 then
    redis.call('DEL', K.resting .. line)
    redis.call('ZREM', K.ready .. BULK, route)
  end
end

-- Takes a campaign that is over out of its lines. What is left there has no more of it than the name: that goes on.
local function clear_rows(name)
  redis.call('SREM', K.stilled, name)
  each_row_of(name, function(kind, route, row)
    local line = BULK .. ':' .. route
    if redis.call('EXISTS', row_key(line, row)) == 0 then
      drop_row(name, kind, route, row)
    elseif kind == K.held then
      redis.call('ZREM', kind .. line, row)
      join(BULK, route, row)
    end
  end)
end

local function pause_campaign(name, cause)
  redis.call('HSET', K.campaign .. name, 'state', 'paused', 'cause', cause)
  still(name)
end
