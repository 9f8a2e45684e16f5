-- Which recipients are on the suppression list: read once for all messages that come together, and not while it is empty.

local opted_out
do
  local AT_ONCE = 1024 -- fields of one read
  local OPTED_OUT = 'the recipient has opted out'
  local is_empty

  -- Returns the reason for each of the recipients in `rows` that is listed. `rows` holds `n` arrays, with the recipient
  -- at `place`, or false.
  function opted_out(rows, n, place)
    local reasons = {}
    if is_empty == nil then
      is_empty = redis.call('EXISTS', K.suppressed) == 0
    end
    for first = 1, is_empty and 0 or n, AT_ONCE do
      local recipients = {}
      for each = first, math.min(first + AT_ONCE - 1, n) do
        recipients[#recipients + 1] = rows[each] and rows[each][place] or nil
      end
      local found = #recipients > 0 and redis.call('HMGET', K.suppressed, unpack(recipients)) or {}
      for each, entry in ipairs(found) do
        reasons[recipients[each]] = entry and OPTED_OUT
      end
    end
    return reasons
  end
end
