"""Where payloads come from: files, an archive, a generator; and what each share comes to."""

import io
import json
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import loadtests.payloads.bodies
from loadtests.errors import UsageError
from loadtests.payloads import PayloadArchive, PayloadFiles, PayloadSource, read_workload
from loadtests.payloads import archive as sample_archive
from loadtests.payloads.archive import read_archive

SOURCES = TypeAdapter(list[PayloadSource])


def workload(*sources, **given):
    return read_workload(SOURCES.validate_python(sources), **{"seed": 1, **given})


def bodies(*sources, **given):
    return [each.body for each in workload(*sources, **given).payloads]


@pytest.fixture
def samples(tmp_path):
    for name in ("b.json", "a.json", "c.csv"):
        (tmp_path / name).write_text(f'"{name}"')
    return tmp_path


@pytest.fixture
def archive(tmp_path):
    def packed(members, name="samples.tar.gz"):
        file = tmp_path / name
        with tarfile.open(file, "w:gz") as tar:
            for member, content in members:
                info = tarfile.TarInfo(member) if isinstance(member, str) else member
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return file

    return packed


def test_files_are_found_beside_the_plan_in_order(samples):
    found = workload({"file": "*.json"}, folder=samples)
    assert [each.body for each in found.payloads] == [b'"a.json"', b'"b.json"']
    assert found.content_type == "application/json"
    assert workload("*.json", folder=samples) == found
    assert workload(str(samples / "*.json")) == found


def test_a_source_has_its_share_however_many_payloads_it_holds(samples):
    found = workload(
        {"file": "*.json", "weight": 3}, {"file": "c.csv", "weight": 1}, folder=samples
    )
    assert found.weights == (1.5, 1.5, 1)


def test_without_weights_every_payload_is_sent_as_often(samples):
    assert workload("*.json", "c.csv", folder=samples).weights == (1, 1, 1)


def test_one_weight_among_sources_without_is_refused(samples):
    with pytest.raises(UsageError, match="some have none") as caught:
        workload({"file": "*.json", "weight": 3}, "c.csv", folder=samples)
    assert caught.value.hint


def test_each_kind_of_file_is_sent_as_what_it_is(samples):
    found = workload("*.json", "c.csv", folder=samples)
    assert found.content_types == ("application/json", "application/json", "text/csv")


def test_a_content_type_of_a_source_comes_before_the_plans_and_that_before_the_names(samples):
    sources = ["a.json", {"file": "c.csv", "content_type": "text/plain"}]
    found = workload(*sources, content_type="application/x", folder=samples)
    assert found.content_type == "application/x"
    assert found.content_types == ("application/x", "text/plain")
    assert [each.content_type for each in found.payloads] == [None, "text/plain"]


def test_a_payload_of_unknown_content_type_is_named(samples):
    (samples / "odd").write_text("1")
    with pytest.raises(UsageError, match=r"odd.*content type|content type.*odd") as caught:
        workload("odd", folder=samples)
    assert "content_type" in (caught.value.hint or "")


def test_no_source_at_all_is_refused():
    with pytest.raises(UsageError, match="no payload"):
        workload()


def test_each_regular_file_of_an_archive_is_one_payload(archive):
    folder = tarfile.TarInfo("samples")
    folder.type = tarfile.DIRTYPE
    file = archive(
        [(folder, b""), ("samples/b.csv", b"2"), ("samples/a.csv", b"1"), ("._a.csv", b"x")]
    )
    found = workload({"archive": file.name}, folder=file.parent)
    assert [each.body for each in found.payloads] == [b"1", b"2"]
    assert [each.name for each in found.payloads] == [
        f"{file}:samples/a.csv",
        f"{file}:samples/b.csv",
    ]
    assert found.content_type == "text/csv"
    assert workload(file.name, folder=file.parent) == found


