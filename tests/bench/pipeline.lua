-- As many requests at a time as the argument says.
init = function(args)
  local one = wrk.format("GET")
  all = string.rep(one, tonumber(args[1]))
end

request = function()
  return all
end
