-- Store entries, and give back the leases under which they were made. Nothing is compared: an entry carries the stamps
-- from before its data was read, so a late one can never be served.
-- KEYS: entries..., leases...   ARGV: number of entries, token of the holder, life in ms and bytes of each entry
local entries = tonumber(ARGV[1])
for i = 1, entries do
  redis.call('SET', KEYS[i], ARGV[2 * i + 2], 'PX', ARGV[2 * i + 1])
end
for i = entries + 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[2] then
    redis.call('DEL', KEYS[i])
  end
end
return entries