@pytest.mark.parametrize("name", ["/etc/a.csv", "../a.csv", "samples/../../a.csv"])
def test_an_archive_that_reaches_out_of_itself_is_refused(archive, name):
    with pytest.raises(UsageError, match="outside"):
        read_archive(archive([(name, b"1")]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_something_else_than_files_is_refused(archive, kind):
    member = tarfile.TarInfo("a.csv")
    member.type, member.linkname = kind, "b.csv"
    with pytest.raises(UsageError, match="no regular file"):
        read_archive(archive([("b.csv", b"1"), (member, b"")]))


def test_an_archive_that_unpacks_to_too_much_is_refused_by_its_headers(archive):
    file = archive([("a.csv", b"\0" * 3_000_000), ("b.csv", b"1")])
    assert file.stat().st_size < 10_000
    with pytest.raises(UsageError, match="more than 1 MiB"):
        read_archive(file, most_bytes=2**20)
    assert len(read_archive(file, most_bytes=2**22)) == 2


def test_an_archive_of_too_many_files_is_refused(archive, monkeypatch):
    monkeypatch.setattr(sample_archive, "MOST_PAYLOADS", 3)
    read_archive(archive([(f"{n}.csv", b"1") for n in range(3)]))
    with pytest.raises(UsageError, match="3 files"):
        read_archive(archive([(f"{n}.csv", b"1") for n in range(4)]))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    file = tmp_path / "samples.tar.gz"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"samples\.tar\.gz") as caught:
        read_archive(file)
    assert "tar -czf" in (caught.value.hint or "")


def test_an_archive_cut_short_an_empty_one_and_a_missing_one_are_named(tmp_path, archive):
    whole = archive([("a.csv", np.random.default_rng(1).bytes(50_000))])
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:20_000])
    for file in (cut, archive([], "empty.tar.gz"), tmp_path / "missing.tar.gz"):
        with pytest.raises(UsageError, match=file.name):
            read_archive(file)


def test_an_empty_file_in_an_archive_is_refused(archive):
    with pytest.raises(UsageError, match=r"a\.csv is empty"):
        workload(str(archive([("a.csv", b"")])))


GENERATORS = [
    {"csv": {"columns": 4, "rows": 2, "low": -1, "high": 1}, "count": 20},
    {"random_bytes": {"min": 10, "max": 30}, "count": 20},
    {"random_bytes": 64, "count": 20},
    {"json": {"x": {"$uniform": [0, 1], "shape": [1, 4]}}, "count": 20},
]


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_generator_gives_so_many_different_bodies_the_same_for_the_same_seed(generator):
    drawn = bodies(generator)
    assert len(set(drawn)) == len(drawn) == 20
    assert drawn == bodies(generator)
    assert drawn != bodies(generator, seed=2)


def test_two_generators_alike_draw_different_bodies():
    drawn = bodies(GENERATORS[0], GENERATORS[0])
    assert len(set(drawn)) == 40


def test_csv_bodies_have_the_shape_and_range_asked_for():
    found = workload({"csv": {"columns": 4, "rows": 3, "low": -5, "high": 5}, "count": 50})
    assert found.content_type == "text/csv"
    numbers = np.array(
        [[row.split(b",") for row in each.body.split(b"\n")] for each in found.payloads], float
    )
    assert numbers.shape == (50, 3, 4)
    assert -5 <= numbers.min() < -4.8
    assert 4.8 < numbers.max() <= 5


def test_random_bytes_have_the_sizes_asked_for():
    sizes = {len(body) for body in bodies({"random_bytes": {"min": 5, "max": 8}, "count": 200})}
    assert sizes == {5, 6, 7, 8}
    found = workload({"random_bytes": {"bytes": 7}, "count": 3})
    assert found.content_type == "application/octet-stream"
    assert {len(each.body) for each in found.payloads} == {7}


