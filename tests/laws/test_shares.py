import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.shares import Share, core_sets, parts


def open_share(count, pool=8, cores=None):
    rng = np.random.default_rng(count)
    return share(
        loop="open",
        pool=pool,
        cores=cores,
        due_s=np.cumsum(rng.exponential(0.01, count)),
        payloads=rng.integers(0, 3, count).astype(np.uint16),
        variants=rng.integers(0, 2, count).astype(np.uint16),
    )


def closed_share(users, max_requests, pool=64):
    return share(
        loop="closed",
        pool=pool,
        max_requests=max_requests,
        all_users=users,
        spans_s=np.stack([np.arange(users) / 2, 10.0 + np.arange(users)], axis=1),
        users=np.arange(users),
        payloads=np.arange(5, dtype=np.uint16),
    )


def share(**given):
    usual = {
        "base_urls": ("http://127.0.0.1:1", "http://127.0.0.1:2"),
        "path": "/invocations",
        "content_types": ("text/csv", "application/json", "text/plain"),
        "bodies": (b"1", b"[2]", b"3"),
        "timeout_s": 5.0,
        "drain_s": 6.0,
        "cores": None,
        "max_requests": None,
        "all_users": 0,
        "due_s": np.zeros(0),
        "payloads": np.zeros(0, np.uint16),
        "variants": np.zeros(0, np.uint16),
        "spans_s": np.zeros((0, 2)),
        "users": np.zeros(0, np.int64),
    }
    return Share(**(usual | given))


@given(st.integers(0, 200), st.integers(1, 12), st.integers(1, 20))
def test_the_union_of_the_shares_is_the_schedule(count, workers, pool):
    whole = open_share(count, pool=pool)
    shares = whole.split(workers)
    requests = sorted(request for each in shares for request in each.walk())
    assert requests == sorted(whole.walk())
    sizes = [each.requests for each in shares]
    assert max(sizes) - min(sizes) <= 1
    assert all(np.all(np.diff(each.due_s) >= 0) for each in shares)


@given(st.integers(1, 12), st.integers(1, 40))
def test_connections_are_divided_and_nobody_is_without(workers, pool):
    shares = open_share(10, pool=pool).split(workers)
    assert sum(each.pool for each in shares) == pool
    assert min(each.pool for each in shares) >= 1
    assert len(shares) == min(workers, pool)


@given(st.integers(0, 40), st.integers(1, 12), st.integers(0, 500))
def test_every_user_is_one_workers_and_so_is_every_request_it_may_send(users, workers, requests):
    whole = closed_share(users, requests)
    shares = whole.split(workers)
    assert len(shares) == max(min(workers, users), 1)
    assert sorted(user for each in shares for user in each.users) == list(range(users))
    for each in shares:
        assert np.array_equal(each.spans_s, whole.spans_s[each.users])
        assert np.array_equal(each.payloads, whole.payloads), "the cycle is everybody's"
        assert each.all_users == users
        assert each.requests is None
    assert sum(each.max_requests for each in shares) == requests


@given(st.integers(1, 8), st.integers(1, 12))
def test_no_core_is_shared_while_there_are_enough(cores, workers):
    sets = core_sets(tuple(range(cores)), workers)
    used = [core for each in sets for core in each]
    assert len(sets) == workers
    assert all(sets)
    assert set(used) == set(range(cores))
    if workers <= cores:
        assert len(used) == cores


@given(st.integers(0, 1000), st.integers(1, 50))
def test_parts_add_up_and_differ_by_one_at_most(total, count):
    found = parts(total, count)
    assert sum(found) == total
    assert len(found) == count
    assert max(found) - min(found) <= 1


def test_a_share_survives_its_message():
    for whole in (open_share(50, cores=(0, 3)), closed_share(4, 100)):
        for sent in whole.split(3):
            again = Share.of_message(sent.message(), sent.bodies)
            for name in Share.__slots__:
                assert np.array_equal(getattr(again, name), getattr(sent, name)), name


def test_the_head_of_a_request_says_what_follows():
    head = open_share(1).heads("http://127.0.0.1:8080/models/a/")[1]
    assert head.startswith(b"POST /models/a/invocations HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert head.endswith(b"\r\nContent-Length: 3\r\n\r\n")
