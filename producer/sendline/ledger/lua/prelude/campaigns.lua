-- Campaigns: which of them rest, and which go.

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

local function begin_campaign(name)
  local key = K.campaign .. name
  local valid_for = tonumber(redis.call('HGET', key, 'valid_for'))
  redis.call('HSET', key, 'state', 'running', 'started', NOW, 'ends', decimal(NOW + valid_for))
  redis.call('ZREM', K.starts, name)
  redis.call('SADD', K.running, name)
  unstill(name)
end

local function pause_campaign(name, cause)
  redis.call('HSET', K.campaign .. name, 'state', 'paused', 'cause', cause)
  still(name)
end