def test_a_json_template_is_filled_where_it_draws_and_kept_where_not():
    template = {
        "name": "fixed",
        "rows": [{"$integer": [0, 3], "shape": [2, 3]}, None, 1.5],
        "deep": {"x": {"$uniform": [1000, 1000.001]}, "pick": {"$choice": ["a", {"b": 1}]}},
        "picks": {"$choice": [True, False], "shape": [8]},
    }
    found = workload({"json": template, "count": 50})
    assert found.content_type == "application/json"
    filled = [json.loads(each.body) for each in found.payloads]
    assert all(each["name"] == "fixed" and each["rows"][1:] == [None, 1.5] for each in filled)
    integers = np.array([each["rows"][0] for each in filled])
    assert integers.shape == (50, 2, 3)
    assert set(integers.ravel()) == {0, 1, 2, 3}
    numbers = [each["deep"]["x"] for each in filled]
    assert min(numbers) >= 1000
    assert max(numbers) <= 1000.001
    assert len(set(numbers)) > 40
    assert {json.dumps(each["deep"]["pick"]) for each in filled} == {'"a"', '{"b": 1}'}
    assert np.array([each["picks"] for each in filled]).shape == (50, 8)


def test_bodies_drawn_evenly_have_the_mean_of_their_range():
    drawn = bodies({"json": {"$uniform": [0, 1], "shape": [1000]}, "count": 4})
    numbers = np.array([json.loads(body) for body in drawn])
    assert numbers.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 4000))


draws = st.sampled_from([{"$uniform": [0, 1]}, {"$choice": [1, 2], "shape": [2]}])
plain = st.none() | st.booleans() | st.integers() | st.text(st.sampled_from("ab$"))
templates = st.recursive(
    plain | draws,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(templates)
def test_any_template_goes_through_a_file_unchanged_and_can_be_filled(template):
    sources = SOURCES.validate_python([{"json": template, "count": 1}])
    assert SOURCES.validate_json(SOURCES.dump_json(sources)) == sources
    filled = json.loads(read_workload(sources, seed=1).payloads[0].body)
    if "$" not in json.dumps(template):
        assert filled == template
    assert '"$uniform"' not in json.dumps(filled)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"$unifrom": [0, 1]}, "did you mean \\$uniform"),
        ({"x": [{"$foo": 1}]}, "there are \\$uniform"),
        ({"$uniform": [1, 0]}, "no range"),
        ({"$uniform": [0]}, "lowest, highest"),
        ({"$uniform": [0, float("inf")]}, "no range"),
        ({"$uniform": ["a", "b"]}, "lowest, highest"),
        ({"$integer": [0, 1.5]}, "lowest, highest"),
        ({"$integer": [False, True]}, "lowest, highest"),
        ({"$choice": []}, "list of what to choose"),
        ({"$uniform": [0, 1], "shape": [0]}, "above 0"),
        ({"$uniform": [0, 1], "shape": 4}, "shape is a list"),
        ({"$uniform": [0, 1], "shape": [10_000, 10_000]}, "100000000 numbers"),
        ({"$uniform": [0, 1], "size": 4}, "not with size"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template, said):
    with pytest.raises(ValidationError, match=said):
        SOURCES.validate_python([{"json": template}])


def test_a_generator_with_too_few_bodies_says_how_many_it_has():
    with pytest.raises(UsageError, match="only 3 different bodies, not 100") as caught:
        workload({"json": {"$choice": [1, 2, 3]}})
    assert caught.value.hint == "ask for count: 3"
    assert len(bodies({"json": {"$choice": [1, 2, 3]}, "count": 3})) == 3


def test_bodies_that_take_too_much_memory_are_refused(monkeypatch):
    monkeypatch.setattr(loadtests.payloads.bodies, "MOST_BYTES", 1000)
    assert len(bodies({"random_bytes": 100, "count": 10})) == 10
    with pytest.raises(UsageError, match="11 payloads of bytes take more than") as caught:
        workload({"random_bytes": 100, "count": 11})
    assert caught.value.hint


