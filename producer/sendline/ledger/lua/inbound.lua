-- Takes in what people wrote to our numbers, each message once; STOP and START hold from here on.
-- KEYS: none (see keys.py).
-- ARGV[2..]: for each message a packed array:
--   account, digest it is known by, provider id ('' if none), sender, recipient, text, keyword ('', stop, start, help)
-- Returns for each 1 if it is new, 0 if it came in before.
-- An entry of the stream holds a packed array: account, sender, recipient, text, at (ms), keyword, provider id. Its id is
-- `<number>-<us>`; the numbers have no gap but the one behind a recovery.

local KNOWN_FOR, NAMELESS_FOR = 259200000, 60000 -- ms: by its provider's id; by what it says
local NUMBERS_JUMP = 1000000 -- beyond any number that was given out and forgotten

local number, era
do
  local m = redis.call('HMGET', K.meta, 'inbound', 'inbound_era')
  number, era = tonumber(m[1] or 0), tonumber(m[2] or 0)
end

-- A ledger that came back from an older state may give a number out again that somebody has read: it goes on far behind.
local function go_beyond()
  local now = BEHIND and ERA + 1 or ERA
  if now > era then
    number, era = number + NUMBERS_JUMP, now
    redis.call('HSET', K.meta, 'inbound_era', era)
  end
end

-- Who writes STOP gets nothing more, from the first STOP on; START ends that. Only a number can be sent to.
local function heed(account, sender, keyword)
  if not sender:find('^%+%d+$') then
    return
  end
  if keyword == 'stop' then
    redis.call('HSETNX', K.suppressed, sender, cmsgpack.pack({NOW, 'inbound', account}))
  elseif keyword == 'start' then
    redis.call('HDEL', K.suppressed, sender)
  end
end

-- Lets the account's endpoint be told, where it has one: of what one number wrote, in its order.
local function tell_of(account, provider_id, sender, recipient, text, keyword)
  if not (HOOKED and HOOKED:find(',' .. account .. ',', 1, true)) then
    return
  end
  local url = redis.call('HGET', K.account .. account, 'callback_url')
  if url and url ~= '' then
    if BORN == 0 then -- an event's id at the endpoint names the ledger
      BORN = NOW_US
      redis.call('HSET', K.meta, 'born', string.format('%.0f', BORN))
    end
    local about = 'in:' .. redis.sha1hex(account .. ' ' .. sender)
    tell(url, about, number, cmsgpack.pack({about, NOW, account, provider_id, sender, recipient, text, keyword}))
  end
end

local function take_in(m)
  local account, digest, provider_id, sender, recipient, text, keyword = unpack(m)
  local seen = K.inbound_seen .. digest
  if redis.call('EXISTS', seen) == 1 then
    if keyword == 'stop' and provider_id == '' then
      heed(account, sender, keyword) -- nobody can tell whether it is a second STOP, so it holds
    end
    return 0
  end
  go_beyond()
  number = number + 1
  local id = string.format('%.0f-%.0f', number, NOW_US)
  local entry = cmsgpack.pack({account, sender, recipient, text, NOW, keyword, provider_id})
  redis.call('XADD', K.inbound, 'MAXLEN', '~', EVENTS_KEPT, id, 'm', entry)
  redis.call('HSET', K.meta, 'inbound', string.format('%.0f', number))
  redis.call('SET', seen, '', 'PX', provider_id == '' and NAMELESS_FOR or KNOWN_FOR)
  heed(account, sender, keyword)
  tell_of(account, provider_id, sender, recipient, text, keyword)
  return 1
end

local reply = {}
for place = 2, #ARGV do
  reply[place - 1] = take_in(cmsgpack.unpack(ARGV[place]))
end
return close(reply)
