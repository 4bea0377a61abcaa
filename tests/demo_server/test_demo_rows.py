"""Records in a request cost their time, and too many are refused."""

import http.client

import pytest

from loadtests.demo_server import DemoServer
from loadtests.demo_server.process import serving
from loadtests.demo_server.rows import rows_in
from loadtests.demo_server.truth import read_truth
from loadtests.journal import Journal


@pytest.mark.parametrize(
    ("body", "rows"), [(b"", 0), (b"1", 1), (b"1\n", 1), (b"1,2\n3,4", 2), (b"1\r\n2\r\n\r\n", 2)]
)
def test_records_are_lines(body, rows):
    assert rows_in(body) == rows


def test_a_request_takes_its_own_time_and_that_of_its_records(tmp_path):
    settings = DemoServer(service="det:0.01", per_row_s=0.002, row_limit=20)
    with serving(settings, Journal(tmp_path / "journal")) as demo:
        statuses = [post(demo.base_url, b"1\n" * rows) for rows in (1, 10, 20, 21)]
        truth = read_truth(demo.base_url)
    assert statuses == [200, 200, 200, 413]
    assert truth["status"].tolist() == statuses
    served = truth[truth["status"] == 200]
    taken_s = served["finish_s"] - served["start_s"]
    assert taken_s.tolist() == pytest.approx([0.012, 0.03, 0.05])


def post(base_url, body):
    connection = http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", "/invocations", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
