"""Records of a file, and the requests they are joined into."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.payloads import Join, Rows, read_rows

records = st.lists(
    st.binary(min_size=1, max_size=20).filter(lambda row: b"\n" not in row),
    min_size=1,
    max_size=30,
)


def bodies(rows, count):
    return [each.body for each in rows.batched(count).payloads]


@given(records, st.integers(1, 40))
def test_every_request_has_exactly_so_many_records_in_order(rows, count):
    found = bodies(Rows(tuple(rows), Join("text/csv")), count)
    sent = [line for body in found for line in body.split(b"\n")]
    assert len(sent) == count * len(found) >= min(len(rows), count)
    assert sent == [rows[n % len(rows)] for n in range(len(sent))]


@given(records, st.integers(1, 12))
def test_every_record_is_sent_as_often_as_the_others_or_once_more(rows, count):
    found = bodies(Rows(tuple(enumerate_rows(rows)), Join("text/csv")), count)
    sent = [line for body in found for line in body.split(b"\n")]
    times = [sent.count(row) for row in enumerate_rows(rows)]
    assert min(times) >= 1
    assert max(times) <= min(times) + 1 or count > len(rows)


def enumerate_rows(rows):
    return [b"%d," % n + row for n, row in enumerate(rows)]


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=20), st.integers(1, 9))
def test_a_json_request_holds_its_records_in_a_list(tmp_path_factory, rows, count):
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    for key, take in (("instances", lambda body: body["instances"]), (None, lambda body: body)):
        found = read_rows(str(file), content_type="application/json", key=key)
        sent = [row for body in bodies(found, count) for row in take(json.loads(body))]
        assert sent == [rows[n % len(rows)] for n in range(len(sent))]


@given(
    st.integers(1, 500), st.integers(1, 10_000), st.sampled_from(["text/csv", "application/json"])
)
def test_the_most_that_fit_fit_and_one_more_does_not(longest, most_bytes, kind):
    join, row = Join(kind), b"1" * longest
    try:
        count = join.most_rows(longest, most_bytes)
    except UsageError:
        assert len(join.body([row])) > most_bytes
        return
    assert len(join.body([row] * count)) <= most_bytes < len(join.body([row] * (count + 1)))


@pytest.mark.parametrize(
    ("name", "text", "options", "expected"),
    [
        ("a.csv", "1,2\n3,4\n\n", {}, [b"1,2", b"3,4"]),
        ("a.csv", "x,y\r\n1,2\r\n", {"header": True}, [b"1,2"]),
        ("a.jsonl", '{"x": 1}\n{"x": 2}\n', {}, [b'{"x": 1}', b'{"x": 2}']),
        ("a.json", "[[1, 2], [3]]", {}, [b"[1,2]", b"[3]"]),
        ("a.json", '{"instances": [1, 2]}', {}, [b"1", b"2"]),
        ("a.json", '{"inputs": [1, 2]}', {"key": "inputs"}, [b"1", b"2"]),
        ("a.json", '{"inputs": [1, 2]}', {}, [b'{"inputs":[1,2]}']),
        (
            "a.jsonl",
            '{"instances": [[1], [2]]}\n[3]\n',
            {"content_type": "application/json"},
            [b"[1]", b"[2]", b"[3]"],
        ),
    ],
)
def test_records_are_lines_or_items_of_a_list(tmp_path, name, text, options, expected):
    (tmp_path / name).write_text(text, newline="")
    assert list(read_rows(str(tmp_path / name), **options).rows) == expected


def test_several_files_are_one_after_the_other(tmp_path):
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(f"{name},1\n")
    assert read_rows(str(tmp_path / "*.csv")).rows == (b"a.csv,1", b"b.csv,1")


def test_csv_that_csv_reads_is_the_same_rows(tmp_path):
    table = [[str(n), str(n * n)] for n in range(50)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    (body, *_) = bodies(read_rows(str(tmp_path / "t.csv")), 50)
    assert list(csv.reader(body.decode().splitlines())) == table


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "\n", "no record"),
        ("a.xyz", "1", "does not follow from its name"),
        ("a.npy", "1", "cannot be split"),
        ("a.json", "[1,", "is not JSON"),
    ],
)
def test_what_holds_no_records_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        read_rows(str(tmp_path / name))


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text("[1]\n1,2\n")
    with pytest.raises(UsageError, match="line 2 is not JSON"):
        read_rows(str(tmp_path / "a.jsonl"), content_type="application/json")


def test_other_records_or_another_way_to_join_them_have_another_digest():
    one = Rows((b"1", b"2"), Join("text/csv"))
    others = [
        Rows((b"1", b"3"), Join("text/csv")),
        Rows((b"12",), Join("text/csv")),
        Rows((b"1", b"2"), Join("text/plain")),
        Rows((b"1", b"2"), Join("text/csv", "inputs")),
    ]
    assert one.digest == Rows((b"1", b"2"), Join("text/csv")).digest
    assert one.digest not in {each.digest for each in others}


def test_bodies_of_one_size_stay_within_bounds():
    rows = Rows(tuple(b"%05d" % n for n in range(10_000)), Join("text/csv"))
    assert len(bodies(rows, 1)) == 64
    assert sum(map(len, bodies(rows, 5_000_000 // 6))) <= 2**26
