"""What a page says, as text to look in."""

import json

from dashboard.app import page_at


def shown(repository, path, search="", jobs=None):
    """The page there. jobs: what may be done about runs, if anything may."""
    return spelled(page_at(repository, path, search, jobs).content)


def spelled(content):
    return json.dumps(content, default=lambda part: part.to_plotly_json(), ensure_ascii=False)
