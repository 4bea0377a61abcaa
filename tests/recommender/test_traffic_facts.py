import pytest

from recommender.errors import BadRequest
from recommender.request import traffic_facts


def test_traffic_is_poisson_unless_told_otherwise():
    assert traffic_facts("50rps").arrivals_cv == 1


def test_bursts_are_named_beside_the_rate_and_told_again():
    found = traffic_facts("50rps, cv 3")
    assert (found.peak_rps, found.arrivals_cv) == (50.0, 3.0)
    assert found.text == "50rps, cv 3"
    assert traffic_facts(found.text) == found


@pytest.mark.parametrize("text", ["50rps, cv x", "50rps, cv 0", "50rps, cv -1", "50rps, cv 99"])
def test_a_variation_that_is_none_is_refused(text):
    with pytest.raises(BadRequest, match="coefficient of variation"):
        traffic_facts(text)
