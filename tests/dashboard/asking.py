"""An application's callbacks, asked through Flask's test client as a browser asks them."""


def asker(app):
    client = app.server.test_client()

    def ask(output, inputs, *, changed, state=()):
        answered = client.post(
            "/_dash-update-component",
            json={
                "output": output,
                "outputs": outputs_of(app, output),
                "inputs": inputs,
                "state": list(state),
                "changedPropIds": [changed],
            },
        )
        assert answered.status_code == 200, answered.text
        return answered.json["response"]

    return ask


def outputs_of(app, output):
    found = app.callback_map[output]["output"]
    several = found if isinstance(found, list) else [found]
    spelled = [
        {"id": str(each.component_id), "property": each.component_property} for each in several
    ]
    return spelled if isinstance(found, list) else spelled[0]
