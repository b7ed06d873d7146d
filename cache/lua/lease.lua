-- Take leases that nobody has, or prolong one's own; returns 1 for each that is ours now, 0 for each of somebody else.
-- KEYS: leases   ARGV: token of the holder, life of a lease in ms
local found = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if holder and holder ~= ARGV[1] then
    found[i] = 0
  else
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    found[i] = 1
  end
end
return found
