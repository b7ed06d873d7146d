-- Give every stamp that is missing a fresh nonce, whoever comes first; returns all of them as they are now.
-- KEYS: stamps   ARGV: prefix of fresh nonces, life in ms
local found = {}
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value then
    value = ARGV[1] .. i
    redis.call('SET', key, value, 'PX', ARGV[2])
  end
  found[i] = value
end
return found