@pytest.fixture
def module(tmp_path):
    def written(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        return tmp_path

    return written


def test_a_python_function_gives_bytes_text_or_a_value_for_json(module):
    folder = module(
        "payload_kinds",
        "import numpy as np\n"
        "def raw(rng): return rng.bytes(4)\n"
        "def text(rng): return f'{rng.random()}'\n"
        "def value(rng): return {'x': rng.random(2), 'n': np.int64(1)}\n",
    )
    raw = {"python": "payload_kinds:raw", "count": 3, "content_type": "image/png"}
    text = {"python": "payload_kinds:text", "count": 2, "content_type": "text/plain"}
    value = {"python": "payload_kinds:value", "count": 2}
    found = workload(raw, text, value, folder=folder)
    assert found.content_types == (
        *["image/png"] * 3,
        *["text/plain"] * 2,
        *["application/json"] * 2,
    )
    assert [len(each.body) for each in found.payloads[:3]] == [4, 4, 4]
    assert json.loads(found.payloads[-1].body)["n"] == 1
    assert workload(raw, text, value, folder=folder) == found


@pytest.mark.parametrize(
    ("name", "source", "function", "said"),
    [
        ("payload_gone", None, "make", "cannot be imported"),
        ("payload_broken", "1/0", "make", "cannot be imported: ZeroDivisionError"),
        ("payload_empty", "", "make", "has no function make"),
        ("payload_value", "make = 5", "make", "has no function make"),
        ("payload_fails", "def make(rng): raise KeyError('weights')", "make", "KeyError"),
        ("payload_args", "def make(): return b'1'", "make", "TypeError"),
        ("payload_odd", "def make(rng): return object()", "make", "no value of JSON"),
        ("payload_nan", "def make(rng): return float('nan')", "make", "ValueError"),
    ],
)
def test_a_python_function_that_gives_no_body_is_named(
    tmp_path, module, name, source, function, said
):
    if source is not None:
        module(name, source)
    with pytest.raises(UsageError, match=said) as caught:
        workload({"python": f"{name}:{function}"}, folder=tmp_path)
    assert name in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"fiel": "a.json"}, "did you mean file"),
        ({}, "names one of file, archive"),
        (5, "names one of file, archive"),
        ({"file": "a.json", "csv": {"columns": 1}}, "file or csv"),
        ({"file": "a.json", "wieght": 1}, "wieght"),
        ({"file": "a.json", "weight": 0}, "greater than 0"),
        ({"file": "a.json", "count": 3}, "count"),
        ({"csv": {"columns": 0}}, "greater than or equal to 1"),
        ({"csv": {"columns": 1, "low": 2, "high": 1}}, "no range"),
        ({"csv": {"columns": 10_000, "rows": 10_000}}, "numbers in one body"),
        ({"csv": {"columns": 1}, "count": 65_537}, "65536"),
        ({"random_bytes": {}}, "either bytes, or min and max"),
        ({"random_bytes": {"min": 5}}, "either bytes, or min and max"),
        ({"random_bytes": {"bytes": 5, "max": 6}}, "either bytes, or min and max"),
        ({"random_bytes": {"min": 6, "max": 5}}, "no range"),
        ({"random_bytes": 0}, "greater than or equal to 1"),
        ({"python": "module.function"}, "pattern"),
    ],
)
def test_what_is_no_source_is_refused(source, said):
    with pytest.raises(ValidationError, match=said):
        SOURCES.validate_python([source])


@pytest.mark.parametrize(
    "source",
    [
        *GENERATORS,
        {"file": "*.json", "weight": 2, "content_type": "text/plain"},
        {"archive": "a.tar.gz"},
        {"python": "module.part:function", "count": 3},
    ],
)
def test_a_source_goes_through_a_file_unchanged(source):
    sources = SOURCES.validate_python([source])
    assert SOURCES.validate_json(SOURCES.dump_json(sources)) == sources
    assert SOURCES.validate_python(sources) == sources


def test_a_name_alone_is_a_file_or_an_archive():
    assert SOURCES.validate_python(["a.json", "b.tar.gz", "c.tgz"]) == [
        PayloadFiles(file="a.json"),
        PayloadArchive(archive="b.tar.gz"),
        PayloadArchive(archive="c.tgz"),
    ]
