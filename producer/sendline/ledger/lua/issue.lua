-- Stores a new API key.
-- KEYS: none (see keys.py).
-- ARGV[2] id  [3] what Python wrote: its secret's hash and its rights  [4] how many keys are kept at most  [5] version
-- Returns when it was made (ms), the same for the same key again; -1 where there are too many, or the id is another's.

local stored = decode(redis.call('HGET', K.api_keys, ARGV[2]))
if stored then
  return close(stored[4] == ARGV[3] and stored[2] or -1)
end
if #kept_keys() / 2 >= tonumber(ARGV[4]) then
  return close(-1)
end
redis.call('HSET', K.api_keys, ARGV[2], cmsgpack.pack({tonumber(ARGV[5]), NOW, 0, ARGV[3]}))
return close(NOW)
