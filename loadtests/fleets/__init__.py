"""What went on behind a gateway while it was under load: pure, from passages and samples.

`passing`: passages in columns; `replicas`: what each copy did; `scaling`: capacity against the
number of copies; `interruptions`: when machines are taken away, and what was done; `recovery`:
when all is as before; `spot`: what each interruption cost; `pipeline`: stages and branches.
"""
