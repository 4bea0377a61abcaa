"""Answers that come bit by bit: read, kept, and summed up.

Read  `framing` (bytes → body), `events` (body → events), `openai` (event → what it says), `answer`
      (all of it, with the instants at which it came)
Kept  `streams`: of each request its first and last token, its counts, the gaps between its chunks
Said  `figures`: time to first token, time per output token, gaps, tokens per second
"""
