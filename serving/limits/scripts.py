"""What runs inside Redis: each script is one atomic step, on Redis's own clock.

Keys of an account: requests and tokens of a minute (hashes from second to amount), leases of requests in progress
(sorted set by expiry in milliseconds), and the budget (hash of period and amount). All share a hash tag, so that a
cluster keeps them together.

A clock that jumps: amounts and leases that seem to lie in the future are moved to now. After a jump back they
count for a minute, or a lease, and no longer; after a jump forward at most one more quota is admitted.
"""

from __future__ import annotations

from serving.limits.quota import WINDOW_S

_NOW = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local now_s = tonumber(time[1])
"""

_MINUTE = f"""
local WINDOW_S = {WINDOW_S}
local function minute(key)
  local all = redis.call('HGETALL', key)
  local taken, total = {{}}, 0
  for i = 1, #all, 2 do
    local second, amount = tonumber(all[i]), tonumber(all[i + 1])
    if second <= now_s - WINDOW_S then
      redis.call('HDEL', key, all[i])
    else
      if second > now_s then
        redis.call('HDEL', key, all[i])
        redis.call('HINCRBY', key, now_s, amount)
        second = now_s
      end
      taken[#taken + 1] = {{second, amount}}
      total = total + amount
    end
  end
  return taken, total
end
local function wait_ms(taken, excess)
  table.sort(taken, function(a, b) return a[1] < b[1] end)
  for _, entry in ipairs(taken) do
    excess = excess - entry[2]
    if excess <= 0 then return (entry[1] + WINDOW_S) * 1000 - now_ms end
  end
  return WINDOW_S * 1000
end
"""

# KEYS requests, tokens, leases, budget; ARGV lease id, tokens, lease in ms, period in s, then the limits of requests,
# tokens, budget and concurrency, -1 for none. Returns {"", second, period} or {limit, used, wait in ms}.
ADMIT = (
    _NOW
    + _MINUTE
    + """
local lease, tokens, lease_ms, period_s = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local most_requests, most_tokens = tonumber(ARGV[5]), tonumber(ARGV[6])
local most_budget, most_leases = tonumber(ARGV[7]), tonumber(ARGV[8])
local period = math.floor(now_s / period_s)
if redis.call('ZSCORE', KEYS[3], lease) then return {'', now_s, period} end

local taken, total = minute(KEYS[1])
if most_requests >= 0 and total + 1 > most_requests then
  return {'requests', total, wait_ms(taken, total + 1 - most_requests)}
end
taken, total = minute(KEYS[2])
if most_tokens >= 0 and total + tokens > most_tokens then
  return {'tokens', total, wait_ms(taken, total + tokens - most_tokens)}
end
local counted = tonumber(redis.call('HGET', KEYS[4], 'period') or -1)
if counted < period then
  redis.call('HSET', KEYS[4], 'period', period, 'taken', 0)
elseif counted > period then
  redis.call('HSET', KEYS[4], 'period', period)
end
local spent = tonumber(redis.call('HGET', KEYS[4], 'taken'))
if most_budget >= 0 and spent + tokens > most_budget then
  return {'budget', spent, (period + 1) * period_s * 1000 - now_ms}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms)
for _, far in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. (now_ms + lease_ms), '+inf')) do
  redis.call('ZADD', KEYS[3], now_ms + lease_ms, far)
end
local held = redis.call('ZCARD', KEYS[3])
if most_leases >= 0 and held >= most_leases then return {'concurrency', held, -1} end

redis.call('HINCRBY', KEYS[1], now_s, 1)
redis.call('HINCRBY', KEYS[2], now_s, tokens)
redis.call('HINCRBY', KEYS[4], 'taken', tokens)
redis.call('ZADD', KEYS[3], now_ms + lease_ms, lease)
redis.call('PEXPIRE', KEYS[1], 2 * WINDOW_S * 1000)
redis.call('PEXPIRE', KEYS[2], 2 * WINDOW_S * 1000)
redis.call('PEXPIRE', KEYS[3], 2 * lease_ms)
redis.call('EXPIRE', KEYS[4], 2 * period_s)
return {'', now_s, period}
"""
)

# KEYS as above; ARGV lease id, change of tokens, of requests, lease in ms, second and period of the admission. Where
# these are not known (-1), the admission's answer never came: the lease was never renewed, and its expiry tells when.
# Only who still holds the lease gives anything back: doing it twice, or after Redis lost its data, changes nothing.
SETTLE = """
local expires_ms = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not expires_ms then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
local function change(key, field, amount)
  local taken = tonumber(redis.call('HGET', key, field) or 0)
  if taken > 0 then redis.call('HSET', key, field, math.max(0, taken + amount)) end
end
local second, period = tonumber(ARGV[5]), tonumber(ARGV[6])
if second < 0 then second = math.floor((expires_ms - ARGV[4]) / 1000) end
change(KEYS[1], second, tonumber(ARGV[3]))
change(KEYS[2], second, tonumber(ARGV[2]))
if period < 0 or tonumber(redis.call('HGET', KEYS[4], 'period') or -1) == period then
  change(KEYS[4], 'taken', tonumber(ARGV[2]))
end
return 1
"""

# KEYS leases; ARGV lease in ms, lease ids. A lease that Redis has lost is taken again: the request is still running.
RENEW = (
    _NOW
    + """
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now_ms + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[1])
return #ARGV - 1
"""
)
