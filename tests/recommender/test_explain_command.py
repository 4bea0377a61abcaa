import json
import re

import pytest
from click.testing import CliRunner
from measured_runs import ENVIRONMENT, SLO, demand

from recommender.cli.explain import explain_command
from recommender.cli.runs import show_command
from recommender.errors import BadRequest, NothingMeasured
from recommender.request import QuickRequest, Source
from recommender.store import RunStatus, open_store, this_process

FEW = ("c7i.large", "ml.c7i.large", "c7i.48xlarge")


def keep(store, answer):
    """A finished run with that answer; without one, an unfinished run."""
    asked = demand(instance_types=FEW)
    request = QuickRequest(
        source=Source(kind="sample"), traffic=asked.traffic, slo=SLO, constraints=asked.constraints
    )
    run = store.create_run(
        "quick",
        "simulated",
        request.model_dump(mode="json"),
        ENVIRONMENT.model_dump(mode="json"),
        this_process(),
    )
    if answer is None:
        return run
    store.add_recommendation(run.id, answer.model_dump(mode="json"))
    return store.finish(run.id, RunStatus.FINISHED)


@pytest.fixture(scope="module")
def few(answer):
    return answer(instance_types=FEW)


@pytest.fixture
def command(tmp_path):
    """Runs a command on a store that holds one run."""

    def start(answer, *arguments, which=explain_command):
        url = f"sqlite:///{tmp_path}/store.sqlite3"
        with open_store(url, default_folder=tmp_path) as store:
            keep(store, answer)
        done = CliRunner().invoke(which, [*arguments, "--store", url])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return start


def test_the_best_is_explained_with_marks_that_the_sources_below_carry(command, few):
    text = command(few).output
    assert text.startswith(f"Number 1: {few.best.option.text}")
    body, _, below = text.partition("\nSources\n")
    marks = set(re.findall(r"\b[MFAQ]\d+\b", " ".join(re.findall(r"\[([^]]+)\]", body))))
    assert marks
    assert marks <= set(re.findall(r"^  ([MFAQ]\d+)", below, flags=re.MULTILINE))


def test_json_is_the_whole_and_markdown_has_the_same_sentences(command, few, tmp_path):
    file = tmp_path / "why.json"
    markdown = command(
        few, "latest", "ml.c7i.large", "--json", str(file), "--markdown", "-"
    ).output
    document = json.loads(file.read_text())
    assert document["subject"].startswith("Number")
    assert "## The bill of a month" in markdown
    for source in document["sources"]:
        assert f"| {source['tag']} | {source['kind']} |" in markdown


def test_a_rejected_option_is_explained_too(command, few):
    text = " ".join(command(few, "latest", "c7i.48xlarge").output.split())
    assert "Not ranked: c7i.48xlarge" in text
    assert "doublings past" in text
    assert "--measured-on c7i.48xlarge" in text


def test_a_name_that_is_not_there_is_a_usage_error(command, few):
    with pytest.raises(BadRequest, match="says nothing of"):
        command(few, "latest", "z9.huge")


def test_a_run_without_an_answer_says_how_to_go_on_as_show_does(command):
    with pytest.raises(NothingMeasured) as explained:
        command(None)
    with pytest.raises(NothingMeasured) as shown:
        command(None, which=show_command)
    # This very process works on it.
    assert "wait until it ends" in explained.value.hint
    assert "recommender stop" in explained.value.hint
    assert explained.value.message.split(" ")[2:] == shown.value.message.split(" ")[2:]
