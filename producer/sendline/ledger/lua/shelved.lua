-- Tells what stands on shelves of the index of provider ids. Changes nothing.
-- KEYS: none (see keys.py).
-- ARGV[2..] names of shelves
-- Returns digests of account and provider id, each followed by the id that it is noted for.

local reply = {}
for place = 2, #ARGV do
  for _, each in ipairs(redis.call('HGETALL', K.index .. ARGV[place])) do
    reply[#reply + 1] = each
  end
end
return close(reply)
