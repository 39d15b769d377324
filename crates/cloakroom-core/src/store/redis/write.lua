-- One change of one session's record, if there is one that can be read. Answers the record as it stood before, from which
-- the server knows what became of it; for a rotation together with this server's time. Places are those of the stored form,
-- session/record.rs, and begin with 1.
-- KEYS[1]: the session. ARGV[1]: what to do; the rest: with what.
local key, verb = KEYS[1], ARGV[1]
local record = redis.call('GET', key)
if not record or #record < 56 or record:byte(1) ~= 1 then return record end

-- A moment as it is stored, of what TIME says.
local function stored(time)
  local number, text = time[1] * 1000 + math.floor(time[2] / 1000), ''
  for _ = 1, 6 do
    text = string.char(number % 256) .. text
    number = math.floor(number / 256)
  end
  return text
end

-- Numbers, because text is compared by the rules of a language.
local function moment(text, at)
  local number = 0
  for i = at, at + 5 do number = number * 256 + text:byte(i) end
  return number
end

-- A number of up to 32 bits, and what follows it.
local function varint(at)
  local number, unit = 0, 1
  for i = at, at + 4 do
    local byte = record:byte(i)
    -- One number has one form: no zeros behind it.
    if not byte or (byte == 0 and i > at) then return nil end
    if byte < 128 then
      number = number + byte * unit
      if number > 4294967295 then return nil end
      return number, i + 1
    end
    number, unit = number + (byte - 128) * unit, unit * 128
  end
  return nil
end

local epoch, after_epoch = varint(54)
if not epoch then return record end
local app_epoch, at_generation = varint(after_epoch)
if not app_epoch then return record end
local generation, after = varint(at_generation)
if not generation or after ~= #record + 1 then return record end

if verb == 'touch' then
  -- ARGV[2]: when.
  if moment(ARGV[2], 1) > moment(record, 32) then redis.call('SETRANGE', key, 31, ARGV[2]) end
elseif verb == 'rotate' then
  -- ARGV[2]: from which generation; [3]: to which, as it is stored; [4]: when, or nothing: now; [5]: when its
  -- client was active, or nothing.
  local now = redis.call('TIME')
  if generation == tonumber(ARGV[2]) then
    local at, active = ARGV[4], record:sub(32, 37)
    if at == '' then at = stored(now) end
    if ARGV[5] ~= '' and moment(ARGV[5], 1) > moment(record, 32) then active = ARGV[5] end
    redis.call('SET', key, record:sub(1, 31) .. active .. record:sub(38, 43) .. at
      .. record:sub(50, at_generation - 1) .. ARGV[3], 'KEEPTTL')
  end
  return { record, now }
elseif verb == 'carry' then
  -- ARGV[2]: from which epoch; [3]: into which one, as it is stored.
  if epoch == tonumber(ARGV[2]) then
    redis.call('SET', key, record:sub(1, 53) .. ARGV[3] .. record:sub(after_epoch), 'KEEPTTL')
  end
end
return record
