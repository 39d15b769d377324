-- Removes what stands under a key, if it is still what was found there. KEYS[1]: the key. ARGV[1]: what was found.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
