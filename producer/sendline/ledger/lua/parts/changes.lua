-- Writes down what has happened to an account, for people and for what alerts them.

local CHANGES_KEPT = 1000

local function note_change(name, change, cause)
  local number = redis.call('HINCRBY', K.meta, 'changes', 1)
  redis.call('XADD', K.changes, 'MAXLEN', '~', CHANGES_KEPT,
    string.format('%.0f-%.0f', number, NOW_US), 'c', cmsgpack.pack({name, change, NOW, cause}))
end
