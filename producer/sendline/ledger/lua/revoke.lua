-- Revokes API keys.
-- KEYS: none (see keys.py).
-- ARGV[2..] ids
-- Returns for each 1 where it was in force until now, 0 where it was revoked before, -1 where there is none.

local verdicts = {}
for place = 2, #ARGV do
  local raw = redis.call('HGET', K.api_keys, ARGV[place])
  local key = decode(raw)
  if key and key[3] == 0 then
    key[3] = NOW
    redis.call('HSET', K.api_keys, ARGV[place], cmsgpack.pack(key))
    verdicts[place - 1] = 1
  elseif raw and not key then
    redis.call('HDEL', K.api_keys, ARGV[place]) -- damaged: it opens nothing as it is
    verdicts[place - 1] = 1
  else
    verdicts[place - 1] = key and 0 or -1
  end
end
return close(verdicts)
