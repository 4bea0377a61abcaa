import json

import pytest

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


def test_sizes_are_of_the_bodies():
    workload = Workload((Payload("a", b"1"), Payload("b", b"123")), "text/csv")
    assert workload.mean_bytes == 2
    assert workload.largest_bytes == 3


def test_more_payloads_than_a_sample_can_name_are_refused():
    payload = Payload("a", b"1")
    assert Workload((payload,) * MOST_PAYLOADS, "text/csv").mean_bytes == 1
    with pytest.raises(UsageError, match="65537"):
        Workload((payload,) * (MOST_PAYLOADS + 1), "text/csv")
