-- Store entries. Nothing is compared: an entry carries the stamps from before its data was read, so a late one can
-- never be served.
-- KEYS: entries   ARGV: life in ms and bytes of each entry, alternating
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i - 1])
end
return #KEYS
