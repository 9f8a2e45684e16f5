-- Endpoints, and the notices that they are told. An endpoint is a URL without its query; its mark stands for it.
-- What is told of, a message or one that came in, has its notices in one value, in order: a number (of the event, or of what
-- came in), since when it is tried to tell it (ms), and the packed event. So they stay in order however often that fails.

local LOST_KEPT_FOR = 2592000000 -- ms; what waits for an endpoint that was stopped is kept for as long
local LONGEST_REST = 600000 -- ms for which a failing endpoint is left alone, at most
local tell, tell_of_events, ring_for_notices, lose, look_at_endpoint

do
  local TOLD_OF_MOST = 100000 -- messages with notices, at one endpoint: beyond that they are lost, and counted
  local LONGEST_VALUE = 65536 -- bytes of the notices about one message, or of what one number wrote
  local LOST_KEPT = 10000 -- notices

  local function mark_of_endpoint(url)
    return redis.sha1hex(url:match('^[^?#]*')):sub(1, 16)
  end

  -- Keeps what an endpoint will not be told, for `sendline webhooks replay`.
  function lose(mark, about, notice)
    redis.call('LPUSH', K.notices_lost .. mark, cmsgpack.pack(about) .. notice)
    redis.call('LTRIM', K.notices_lost .. mark, 0, LOST_KEPT - 1)
    redis.call('PEXPIRE', K.notices_lost .. mark, LOST_KEPT_FOR)
    redis.call('HINCRBY', K.endpoint .. mark, 'lost', 1)
  end

  -- Wakes who tells endpoints.
  function ring_for_notices()
    if redis.call('LLEN', K.notice_bell) == 0 then
      redis.call('LPUSH', K.notice_bell, '1')
    end
  end

  -- Sets when an endpoint that something waits for is looked at next: at `at` (ms), or when it has rested.
  function look_at_endpoint(mark, at)
    local h = redis.call('HMGET', K.endpoint .. mark, 'stopped', 'rests_until')
    if not h[1] then
      redis.call('PERSIST', K.endpoint .. mark)
      local rested = math.min(tonumber(h[2] or 0), NOW + LONGEST_REST) -- the clock may have stepped back
      redis.call('ZADD', K.endpoints, 'LT', math.max(at, rested), mark)
    end
  end

  local met = {}

  -- Adds a notice for the endpoint at `url`: number `n` about a message, or about what came in.
  function tell(url, about, n, event)
    local mark = mark_of_endpoint(url)
    if not met[mark] then
      met[mark] = true
      redis.call('HSETNX', K.endpoint .. mark, 'url', url:match('^[^?#]*'))
      look_at_endpoint(mark, NOW)
      ring_for_notices()
    end
    local notice = cmsgpack.pack(n, NOW) .. event
    local before = redis.call('HGET', K.notices .. mark, about)
    if before and #before < LONGEST_VALUE then
      redis.call('HSET', K.notices .. mark, about, before .. notice)
    elseif before or redis.call('HLEN', K.notices .. mark) >= TOLD_OF_MOST then
      lose(mark, about, notice)
    else
      redis.call('HSET', K.notices .. mark, about, notice)
      redis.call('ZADD', K.notices_due .. mark, NOW, about)
    end
  end

  -- Tells of the events of this call, whose first one has the number `first`.
  function tell_of_events(first)
    local urls = {}
    for _, notice in ipairs(notices) do
      local url, account = notice.url, notice.account
      if account then
        urls[account] = urls[account] or redis.call('HGET', K.account .. account, 'callback_url') or ''
        url = urls[account]
      end
      if url and url ~= '' then
        tell(url, notice.about, first + notice.place - 1, events[notice.place])
      end
    end
  end
end
