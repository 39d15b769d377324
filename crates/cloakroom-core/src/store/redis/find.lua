-- A record, and what this server's clock says. KEYS[1]: the session.
return { redis.call('GET', KEYS[1]), redis.call('TIME') }
