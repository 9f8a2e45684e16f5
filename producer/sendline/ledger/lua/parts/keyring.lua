-- The API keys that are kept.

-- All of them, {id, packed, id, packed, ...}, without those that were revoked longer than the retention ago: they go.
local function kept_keys()
  local found, kept = redis.call('HGETALL', K.api_keys), {}
  for place = 1, #found, 2 do
    local key = decode(found[place + 1])
    local revoked = key and tonumber(key[3]) or 0
    if revoked > 0 and revoked + RETENTION <= NOW then
      redis.call('HDEL', K.api_keys, found[place])
    else
      kept[#kept + 1] = found[place]
      kept[#kept + 1] = found[place + 1]
    end
  end
  return kept
end
