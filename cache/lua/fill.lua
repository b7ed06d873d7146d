-- Store entries, mark until when they need not be made anew, and give back the leases under which they were made. Nothing
-- is compared: an entry carries the stamps from before its data was read, so a late one can never be served.
-- KEYS: entries of all groups..., marks..., leases...
-- ARGV: number of groups, number of marks, seed; number of entries, shortest and longest life in ms of each group; bytes
--       of each entry, life of each mark, token of each lease
local groups, marks, at, entries = tonumber(ARGV[1]), tonumber(ARGV[2]), 3, 0
local first = 3 + 3 * groups
math.randomseed(tonumber(ARGV[3]))
for _ = 1, groups do
  local shortest, longest = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  for i = entries + 1, entries + tonumber(ARGV[at + 1]) do
    redis.call('SET', KEYS[i], ARGV[first + i], 'PX', math.random(shortest, longest))
  end
  entries, at = entries + tonumber(ARGV[at + 1]), at + 3
end
for i = entries + 1, entries + marks do
  redis.call('SET', KEYS[i], '', 'PX', ARGV[first + i])
end
for i = entries + marks + 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[first + i] then
    redis.call('DEL', KEYS[i])
  end
end
return entries
