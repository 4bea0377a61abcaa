"""A form is a command line: it asks, and is refused, as the command would be."""

from dataclasses import fields, replace
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.asked_again import asked_again
from dashboard.asked_run import QuickForm, checked, guest_faults, is_asked, typed_faults
from pricing import load_book
from recommender.cli.app import cli
from recommender.cli.quick import request_of
from recommender.errors import BadRequest
from recommender.quick import check_quick

URL = QuickForm(kind="url", where="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def check():
    book = load_book()
    return lambda request: check_quick(request, book)


@pytest.fixture(scope="module")
def payload(tmp_path_factory):
    file = tmp_path_factory.mktemp("payload") / "one.json"
    file.write_text("[1]")
    return str(file)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    return {"RECOMMENDER_HOME": str(folder), "RECOMMENDER_STORE": str(folder / "s.sqlite3")}


def said_by_the_command(form, home):
    """Of a command that starts nothing: its error, or the text where it is click's own."""
    found = CliRunner().invoke(cli, ["quick", "--quiet", *form.arguments], env=home)
    assert found.exit_code != 0
    return found.exception if found.exception.args != (2,) else found.output


MISTAKES = {
    "traffic": ("50x", "12 cows", "0rps", "50rps, cv none", "nowhere.csv"),
    "slo": ("p95<<3", "p200<1s", "p95_ttft<300ms"),
    "sizes": ("a,b", "0", "-1,2", "nan", "inf"),
    "zones": ("9", "none"),
    "headroom": ("1", "much"),
    "confidence": ("0.5",),
    "memory_gib": ("big",),
    "measure_s": ("0.1", "soon"),
    "startup_timeout_s": ("0",),
    "seed": ("x",),
    "region": ("mars-north-1",),
    "measured_on": ("m5.enormous",),
    "instance_types": ("ml.nothing.*",),
    "environment": ("NAME", "=x"),
    "arch": ("mips",),
    "payloads": ("nowhere.json",),
}


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, texts in MISTAKES.items() for text in texts],
)
def test_a_mistake_is_told_at_its_field_in_the_words_of_the_command(name, text, check, home):
    form = replace(QuickForm(), **{name: text})
    found = checked(form, check)
    assert found.request is None
    assert [each.field for each in found.faults] == [name]
    told = said_by_the_command(form, home)
    if isinstance(told, str):  # click's own, behind the usage
        assert found.faults[0].said in told
    else:
        hint = [] if told.hint is None else [told.hint]
        assert found.faults[0].said == "\n".join([str(told), *hint])


def test_every_mistake_is_told_at_once(check):
    form = replace(URL, where="", traffic="50x", slo="fast", zones="9", vcpus="two")
    assert [each.field for each in checked(form, check).faults] == [
        "where", "traffic", "slo", "vcpus", "zones",
    ]  # fmt: skip


def test_what_is_only_wrong_together_is_told_where_it_can_be_put_right(check, payload, tmp_path):
    unknown = tmp_path / "body.weird"
    unknown.write_text("x")
    for form, field, said in (
        (URL, "payloads", "there is no payload to send"),
        (replace(URL, payloads=str(unknown)), "payloads", "--content-type"),
        (replace(URL, payloads=payload, model=str(tmp_path)), "model", "has its model"),
    ):
        (fault,) = checked(form, check).faults
        assert fault.field == field
        assert said in fault.said
    typed = replace(URL, payloads=str(unknown), content_type="text/x")
    assert checked(typed, check).faults == ()


def test_while_it_is_typed_nothing_missing_is_held_against_it():
    assert typed_faults(URL) == ()
    assert [each.field for each in typed_faults(replace(URL, traffic="5"))] == ["traffic"]


def test_without_anything_the_sample_is_measured_as_the_command_does(check):
    assert checked(QuickForm(), check).request == request_of([])
    assert QuickForm().command == "recommender quick"


