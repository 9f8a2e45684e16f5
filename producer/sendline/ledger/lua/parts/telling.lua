-- What an endpoint was told, and what it is still to be told.

local FAILING_AFTER = 5 -- tries in vain, one after the other
local OF_ENDPOINT = {'endpoint', 'notices', 'notices_due', 'notice_tries', 'notices_out'} -- keys; lost ones end by themselves

-- The notices in `packed`, in order: {{number, since (ms), event, packed}, ...}.
local function notices_in(packed)
  local found, offset = {}, 0
  while offset >= 0 and offset < #packed do
    local from, number, since = offset, nil, nil
    offset, number = cmsgpack.unpack_one(packed, offset)
    offset, since = cmsgpack.unpack_one(packed, offset)
    local event_from = offset
    offset = cmsgpack.unpack_one(packed, offset)
    local upto = offset < 0 and #packed or offset
    found[#found + 1] = {
      number = number, since = since, event = packed:sub(event_from + 1, upto), packed = packed:sub(from + 1, upto),
    }
  end
  return found
end

-- The same, since when (ms) it is tried to tell it.
local function since(notice, at)
  notice.since = at
  notice.packed = cmsgpack.pack(notice.number, at) .. notice.event
  return notice
end

local function joined(found)
  local packed = {}
  for place, notice in ipairs(found) do
    packed[place] = notice.packed
  end
  return table.concat(packed)
end
