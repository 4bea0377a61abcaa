"""AWS's public files by region: none is taken that is cut short or of another kind."""

import pytest
from price_servers import OFFER, PLANS

from pricing.errors import BadOffer
from pricing.sources.offer_file import OfferFile
from pricing.sources.products import SAGEMAKER
from pricing.sources.savings_plan_file import SavingsPlanFile


def offers(url):
    return OfferFile(SAGEMAKER, url)


KINDS = [
    pytest.param(offers, OFFER, id="offers"),
    pytest.param(SavingsPlanFile, PLANS, id="plans"),
]
OF_ANY = (b"<html>maintenance</html>", b"", b"[]")
OF_OFFERS = (
    b'{"publicationDate": "2026-11-20", "products": {"A": 1}, "terms": {"OnDemand": {}}}',
    b'{"publicationDate": "2026-11-20", "terms": {"OnDemand": {"A": {}}}, "products": {}}',
)
OF_PLANS = (
    b'{"publicationDate": "2026-11-20", "products": [1], "terms": {}}',
    b'{"publicationDate": "2026-11-20", "products": [{"attributes": {}}], "terms": {}}',
    b'{"publicationDate": "2026-11-20", "terms": {"savingsPlan": [{"sku": "A"}]}}',
    b'{"publicationDate": "2026-11-20", "terms": {"savingsPlan": ["A"]}}',
)


def quiet(_):
    pass


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize(("kind", "path"), KINDS)
def test_a_file_that_is_cut_short_is_no_file(published, kind, path, share):
    """As a proxy does that closes early; and as a mirror that holds half a file."""
    whole = published.files[path]
    source = kind(published.url)
    assert source.seen("us-east-1", quiet).prices  # and its index is known
    published.cut_at_bytes = int(len(whole) * share)
    with pytest.raises(BadOffer, match="cut short"):
        source.seen("us-east-1", quiet)
    published.cut_at_bytes = None
    published.files[path] = whole[: int(len(whole) * share)]
    with pytest.raises(BadOffer, match="malformed or cut short"):
        source.seen("us-east-1", quiet)


@pytest.mark.parametrize(
    ("kind", "path", "content"),
    [
        *((offers, OFFER, content) for content in (*OF_ANY, *OF_OFFERS)),
        *((SavingsPlanFile, PLANS, content) for content in (*OF_ANY, *OF_PLANS)),
    ],
)
def test_a_file_of_another_kind_is_told(published, kind, path, content):
    published.files[path] = content
    with pytest.raises(BadOffer, match=r"index\.json") as caught:
        kind(published.url).seen("us-east-1", quiet)
    assert caught.value.hint
