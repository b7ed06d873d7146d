-- Store entries, mark until when they need not be made anew, and give back the leases under which they were made. Nothing
-- is compared: an entry carries the stamps from before its data was read, so a late one can never be served.
-- KEYS: entries..., marks..., leases...
-- ARGV: number of entries, number of marks, token of the holder, life in ms and bytes of each entry, life of each mark
local entries, marks = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, entries do
  redis.call('SET', KEYS[i], ARGV[2 * i + 3], 'PX', ARGV[2 * i + 2])
end
for i = 1, marks do
  redis.call('SET', KEYS[entries + i], '', 'PX', ARGV[2 * entries + 3 + i])
end
for i = entries + marks + 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[3] then
    redis.call('DEL', KEYS[i])
  end
end
return entries
