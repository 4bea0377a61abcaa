wrk.method = "POST"
wrk.body = "[1]"
wrk.headers["Content-Type"] = "application/json"
