-- Reads how it stands with endpoints.
-- KEYS: none (see keys.py).
-- ARGV[2..] marks
-- Returns for each that there is {mark, messages it is to be told of, of these under way, lost notices, fields of its state}.

local reply = {}
for place = 2, #ARGV do
  local mark = ARGV[place]
  local state = redis.call('HGETALL', K.endpoint .. mark)
  if #state > 0 then
    reply[#reply + 1] = {
      mark, redis.call('HLEN', K.notices .. mark), redis.call('ZCARD', K.notices_out .. mark),
      redis.call('LLEN', K.notices_lost .. mark), state,
    }
  end
end
return close(reply)
