-- The auth request before each request, for HAProxy 2.6 or later: /etc/haproxy/nightlatch.lua. haproxy.cfg loads it as
--   lua-load-per-thread /etc/haproxy/nightlatch.lua
-- and runs it with `http-request lua.nightlatch ADDRESS COOKIE`. Only the status 200 lets a request pass; without an answer it is
-- refused.

-- Longest wait for an answer, in milliseconds.
local TIMEOUT = 10000

-- Headers of the request that the decision depends on.
local DECISION_HEADERS = {
    "accept", "cookie", "sec-fetch-mode", "user-agent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-nightlatch-background", "x-requested-with",
}
-- Headers of the answer that the application receives.
local IDENTITY = { "remote-user", "remote-name", "remote-email", "remote-groups", "x-nightlatch-session-ends", "x-nightlatch-factors" }
-- Headers of a refusal that belong to the connection to Nightlatch: the browser receives all others.
local CONNECTION = { ["connection"] = true, ["content-length"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true }

-- Prefixes that browsers know (RFC 6265bis).
local PREFIXES = { "", "__Host-", "__Secure-" }

-- Whether a cookie is Nightlatch's own. Those open everything that their owner may do, in the console as well: they do not reach
-- applications.
local function is_own(name, cookie_name)
    for _, prefix in ipairs(PREFIXES) do
        local own = prefix .. cookie_name
        local rest = string.sub(name, #own + 1)
        if string.sub(name, 1, #own) == own and (rest == "" or rest == "-handover" or rest == "-factor" or rest == "-device") then
            return true
        end
    end
    return false
end

-- The first value of a header of HAProxy's request (counted from 0) or of an answer (counted from 1).
local function first(headers, name)
    local values = headers and headers[name]
    return values and (values[0] or values[1])
end

-- Refuses the request with the answer as it came, or with 503 without one.
local function refuse(txn, answer)
    local reply = txn:reply()
    local status = answer and answer.status or 0
    -- Statuses that refuse; any other is no answer that this file knows.
    local is_refusal = status == 302 or status == 303 or (status >= 400 and status < 600)
    reply:set_status(is_refusal and status or 503)
    if is_refusal then
        for name, values in pairs(answer.headers or {}) do
            for _, value in pairs(CONNECTION[name] and {} or values) do
                reply:add_header(name, value)
            end
        end
        reply:set_body(answer.body or "")
    else
        reply:add_header("cache-control", "no-store")
        reply:add_header("retry-after", "2")
    end
    txn:done(reply)
end

-- Leaves the cookies without Nightlatch's own.
local function remove_own_cookies(txn, headers, cookie_name)
    local kept = {}
    local lines = headers["cookie"]
    if not lines then
        return
    end
    for index = 0, #lines do
        for cookie in string.gmatch(lines[index] or "", "[^;]+") do
            local text = string.match(cookie, "^%s*(.-)%s*$")
            local name = string.match(text, "^([^=]-)%s*=")
            if text ~= "" and not (name and is_own(name, cookie_name)) then
                kept[#kept + 1] = text
            end
        end
    end
    txn.http:req_del_header("cookie")
    if #kept > 0 then
        txn.http:req_set_header("cookie", table.concat(kept, "; "))
    end
end

core.register_action("nightlatch", { "http-req" }, function(txn, address, cookie_name)
    local headers = txn.http:req_get_headers()
    local auth_headers = {
        host = { address },
        ["x-forwarded-method"] = { txn.sf:method() },
        ["x-forwarded-uri"] = { txn.sf:pathq() },
    }
    for _, name in ipairs(DECISION_HEADERS) do
        local values = headers[name]
        if values then
            local sent = {}
            for index = 0, #values do
                sent[#sent + 1] = values[index]
            end
            auth_headers[name] = sent
        end
    end
    local answer = core.httpclient():get({
        url = "http://" .. address .. "/api/authz/forward-auth",
        headers = auth_headers,
        timeout = TIMEOUT,
    })
    if not answer or answer.status ~= 200 then
        return refuse(txn, answer)
    end
    for _, name in ipairs(IDENTITY) do
        txn.http:req_del_header(name)
        local value = first(answer.headers, name)
        if value and value ~= "" then
            txn.http:req_set_header(name, value)
        end
    end
    remove_own_cookies(txn, headers, cookie_name)
end, 2)
