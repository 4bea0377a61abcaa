"""Who gets the next request, whatever comes in what order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from loadtests.gateway.pools import NOBODY, THROTTLED, OneEach, Refusal, Spread, pool_of
from loadtests.gateway.settings import Stage


class OneEachMachine(RuleBasedStateMachine):
    """Beside the pool a list of what it was told, in which two at one member would show."""

    @initialize(
        most=st.integers(1, 6),
        least=st.integers(0, 6),
        idle_s=st.one_of(st.none(), st.floats(0.5, 5.0)),
    )
    def begin(self, most, least, idle_s):
        self.most, self.least, self.idle_s = most, min(least, most), idle_s
        self.pool = OneEach(most, self.least, idle_s)
        self.now_s = 0.0
        self.tickets = 0
        self.working = {}  # member -> ticket
        self.free_since = {}
        self.waiting = []
        self.ordered = 0  # starts
        self.added = 0

    def _place(self, ticket, member):
        assert member not in self.working, "two requests on one member"
        self.free_since.pop(member, None)
        self.working[member] = ticket

    def _handed_over(self, handed, member):
        if handed is None:
            assert not self.waiting, "a member idles while a request waits"
            self.free_since[member] = self.now_s
            return
        ticket, to = handed
        assert to == member
        assert ticket == self.waiting.pop(0), "who waits longest is served first"
        self._place(ticket, member)

    def _look(self):
        before = self.ordered
        self.ordered += self.pool.wanted()
        have = len(self.working) + len(self.free_since)
        assert self.ordered >= before
        assert have + self.ordered <= self.most
        assert self.ordered >= len(self.waiting), "a request waits for nobody"
        assert have + self.ordered >= self.least

    @rule()
    def a_request_comes(self):
        self.tickets += 1
        placed = self.pool.take(self.tickets, self.now_s)
        if len(self.working) + len(self.waiting) >= self.most:
            assert isinstance(placed, Refusal)
            assert placed.status == THROTTLED
        elif placed is None:
            assert not self.free_since, "it waits though a member is free"
            self.waiting.append(self.tickets)
            self._look()
        else:
            assert placed in self.free_since
            self._place(self.tickets, placed)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def one_is_answered(self, data):
        member = data.draw(st.sampled_from(sorted(self.working)))
        del self.working[member]
        self._handed_over(self.pool.give_back(member, self.now_s), member)

    @precondition(lambda self: self.ordered)
    @rule()
    def a_start_ends_well(self):
        self.ordered -= 1
        self.added += 1
        self._handed_over(self.pool.add(self.added, self.now_s), self.added)

    @precondition(lambda self: self.ordered)
    @rule()
    def a_start_fails(self):
        self.ordered -= 1
        victim = self.pool.start_failed()
        if victim is None:
            assert self.ordered >= len(self.waiting)
        else:
            assert victim == self.waiting.pop(0)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_caller_goes(self, data):
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.pool.leave(ticket)

    @precondition(lambda self: self.working or self.free_since)
    @rule(data=st.data())
    def a_member_is_removed(self, data):
        member = data.draw(st.sampled_from(sorted({*self.working, *self.free_since})))
        self.pool.remove(member)
        self.free_since.pop(member, None)
        if self.working.pop(member, None) is not None:
            assert self.pool.give_back(member, self.now_s) is None

    @rule(later_s=st.floats(0.0, 3.0))
    def time_passes(self, later_s):
        self.now_s += later_s
        for member in self.pool.idle(self.now_s):
            since_s = self.free_since.pop(member)
            assert self.idle_s is not None
            assert self.now_s - since_s >= self.idle_s
        have = len(self.working) + len(self.free_since)
        old = [
            s for s in self.free_since.values() if self.idle_s and self.now_s - s >= self.idle_s
        ]
        assert have <= self.least or not old, "what nobody needs is kept"
        self._look()

    @invariant()
    def no_more_are_in_progress_than_may_be(self):
        if hasattr(self, "pool"):
            assert len(self.working) + len(self.waiting) <= self.most

    def teardown(self):
        """As soon as members are added and requests answered, nobody is left waiting."""
        if not hasattr(self, "pool"):
            return
        for _ in range(10 * self.most):
            if not self.waiting:
                break
            self._look()
            if self.ordered:
                self.a_start_ends_well()
            elif self.working:
                member = min(self.working)
                del self.working[member]
                self._handed_over(self.pool.give_back(member, self.now_s), member)
        assert not self.waiting


OneEachMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestOneEach = OneEachMachine.TestCase


def test_idle_reclaim_keeps_the_least_and_never_takes_a_busy_one():
    pool = OneEach(most=4, least=1, idle_s=10.0)
    for member in range(3):
        pool.add(member, 0.0)
    busy = pool.take("a", 0.0)
    gone = pool.idle(1000.0)
    assert busy not in gone
    assert len(gone) == 2  # the busy one is the least that is kept
    assert pool.idle(1000.0) == ()
    pool.give_back(busy, 1000.0)
    assert pool.idle(5000.0) == ()


def test_the_last_to_work_works_next_so_that_the_others_grow_old():
    pool = OneEach(most=3, least=0, idle_s=1.0)
    for member in range(3):
        pool.add(member, 0.0)
    first = pool.take("a", 0.0)
    pool.give_back(first, 0.9)
    assert pool.take("b", 0.95) == first
    pool.give_back(first, 1.5)
    assert set(pool.idle(1.6)) == set(range(3)) - {first}


@given(members=st.integers(1, 8), requests=st.integers(0, 100))
def test_turns_differ_by_one_at_most(members, requests):
    pool = Spread(least_outstanding=False)
    for member in range(members):
        pool.add(member, 0.0)
    taken = [pool.take(number, 0.0) for number in range(requests)]
    counts = [taken.count(member) for member in range(members)]
    assert max(counts) - min(counts) <= 1


@given(
    members=st.integers(1, 6),
    steps=st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=120),
)
def test_one_of_the_least_loaded_is_chosen(members, steps):
    """A step is an arrival (None) or the answer to one of those in progress."""
    pool = Spread(least_outstanding=True)
    load = dict.fromkeys(range(members), 0)
    for member in load:
        pool.add(member, 0.0)
    in_progress = []
    for step in steps:
        if step is None:
            member = pool.take(object(), 0.0)
            assert load[member] == min(load.values())
            load[member] += 1
            in_progress.append(member)
        elif in_progress:
            member = in_progress.pop(step % len(in_progress))
            load[member] -= 1
            assert pool.give_back(member, 0.0) is None
    assert sum(load.values()) == len(in_progress)


def test_equally_loaded_members_take_turns():
    pool = Spread(least_outstanding=True)
    for member in range(3):
        pool.add(member, 0.0)
    taken = []
    for _ in range(9):
        member = pool.take("one", 0.0)
        taken.append(member)
        pool.give_back(member, 0.0)
    assert {taken.count(member) for member in range(3)} == {3}


def test_who_is_removed_gets_nothing_and_who_comes_gets_its_turn():
    pool = pool_of(Stage("a", "round_robin"))
    for member in (0, 1):
        pool.add(member, 0.0)
    pool.remove(0)
    assert {pool.take(None, 0.0) for _ in range(4)} == {1}
    assert pool.give_back(0, 0.0) is None
    pool.add(2, 0.0)
    assert pool.take(None, 0.0) == 2
    pool.remove(1)
    pool.remove(2)
    refusal = pool.take(None, 0.0)
    assert refusal.status == NOBODY
