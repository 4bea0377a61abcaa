import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import LoadTestError
from loadtests.journal import Entry, Journal, Kind
from loadtests.targets.processes import ProcessIdentity

pytestmark = pytest.mark.beside

TEXT = st.text(max_size=10)
IDENTITIES = st.builds(
    ProcessIdentity, st.integers(1, 1 << 22), st.integers(0, 1 << 62), TEXT, TEXT
)


@given(
    st.builds(
        Entry,
        TEXT,
        st.sampled_from(Kind),
        IDENTITIES,
        TEXT,
        st.lists(st.sampled_from([Path("/a"), Path("b/c d")])).map(tuple),
        st.none() | IDENTITIES,
    )
)
def test_an_entry_reads_back_as_it_was_written(entry):
    assert Entry.from_json(entry.to_json()) == entry


def test_a_workspace_is_written_down_while_it_exists_and_not_after(journal, tmp_path):
    with journal.workspace(tmp_path) as folder:
        (folder / "file").write_text("x")
        (entry,) = journal.entries()
        assert entry.kind is Kind.FOLDER
        assert entry.paths == (folder,)
        assert journal.leftovers() == ()
    assert not folder.exists()
    assert journal.entries() == ()


def owned_by_the_dead(journal, entry):
    dead = replace(entry.owner, started_ticks=entry.owner.started_ticks + 1)
    path = journal.folder / f"{entry.id}.json"
    path.write_text(replace(entry, owner=dead).to_json())


def test_a_folder_that_does_not_carry_the_token_is_not_removed(journal, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("x")
    entry = journal._enter(Kind.FOLDER, "temporary folder", (precious,))
    owned_by_the_dead(journal, entry)
    (leftover,) = journal.leftovers()
    assert journal.clean(leftover) == []
    assert (precious / "thesis").exists()


def test_a_control_group_that_is_not_ours_is_not_touched(journal, tmp_path):
    foreign = tmp_path / "system.slice"
    foreign.mkdir()
    (foreign / "cgroup.procs").write_text(f"{os.getppid()}\n")
    entry = journal.cgroup((foreign,))
    assert journal.clean(entry) == []
    assert foreign.exists()


def test_a_process_without_the_token_is_not_killed(journal):
    entry = journal.process("sleep")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert journal.clean(entry) == []
        assert stranger.poll() is None
        stranger.stdin.close()


def test_a_process_with_the_token_is_killed(journal):
    entry = journal.process("sleep")
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, **entry.token}
    ) as carrier:
        assert journal.clean(entry) == [f"process {carrier.pid} ({Path(sys.executable).name})"]
        assert carrier.wait() == -signal.SIGKILL
        carrier.stdin.close()


def test_an_id_of_another_process_or_boot_is_not_the_owner():
    me = ProcessIdentity.own()
    assert not me.is_gone()
    assert replace(me, started_ticks=me.started_ticks - 1).is_gone()
    assert replace(me, boot="another").is_gone()
    assert not replace(me, pid_namespace="pid:[1]").is_gone()  # cannot be known, so let it be


def test_a_zombie_owns_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert ProcessIdentity.of(ended.pid).is_gone()


def test_the_draft_of_a_dead_writer_is_swept_and_that_of_a_live_one_is_not(journal):
    me = ProcessIdentity.own()
    journal.folder.mkdir()
    abandoned = journal.folder / f"a.{me.pid}-{me.started_ticks - 1}.draft"
    in_work = journal.folder / f"b.{me.pid}-{me.started_ticks}.draft"
    abandoned.touch()
    in_work.touch()
    assert journal.clean_leftovers() == []
    assert not abandoned.exists()
    assert in_work.exists()


def test_what_cannot_be_removed_stays_in_the_journal(journal, tmp_path, monkeypatch):
    entry = journal._enter(Kind.FOLDER, "temporary folder", (tmp_path / "recommender-{id}",))
    entry.paths[0].mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(LoadTestError, match="cannot remove the temporary folder"):
        journal.clean(entry)
    assert journal.entries() == (entry,)


def test_a_file_that_is_no_entry_is_reported_and_kept(journal):
    journal.process("sleep")
    strange = journal.folder / "strange.json"
    strange.write_text('{"kind": "spaceship"}')
    assert journal.unreadable() == (strange,)
    assert len(journal.entries()) == 1


def test_a_journal_that_cannot_be_written_stops_the_launch(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadTestError, match="cannot note") as caught:
        Journal(tmp_path / "file" / "journal").process("sleep")
    assert "nothing was started" in caught.value.hint
