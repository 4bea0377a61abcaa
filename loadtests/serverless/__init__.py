"""Serverless inference: instances that come with the requests and go without them.

`spec`: a configuration and the platform's limits; `starts`: what became of each instance and its
first request; `report`: what a run of load showed (pure); `drill`: cold starts alone, with nothing
else going on. The target itself is `loadtests.targets.serverless`.
"""
