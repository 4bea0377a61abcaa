import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.workload import MOST_PAYLOADS, Payload, Workload, read_payloads


@pytest.fixture
def samples(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("b.json", "a.json", "c.JSON"):
        (folder / name).write_text(json.dumps({"of": name}))
    return folder


def test_a_pattern_that_the_shell_left_alone_is_expanded_in_order(samples):
    found = read_payloads([str(samples / "*.json")], None)
    assert [payload.name for payload in found.payloads] == [
        str(samples / "a.json"),
        str(samples / "b.json"),
    ]
    assert found.payloads[0].body == b'{"of": "a.json"}'


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(samples):
    odd = samples / "[ab].json"
    odd.write_text("[]")
    assert [payload.body for payload in read_payloads([str(odd)], None).payloads] == [b"[]"]


@pytest.mark.parametrize("name", ["missing.json", "missing-*.json", "x" * 5000, "a\0b"])
def test_a_missing_payload_file_is_named(samples, name):
    with pytest.raises(UsageError, match="does not exist") as caught:
        read_payloads([str(samples / name)], None)
    assert name in str(caught.value)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_one_missing_file_among_others_is_not_passed_over(samples):
    with pytest.raises(UsageError, match="does not exist"):
        read_payloads([str(samples / "a.json"), str(samples / "missing.json")], None)


def test_a_folder_is_no_payload(samples):
    with pytest.raises(UsageError, match="cannot be read"):
        read_payloads([str(samples)], "application/json")


def test_an_empty_payload_is_refused(samples):
    (samples / "a.json").write_bytes(b"")
    with pytest.raises(UsageError, match=r"a\.json is empty"):
        read_payloads([str(samples / "a.json")], None)


def test_no_payload_at_all_is_refused():
    with pytest.raises(UsageError, match="no payload"):
        read_payloads([], "text/csv")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.json", "application/json"),
        ("c.JSON", "application/json"),
        ("d.csv", "text/csv"),
        ("e.npy", "application/x-npy"),
        ("f.jsonl", "application/jsonlines"),
    ],
)
def test_the_content_type_follows_from_the_file_name(samples, name, content_type):
    file = samples / name
    file.write_bytes(b"1")
    assert read_payloads([str(file)], None).content_type == content_type


@pytest.mark.parametrize("names", [["a.json", "d.csv"], ["noextension"], ["a.json", "e.unknown"]])
def test_a_content_type_that_does_not_follow_must_be_named(samples, names):
    files = [samples / name for name in names]
    for file in files:
        file.write_bytes(b"1")
    patterns = [str(file) for file in files]
    with pytest.raises(UsageError, match="content type") as caught:
        read_payloads(patterns, None)
    assert "--content-type" in (caught.value.hint or "")
    assert read_payloads(patterns, "text/plain").content_type == "text/plain"


def test_the_digest_tells_workloads_apart_by_what_is_sent_and_not_by_file_name():
    one = Workload((Payload("a", b"1"), Payload("b", b"2")), "text/csv")
    renamed = Workload((Payload("c", b"1"), Payload("d", b"2")), "text/csv")
    others = [
        Workload((Payload("a", b"1"),), "text/csv"),
        Workload((Payload("a", b"12"),), "text/csv"),
        Workload((Payload("a", b"1"), Payload("b", b"2")), "application/json"),
        Workload((Payload("a", b"1"), Payload("b", b"2")), "text/csv", "/elsewhere"),
    ]
    assert one.digest == renamed.digest
    assert len({one.digest, *(other.digest for other in others)}) == 5


def test_stored_runs_find_the_workload_of_equal_weights_by_the_digest_they_know():
    plain = Workload((Payload("a", b"1"), Payload("b", b"2")), "text/csv")
    assert plain.digest == "8bc0117790dcea01"
    spelled_out = Workload(
        (Payload("a", b"1", 2.0, "text/csv"), Payload("b", b"2", 2.0, "text/csv")), "text/csv"
    )
    assert spelled_out.digest == plain.digest


@given(st.lists(st.integers(1, 100), min_size=2, max_size=5), st.floats(0.1, 10))
def test_the_digest_tells_shares_apart_and_not_their_scale(weights, scale):
    def digest(weights):
        payloads = (Payload(str(n), bytes([n]), weight) for n, weight in enumerate(weights))
        return Workload(tuple(payloads), "text/csv").digest

    assert digest(weights) == digest([weight * scale for weight in weights])
    assert digest(weights) != digest([weights[0] + 1, *weights[1:]])


def test_the_digest_covers_content_types_of_their_own():
    def digest(*content_types):
        one, other = content_types
        payloads = (Payload("a", b"1", 1.0, one), Payload("b", b"2", 1.0, other))
        return Workload(payloads, "text/csv").digest

    assert digest(None, "text/csv") == digest(None, None)
    seen = {digest(None, None), digest("text/plain", None), digest(None, "text/plain")}
    assert len(seen | {digest("text/plain", "text/plain")}) == 4


def test_each_payload_is_sent_as_its_own_content_type_or_the_workloads():
    payloads = (Payload("a", b"1"), Payload("b", b"2", content_type="text/plain"))
    assert Workload(payloads, "text/csv").content_types == ("text/csv", "text/plain")


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan")])
def test_a_payload_without_a_share_is_refused(weight):
    with pytest.raises(UsageError, match="weight"):
        Payload("a", b"1", weight)


def test_sizes_are_of_the_bodies_as_often_as_they_are_sent():
    workload = Workload((Payload("a", b"1"), Payload("b", b"123")), "text/csv")
    assert workload.mean_bytes == 2
    assert workload.largest_bytes == 3
    weighted = Workload((Payload("a", b"1", 3.0), Payload("b", b"123")), "text/csv")
    assert weighted.weights == (3, 1)
    assert weighted.mean_bytes == 1.5


def test_more_payloads_than_a_sample_can_name_are_refused():
    payload = Payload("a", b"1")
    assert Workload((payload,) * MOST_PAYLOADS, "text/csv").mean_bytes == 1
    with pytest.raises(UsageError, match="65537"):
        Workload((payload,) * (MOST_PAYLOADS + 1), "text/csv")
