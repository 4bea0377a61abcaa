"""Callbacks whose ids are patterns or whose values have names, asked as a browser asks them."""

import json

from dash.dependencies import ALL, MATCH


def dashed(named):
    """An id as addresses of properties spell it."""
    if isinstance(named, str):
        return named
    return json.dumps(named, sort_keys=True, separators=(",", ":"))


def ask(app, output, given, *, changed, there=(), client=None):
    """What the callback that sets `output` answers, by id and property; {} where nothing changes.

    given: values by id and property; others are None. changed: the id and property turned.
    there: ids of the components of patterns.
    """
    key = next(each for each in app.callback_map if output in each)
    found = app.callback_map[key]
    outputs = found["output"] if isinstance(found["output"], list) else [found["output"]]
    asked = {
        "output": key,
        "outputs": [_output(each, there, changed[0]) for each in outputs],
        "inputs": [_given(each, given, there) for each in found["inputs"]],
        "state": [_given(each, given, there) for each in found["state"]],
        "changedPropIds": [f"{dashed(changed[0])}.{changed[1]}"],
    }
    if not key.startswith(".."):
        asked["outputs"] = asked["outputs"][0]
    client = client or app.server.test_client()
    answered = client.post("/_dash-update-component", json=asked)
    if answered.status_code == 204:
        return {}
    assert answered.status_code == 200, answered.text
    return answered.json["response"]


def _output(each, there, turned):
    named, its = each.component_id, each.component_property
    if not isinstance(named, dict):
        return {"id": named, "property": its}
    if ALL in named.values():
        return [{"id": one, "property": its} for one in _alike(named, there)]
    own = {name: turned[name] if value is MATCH else value for name, value in named.items()}
    return {"id": own, "property": its}


def _given(each, given, there):
    if not each["id"].startswith("{"):
        return {**each, "value": given.get((each["id"], each["property"]))}
    return [
        {
            "id": one,
            "property": each["property"],
            "value": one if each["property"] == "id"
            else given.get((dashed(one), each["property"])),
        }
        for one in _alike(json.loads(each["id"]), there)
    ]  # fmt: skip


def _alike(pattern, there):
    return [
        one
        for one in there
        if set(one) == set(pattern)
        and all(isinstance(value, list) or value is ALL or value is MATCH or one[name] == value
                for name, value in pattern.items())
    ]  # fmt: skip
