"""One address in front of several servers, as a platform's router stands before its instances.

A process of its own, so that what it costs is seen and is not the load generator's. `settings`:
what it is told; `pools`: who gets the next request (pure); `passages`: what it writes down of each
request; `server`: the program; `process`: our end of it.
"""