words = st.text("abcxyz/-_.= '\"{}$", min_size=1, max_size=12).map(str.strip).filter(bool)
lines = st.lists(words.filter(lambda text: "," not in text), max_size=3).map("\n".join)
forms = st.builds(
    QuickForm,
    kind=st.sampled_from(["command", "image", "build"]),
    where=words,
    payloads=lines,
    content_type=st.sampled_from(["", "application/json"]),
    path=st.sampled_from(["", "/predict"]),
    environment=st.lists(st.tuples(st.sampled_from("ABC"), words), max_size=2).map(
        lambda pairs: "\n".join(f"{name}={value}" for name, value in dict(pairs).items())
    ),
    traffic=st.sampled_from(["", "50rps", "50rps, cv 3"]),
    slo=st.sampled_from(["", "p99<1s"]),
    sizes=st.sampled_from(["", "1", "0.5,2"]),
    memory_gib=st.sampled_from(["", "2", "1.5"]),
    measured_on=st.sampled_from(["", "m5.large"]),
    region=st.sampled_from(["", "eu-west-1"]),
    arch=st.sampled_from(["", "any"]),
    platforms=st.sampled_from([(), ("ec2",)]),
    purchases=st.sampled_from([(), ("spot",)]),
    instance_types=st.sampled_from(["", "ml.c7i.*, c7g.*"]),
    headroom=st.sampled_from(["", "0.3"]),
    zones=st.sampled_from(["", "2"]),
    confidence=st.sampled_from(["", "0.9"]),
    measure_s=st.sampled_from(["", "3"]),
    startup_timeout_s=st.sampled_from(["", "60"]),
    seed=st.sampled_from(["", "7"]),
)


@settings(max_examples=30)
@given(forms)
def test_a_run_asked_again_fills_in_the_form_that_asked_it(form):
    request = request_of(form.arguments)
    again = asked_again(request)
    assert again.left_out == ()
    assert again.form == form
    assert request_of(again.form.arguments) == request


@settings(max_examples=30)
@given(forms)
def test_nothing_typed_becomes_an_option_of_its_own(form):
    hostile = replace(form, where="--resume", payloads="--store", traffic="", slo="--json=-")
    request = request_of(hostile.arguments)
    assert request.source.where == "--resume"
    assert request.payloads == ("--store",)
    assert request.slo == "--json=-"


@settings(max_examples=30)
@given(forms)
def test_an_address_fills_in_all_but_what_is_executed_or_secret(form):
    brought = QuickForm.addressed(dict(_pairs(form.query)))
    where = "" if form.kind == "command" else form.where
    assert brought == replace(form, environment="", where=where)
    assert "environment" not in form.query


def _pairs(query):
    return parse_qsl(query)


def test_an_address_cannot_ask_for_more():
    for given_ in ({"environment": "A=1"}, {"uploads": "/etc/passwd"}, {"resume": "x"}):
        with pytest.raises(BadRequest, match="no address can"):
            QuickForm.addressed(given_)
    for kind in ("resume", "store", ""):
        with pytest.raises(BadRequest, match="cannot be measured"):
            QuickForm.given({"kind": kind or "pipeline"})


def test_what_is_not_shown_is_not_sent():
    everything = {each.name: "1" for each in fields(QuickForm)} | {
        "kind": "url", "uploads": [], "platforms": [], "purchases": [],
    }  # fmt: skip
    asked = QuickForm.given(everything).arguments
    assert "--vcpus" in asked
    for flag in ("--model", "--env", "--sizes", "--memory-gib", "--startup-timeout-s"):
        assert flag not in asked
    assert is_asked("vcpus", "url")
    assert not is_asked("vcpus", "image")
    assert QuickForm.given({"where": "rm -rf", "kind": None}) == QuickForm()


def test_a_guest_has_nothing_started_and_no_file_opened(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("requests\n1\n")

    def refused(**asked):
        return [
            each.field for each in guest_faults(QuickForm(**asked), lambda file: "/up" in file)
        ]

    assert refused() == []
    assert refused(kind="url", where="http://x", traffic="50rps, cv 3", uploads=("/up/a",)) == []
    assert refused(traffic="/up/hours.csv") == []
    for kind in ("command", "image", "build"):
        assert refused(kind=kind, where="x") == ["kind"]
    assert refused(model="/home") == ["model"]
    assert refused(payloads="/etc/*") == ["payloads"]
    assert refused(uploads=("/etc/passwd",)) == ["payloads"]
    assert refused(traffic=str(secret)) == ["traffic"]
    assert refused(environment="LD_PRELOAD=x") == ["environment"]
