"""How the container's own code reads, predicts and answers; no server."""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from loadtests import sample_container

JSON = "application/json"
CSV = "text/csv"


@contextmanager
def program_modules():
    """The container's modules, importable as they are inside it, and gone again afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(sample_container.directory()))
    try:
        import serving_model  # noqa: PLC0415

        yield serving_model
    finally:
        sys.path.remove(str(sample_container.directory()))
        for name in set(sys.modules) - before:
            if name in {"serving_model", "predictor", "inference", "neighbour"}:
                del sys.modules[name]


@pytest.fixture(scope="module")
def serving_model():
    with program_modules() as module:
        yield module


@pytest.fixture
def app_of():
    def client(model_dir, **environment):
        from predictor import create_app  # noqa: PLC0415

        return create_app({"SM_MODEL_DIR": str(model_dir), **environment}).test_client()

    path = list(sys.path)
    with program_modules():
        yield client
    sys.path[:] = path


def saved(model, model_dir, name="model.joblib"):
    model_dir.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, model_dir / name)
    return model_dir


finite = st.floats(-1e6, 1e6)
tables = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(finite, min_size=width, max_size=width), min_size=1)
)


@given(tables)
def test_a_table_reads_the_same_from_json_and_csv(serving_model, rows):
    as_csv = "\n".join(",".join(repr(number) for number in row) for row in rows)
    for body, content_type in [
        (json.dumps(rows), JSON),
        (json.dumps({"instances": rows}), JSON),
        (json.dumps({"inputs": rows}), JSON),
        (as_csv, CSV),
        (as_csv.replace("\n", "\r\n") + "\r\n", CSV),
    ]:
        table = serving_model.read_table(body, content_type, len(rows[0]))
        assert table.tolist() == rows


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        ("", JSON, 400, "empty"),
        (" \n", CSV, 400, "empty"),
        ("{", JSON, 400, "not JSON"),
        ("[" * 100_000, JSON, 400, "not JSON"),
        ("3", JSON, 400, "list of rows"),
        ("[1, 2]", JSON, 400, "list of rows"),
        ('{"rows": [[1, 2]]}', JSON, 400, "instances"),
        ('{"instances": []}', JSON, 400, "no rows"),
        ('{"instances": null}', JSON, 400, "list of rows"),
        ("[[1, 2], [1]]", JSON, 400, "table"),
        ("[[1, 2, 3]]", JSON, 400, "3 numbers, the model takes 2"),
        ("[[[1, 2], [3, 4]]]", JSON, 400, "list of rows"),
        ('[[1, "two"]]', JSON, 400, "table"),
        ('[[1, {"a": 2}]]', JSON, 400, "table"),
        ("[[1, NaN]]", JSON, 400, "finite"),
        ("[[1, Infinity]]", JSON, 400, "finite"),
        ("[[1, 1e999]]", JSON, 400, "finite"),
        ("[[1, null]]", JSON, 400, "finite"),
        (f"[[1, {10**400}]]", JSON, 400, "table"),
        ("1,nan", CSV, 400, "finite"),
        ("1,two", CSV, 400, "table"),
        ("1,2\n1", CSV, 400, "table"),
        ("1,", CSV, 400, "table"),
        ("1,2,3", CSV, 400, "3 numbers, the model takes 2"),
        ("[[1, 2]]", "text/plain", 415, "text/plain"),
        ("[[1, 2]]", "", 415, "no content type"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_with_its_reason(
    app_of, tmp_path, body, content_type, status, words
):
    model = DecisionTreeClassifier().fit([[0, 0], [1, 1]], [0, 1])
    client = app_of(saved(model, tmp_path))
    response = client.post("/invocations", data=body, content_type=content_type)
    assert response.status_code == status
    assert words in response.json["error"]
    assert client.get("/ping").status_code == 200


def test_a_body_that_is_not_text_is_refused(app_of, tmp_path):
    client = app_of(saved(DecisionTreeClassifier().fit([[0], [1]], [0, 1]), tmp_path))
    response = client.post("/invocations", data=b"\xff\xfe\x00", content_type=CSV)
    assert response.status_code == 400
    assert "UTF-8" in response.json["error"]


def test_a_body_over_the_limit_is_refused(app_of, tmp_path):
    model_dir = saved(DecisionTreeClassifier().fit([[0], [1]], [0, 1]), tmp_path)
    client = app_of(model_dir, MODEL_SERVER_MAX_PAYLOAD_BYTES="100")
    assert client.post("/invocations", data="[[1]]", content_type=JSON).status_code == 200
    response = client.post("/invocations", data="[[1]]" + " " * 200, content_type=JSON)
    assert response.status_code == 413
    assert response.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/", 404)],
)
def test_what_is_not_served_is_refused_in_json(app_of, tmp_path, method, path, status):
    client = app_of(saved(DecisionTreeClassifier().fit([[0], [1]], [0, 1]), tmp_path))
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.json["error"]


def digits():
    return train_test_split(*load_digits(return_X_y=True), test_size=100, random_state=0)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), "model.joblib"),
        (SVC(), "model.pkl"),
        (LinearRegression(), "model.pkl"),
        (DecisionTreeClassifier(random_state=0), "model.joblib"),
    ],
    ids=["pipeline", "without probabilities", "regression", "tree"],
)
def test_any_estimator_answers_as_scikit_learn_does(app_of, tmp_path, model, name):
    images, asked, labels, _ = digits()
    model.fit(images, labels)
    client = app_of(saved(model, tmp_path, name))
    response = client.post("/invocations", json={"instances": asked.tolist()})
    assert response.status_code == 200
    assert response.content_type == JSON
    assert response.json["predictions"] == pytest.approx(model.predict(asked).tolist())
    assert ("probabilities" in response.json) == hasattr(model, "predict_proba")
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(response.json["probabilities"], model.predict_proba(asked))


def test_classes_may_have_names(app_of, tmp_path):
    model = DecisionTreeClassifier().fit([[0], [1]], ["no", "yes"])
    client = app_of(saved(model, tmp_path))
    response = client.post("/invocations", data="1\n0\n", content_type="text/csv; charset=utf-8")
    assert response.json["predictions"] == ["yes", "no"]


def test_the_forest_of_the_sample_answers_as_its_own_predict(serving_model, model_dir):
    model = joblib.load(model_dir / "model.joblib")
    _, asked, _, _ = digits()
    answer = serving_model.predict(asked, model)
    assert answer["predictions"].tolist() == model.predict(asked).tolist()
    np.testing.assert_array_equal(answer["probabilities"], model.predict_proba(asked))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return sample_container.cached_model(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("broken", ["absent", "not a pickle"])
def test_a_model_that_does_not_load_makes_the_server_unhealthy(app_of, tmp_path, broken):
    if broken == "not a pickle":
        (tmp_path / "model.pkl").write_text("no model")
    client = app_of(tmp_path)
    for response in (client.get("/ping"), client.post("/invocations", json=[[1]])):
        assert response.status_code == 503
        assert str(tmp_path) in response.json["error"]


def test_a_model_that_fails_answers_500_with_the_reason(app_of, tmp_path):
    write_inference(tmp_path, "def predict_fn(data, model):\n    raise RuntimeError('too hot')\n")
    saved(DecisionTreeClassifier().fit([[0], [1]], [0, 1]), tmp_path)
    client = app_of(tmp_path)
    response = client.post("/invocations", json=[[1]])
    assert response.status_code == 500
    assert "too hot" in response.json["error"]


def write_inference(model_dir, text):
    (model_dir / "code").mkdir(parents=True)
    (model_dir / "code" / "inference.py").write_text(text)


def test_a_users_code_may_replace_every_step(app_of, tmp_path):
    write_inference(
        tmp_path,
        """
