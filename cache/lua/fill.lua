-- Store entries, mark until when they need not be made anew, and give back the leases under which they were made. Nothing
-- is compared: an entry carries the stamps from before its data was read, so a late one can never be served.
-- KEYS: entries..., marks..., leases...
-- ARGV: number of entries, number of marks, life in ms and bytes of each entry, life of each mark, token of each lease
local entries, marks = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, entries do
  redis.call('SET', KEYS[i], ARGV[2 * i + 2], 'PX', ARGV[2 * i + 1])
end
for i = entries + 1, entries + marks do
  redis.call('SET', KEYS[i], '', 'PX', ARGV[entries + 2 + i])
end
for i = entries + marks + 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[entries + 2 + i] then
    redis.call('DEL', KEYS[i])
  end
end
return entries
