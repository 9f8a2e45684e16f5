-- What the tick does for campaigns: starts those whose time has come, pauses those that fail, and brings them to their end.

local look_after_campaigns
do
  local FIELDS = {
    'state', 'complete', 'ends', 'open_until', 'pause_at', 'pause_over', 'created', 'retrying', 'sending', 'sent', 'uncertain',
    'walked', 'unreported',
  }

  local function standing_of(name)
    local c = {}
    for place, value in ipairs(redis.call('HMGET', K.campaign .. name, unpack(FIELDS))) do
      c[FIELDS[place]] = value and (tonumber(value) or value) or nil
    end
    c.waiting = (c.created or 0) + (c.retrying or 0)
    return c
  end

  -- Ends messages that have not been sent. Returns how many were looked at.
  local function end_all(ids, status, reason, stands)
    for place, r in ipairs(load_all(ids)) do
      if r and is_waiting(r) and has(r, FLAG.QUEUED) == stands then
        set(r, FLAG.QUEUED, false)
        give_up(ids[place], r, status, status == S.EXPIRED and r[F.error] or '', reason)
      end
    end
    return #ids
  end

  -- Ends up to `most` messages of a campaign: those that stand in its rows, then those that wait for an instant.
  local function drain(name, c, status, reason, most)
    local left = most
    each_row_of(name, function(kind, route, row)
      local line = BULK .. ':' .. route
      while left > 0 do
        local ids = redis.call('LPOP', row_key(line, row), left)
        if not ids or #ids == 0 then
          redis.call('ZREM', kind .. line, row)
          redis.call('ZREM', K.resting .. line, row)
          redis.call('SREM', senders_key(line, name), row)
          return
        end
        left = left - end_all(ids, status, reason, true)
      end
    end)
    if left > 0 then
      local from = c.walked or 0
      local ids = redis.call('LRANGE', K.members .. name, from, from + left - 1)
      end_all(ids, status, reason, false)
      redis.call('HSET', K.campaign .. name, 'walked', #ids < left and 0 or from + #ids)
      left = left - #ids
    end
    return most - left
  end

  -- Pauses a campaign of whose newest outcomes too many were failures.
  local function watch(name, c)
    local over, recent, mended = c.pause_over, redis.call('GET', K.outcomes .. name) or '', 0
    repeat
      recent, mended = recent:gsub('0(1*)x', '1%1')
    until mended == 0
    recent = recent:gsub('x', '')
    if #recent > over then
      recent = recent:sub(-over)
    end
    redis.call('SET', K.outcomes .. name, recent)
    local _, failed = recent:gsub('1', '')
    if c.state == 'running' and #recent >= over and failed * 1000000 >= c.pause_at * over then
      redis.call('DEL', K.outcomes .. name)
      pause_campaign(name, string.format('%d of the last %d failed', failed, over))
    end
  end

  local function finish_campaign(name, c)
    local key = K.campaign .. name
    if c.state ~= 'canceled' then
      redis.call('HSET', key, 'state', 'finished', 'ended', NOW)
    end
    redis.call('SREM', K.running, name)
    redis.call('SREM', K.stilled, name)
    redis.call('DEL', K.outcomes .. name, K.hours .. name)
    redis.call('PEXPIRE', key, RETENTION)
    redis.call('PEXPIRE', K.members .. name, RETENTION)
    redis.call('HDEL', K.weights, name)
  end

  local function is_over(c)
    local open = (c.sent or 0) - (c.unreported or 0) + (c.uncertain or 0) -- may still become something else
    return c.waiting + (c.sending or 0) == 0 and (open == 0 or (c.open_until or 0) <= NOW)
      and (c.complete or c.state == 'canceled' or c.ends <= NOW)
  end

  -- Returns how many messages were looked at: `most` where there may be more.
  function look_after_campaigns(most)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', K.starts, '-inf', NOW, 'LIMIT', 0, most)) do
      begin_campaign(name)
    end
    local looked_at = 0
    for _, name in ipairs(redis.call('SMEMBERS', K.running)) do
      local c = standing_of(name)
      if c.pause_at then
        watch(name, c)
      end
      if not c.state or is_over(c) then
        finish_campaign(name, c)
      elseif c.waiting > 0 and looked_at < most then
        if c.state == 'canceled' then
          looked_at = looked_at + drain(name, c, S.CANCELED, 'its campaign was canceled', most - looked_at)
        elseif c.ends <= NOW then
          looked_at = looked_at + drain(name, c, S.EXPIRED, 'its campaign ended', most - looked_at)
        end
      end
    end
    return looked_at
  end
end