import neighbour


def model_fn(model_dir):
    return neighbour.FACTOR


def input_fn(body, content_type):
    assert content_type == "application/x-count" and isinstance(body, bytes)
    return int(body)


def predict_fn(data, model):
    return data * model


def output_fn(prediction, accept):
    return f"{prediction} as {accept}", "text/plain"
""",
    )
    (tmp_path / "code" / "neighbour.py").write_text("FACTOR = 6\n")
    client = app_of(tmp_path)
    assert client.get("/ping").status_code == 200
    response = client.post(
        "/invocations",
        data=b"7",
        content_type="application/x-count",
        headers={"Accept": "text/plain"},
    )
    assert response.text == "42 as text/plain"
    assert response.content_type.startswith("text/plain")


def test_a_users_code_may_replace_one_step_only(app_of, tmp_path):
    write_inference(
        tmp_path,
        "def predict_fn(data, model):\n"
        "    return {'sums': data.sum(axis=1) + model.tree_.n_features}\n",
    )
    saved(DecisionTreeClassifier().fit([[0, 1], [1, 0]], [0, 1]), tmp_path)
    response = app_of(tmp_path).post("/invocations", json=[[1, 2], [3, 4]])
    assert response.json == {"sums": [5.0, 9.0]}


def test_an_answer_that_is_not_a_number_is_not_passed_on(app_of, tmp_path):
    write_inference(tmp_path, "def predict_fn(data, model):\n    return [float('nan')]\n")
    saved(DecisionTreeClassifier().fit([[0], [1]], [0, 1]), tmp_path)
    assert app_of(tmp_path).post("/invocations", json=[[1]]).status_code == 500


def test_the_samples_are_digits_the_model_did_not_train_on(model_dir):
    model = joblib.load(model_dir / "model.joblib")
    images, labels = load_digits(return_X_y=True)
    rows = [json.loads(body)["instances"][0] for body in sample_container.payloads()]
    where = [int(np.flatnonzero((images == row).all(axis=1))[0]) for row in rows]
    assert sorted(labels[where]) == sorted(list(range(10)) * 2)
    # A forest without bootstrap knows by heart what it trained on: its trees agree entirely.
    surest = model.predict_proba(rows).max(axis=1)
    assert not math.isclose(surest.min(), 1.0)
    assert surest.mean() < 1.0
