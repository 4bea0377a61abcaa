"""The price book explorer, through Flask's test client: the bundled book and an edited one."""

import csv
import datetime as dt
import io
import json
import shutil

import pytest
from asking import asker, outputs_of
from shown import shown

from dashboard.app import create_app
from dashboard.components.price_controls import FILTERS, Control, turned
from dashboard.data import StoreRepository
from dashboard.figures.price_history import price_course, price_figure
from dashboard.price_moves import choices, moves_columns, moves_verdict
from dashboard.prices import KEY, asked_prices, key_in, key_of, overview, packed, price_columns
from dashboard.prices import price_facts as facts_of_price
from dashboard.prices_asked import PricesAsked
from pricing import (
    Library,
    LineFilter,
    Shelf,
    bundled_books,
    compare_books,
    lines_of,
    price_history,
)
from recommender.errors import BadRequest
from recommender.repricing import Repriced
from recommender.store import open_store

TODAY = dt.date(2026, 11, 22)
BUNDLED = bundled_books()[-1].name
LARGE = "us-east-1|c7i.large|ec2|on-demand"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """The bundled book, a newer one in which a price moved, and one that nobody can trust."""
    folder = tmp_path_factory.mktemp("books")
    for name, before, after in (
        ("2999-01-01", "c7i.large,ec2,on-demand,0.08925", "c7i.large,ec2,on-demand,0.09"),
        ("2999-01-02", "c7i.large,ec2,on-demand,0.08925", "c7i.large,ec2,on-demand,free"),
    ):
        copied = folder / name
        shutil.copytree(bundled_books()[-1], copied)
        manifest = copied / "manifest.json"
        manifest.write_text(
            manifest.read_text().replace(f'"name": "{BUNDLED}"', f'"name": "{name}"')
        )
        offers = copied / "offers/us-east-1.csv"
        offers.write_text(offers.read_text().replace(before, after))
    (folder / "2999-01-01/quarantine.csv").write_text(
        "region,what,usd,usd_in_force,observed_on,source,reason\n"
        "us-east-1,m5.large,0.2,0.096,2026-11-23,offer file,moves +108%\n"
    )
    return Shelf(folder)


@pytest.fixture(scope="module")
def library(shelf):
    return Library(shelf)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, shelf):
    folder = tmp_path_factory.mktemp("store")
    with open_store(folder / "store.sqlite3", default_folder=folder) as store:
        yield StoreRepository(store, None, shelf)


def found(library, **asked):
    return asked_prices(library, PricesAsked(book=BUNDLED, **asked))


def turn(repository, control, value, query=""):
    app = create_app(repository)
    output = next(each for each in app.callback_map if "prices-overview" in each)
    inputs = [
        {"id": each.value, "property": "value", "value": value if each is control else None}
        for each in FILTERS
    ]
    state = [{"id": "prices-asked", "property": "data", "value": query}]
    return asker(app)(output, inputs, changed=f"{control.value}.value", state=state)


def test_an_address_says_what_is_asked_and_nothing_else():
    asked = PricesAsked(
        tab="moved", book=BUNDLED, region="all", platforms=("ec2", "sagemaker"), search="c7*, m5",
        purchases=("spot",), family="c7g", architecture="arm64", accelerator="NVIDIA L4",
        row=LARGE, before="a", after="b",
    )  # fmt: skip
    assert PricesAsked.told_by("?" + asked.query) == asked
    assert PricesAsked().query == ""
    assert PricesAsked.told_by("") == PricesAsked()


@pytest.mark.parametrize(
    "search", ["?colour=red", "?platforms=gcp", "?purchases=free", "?architecture=mips", "?tab=x"]
)
def test_an_address_that_asks_for_what_there_is_not_says_so(repository, search):
    with pytest.raises(BadRequest):
        PricesAsked.told_by(search)
    assert "This cannot be shown" in shown(repository, "/prices", search)


@pytest.mark.parametrize(
    ("search", "known"), [("?book=/etc", BUNDLED), ("?region=moon-1", "eu-west-1")]
)
def test_a_book_or_region_that_is_not_known_is_said_with_those_that_are(repository, search, known):
    page = shown(repository, "/prices", search)
    assert "This cannot be shown" in page
    assert known in page


def test_the_page_begins_with_the_prices_of_the_newest_book(repository):
    page = shown(repository, "/prices")
    assert "prices in us-east-1; the cheapest machine is" in page
    assert "2999-01-01 (yours, in force)" in page
    assert "2999-01-02 (yours, not trusted)" in page
    assert "is newer and not trusted" in page
    assert "moves +108%" in page


def test_prices_are_those_that_the_command_lists(library):
    asked = PricesAsked(book=BUNDLED, search="g6*.xlarge, ml.c7i", purchases=("on-demand",))
    book = library.book(BUNDLED)
    wanted = LineFilter(names=("g6*.xlarge", "*ml.c7i*"), purchases=("on-demand",))
    assert asked_prices(library, asked).lines == lines_of(book, ("us-east-1",), wanted)


def test_all_regions_hold_the_prices_of_each(library):
    everywhere = found(library, region="all", search="c7i.large").lines
    assert len({line.row.region for line in everywhere}) >= 20
    assert [line.key for line in everywhere if line.row.region == "us-east-1"] == [
        line.key for line in found(library, search="c7i.large").lines
    ]


def test_the_verdict_names_the_cheapest_and_where_it_is(library):
    asked = PricesAsked(book=BUNDLED, region="all", search="c7i.large")
    prices = asked_prices(library, asked)
    first = prices.lines[0]
    said = f"the cheapest machine is c7i.large (EC2 spot, {first.row.region}) at ~$"
    assert said in overview(prices, asked, TODAY).verdict


def test_what_is_old_or_derived_is_said_in_words(library):
    lines = found(library).lines
    columns = price_columns(lines, TODAY)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        days = (TODAY - line.row.observed_on).days
        assert row["age"].endswith(", very old") == (days > 365)
        assert row["age"].endswith(", old") == (90 < days <= 365)
        assert row["basis"] == line.row.basis
        assert key_in(row) == key_of(line)
    assert set(KEY) <= set(columns)


def test_the_cards_count_what_is_doubtful(library):
    lines = found(library).lines
    view = overview(found(library), PricesAsked(book=BUNDLED), TODAY)
    derived = sum(line.row.basis == "derived" for line in lines)
    assert f"{derived:,} of {len(lines):,}, marked ~" in {card.interval for card in view.cards}


def test_a_column_on_its_way_is_small_and_loses_nothing(library):
    columns = price_columns(found(library, region="all").lines, TODAY)
    sent = packed(columns)
    for name, values in columns.items():
        column = sent[name]
        back = column.get("all") or [column["of"][at] for at in column["at"]]
        assert back == values
    assert len(json.dumps(sent)) < 0.4 * len(json.dumps(columns))
    assert len(json.dumps(sent)) < 2_000_000


def test_what_has_no_price_says_why(library, repository):
    asked = PricesAsked(book=BUNDLED, search="ml.trn2")
    view = overview(asked_prices(library, asked), asked, TODAY)
    assert view.verdict == "No price in us-east-1 is of that kind"
    assert view.cards == ()
    assert [each.what for each in view.without] == ["ml.trn2.48xlarge"]
    assert "no hosting price seen" in view.without[0].reason
    assert "no hosting price seen" in shown(repository, "/prices", "?search=ml.trn2")


def test_a_machine_is_named_once_however_many_regions_have_no_price_of_it(library):
    asked = PricesAsked(book=BUNDLED, region="all", search="ml.trn2")
    (without,) = overview(asked_prices(library, asked), asked, TODAY).without
    assert len(without.regions.split(", ")) > 1


def test_the_facts_of_a_price_hold_its_evidence_history_and_neighbours(library):
    view = facts_of_price(library, library.book("2999-01-01"), LARGE, TODAY)
    assert view.title == "c7i.large, EC2, us-east-1"
    assert view.usd == "$0.09"
    assert (view.known.basis, view.known.observed_on) == ("reported", "2026-07-20")
    assert any("4 months ago" in doubt for doubt in view.known.doubts)
    assert [each.book for each in view.history] == [BUNDLED, "2999-01-01"]
    assert any("2999-01-02" in fault for fault in view.faults)
    assert {each.where for each in view.otherwise} == {
        "c7i.large, EC2 spot", "ml.c7i.large, SageMaker",
    }  # fmt: skip
    prices_elsewhere = [each.usd.lstrip("~$") for each in view.elsewhere]
    assert prices_elsewhere == sorted(prices_elsewhere, key=float)
    assert "us-east-1" not in {each.where for each in view.elsewhere}
    assert "memory" in {name for name, _, _ in view.machine}


@pytest.mark.parametrize("key", ["", "moon-1|x|ec2|spot", "us-east-1|zz.large|ec2|spot"])
def test_a_price_that_is_not_there_has_no_facts(library, key):
    assert facts_of_price(library, library.book(BUNDLED), key, TODAY) is None


def test_what_is_no_machine_has_facts_too(library):
    key = "us-east-1|serverless 1 GB on-demand|serverless|on-demand"
    view = facts_of_price(library, library.book(BUNDLED), key, TODAY)
    assert view.unit == "a second"
    assert (view.otherwise, view.machine) == ((), ())
    assert view.history


def test_a_filter_changes_the_rows_and_the_address(repository):
    answer = turn(repository, Control.SEARCH, "c7g.large")
    assert answer["prices-asked"]["data"] == "search=c7g.large"
    assert "prices in us-east-1" in json.dumps(answer["prices-overview"]["children"])
    assert answer["prices-table"]["hidden"] is False
    back = turn(repository, Control.SEARCH, "", query="search=c7g.large")
    assert back["prices-asked"]["data"] == ""


def test_what_cannot_be_asked_leaves_the_last_answer_standing(repository):
    answer = turn(repository, Control.REGION, "moon-1")
    assert set(answer) == {"prices-said"}
    assert "moon-1" in json.dumps(answer["prices-said"]["children"])


def test_every_filter_changes_its_own_field():
    values = {
        Control.SEARCH: "c7g", Control.BOOK: "b", Control.REGION: "all", Control.FAMILY: "c7g",
        Control.ARCHITECTURE: "arm64", Control.ACCELERATOR: "any", Control.PLATFORMS: ["ec2"],
        Control.PURCHASES: ["spot"],
    }  # fmt: skip
    assert set(values) == set(FILTERS)
    changed = {turned(PricesAsked(), each, {each: value}) for each, value in values.items()}
    assert len(changed) == len(FILTERS)
    for each in FILTERS:
        if each not in (Control.BOOK, Control.REGION):
            filled = turned(PricesAsked(), each, {each: values[each]})
            assert turned(filled, each, {each: None}) == PricesAsked()


def test_selecting_a_row_opens_its_facts_and_an_address_opens_them_too(repository):
    app = create_app(repository)
    output = next(each for each in app.callback_map if "prices-facts.opened" in each)
    row = dict(zip(KEY, LARGE.split("|"), strict=True))
    state = [{"id": "prices-asked", "property": "data", "value": ""}]

    def ask(selected):
        inputs = [{"id": "prices-grid", "property": "selectedRows", "value": selected}]
        return asker(app)(output, inputs, changed="prices-grid.selectedRows", state=state)

    by_hand, by_address = ask([row]), ask({"ids": [LARGE]})
    assert by_hand == by_address
    assert by_hand["prices-facts"]["opened"] is True
    assert PricesAsked.told_by(by_hand["prices-row"]["data"]).row == LARGE
    assert ask([])["prices-facts"] == {"opened": False}
    assert '"opened": true' in shown(repository, "/prices", "?" + PricesAsked(row=LARGE).query)


def test_the_file_holds_every_column_of_what_is_asked(repository, library):
    client = create_app(repository).server.test_client()
    answer = client.get(f"/prices/prices.csv?book={BUNDLED}&search=c7g&purchases=spot")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    asked = found(library, search="c7g", purchases=("spot",))
    assert [row["what"] for row in rows] == [line.what for line in asked.lines]
    assert {row["purchase"] for row in rows} == {"spot"}
    assert all(row["source"] and row["observed_on"] for row in rows)
    assert f"prices-{BUNDLED}-us-east-1.csv" in answer.headers["Content-Disposition"]
    refused = client.get("/prices/prices.csv?book=/etc")
    assert (refused.status_code, "'/etc'" in refused.text) == (400, True)


def test_moves_are_told_with_the_largest_first(library):
    books = library.book(BUNDLED), library.book("2999-01-01")
    moved = compare_books(*books)
    assert moves_verdict(moved, BUNDLED, "2999-01-01") == (
        f"From {BUNDLED} to 2999-01-01, 1 prices moved, 0 are new and 0 are gone; the largest "
        "move is c7i.large (EC2, us-east-1), +0.84%"
    )
    columns = moves_columns(moved)
    assert columns["change_percent"] == [pytest.approx(0.8403)]
    assert (columns["before_usd"], columns["after_usd"]) == ([0.08925], [0.09])
    same = compare_books(books[0], books[0])
    assert "hold the same" in moves_verdict(same, BUNDLED, BUNDLED)


def test_what_is_new_and_what_is_gone_stand_below_the_moves(library):
    book = library.book(BUNDLED)
    few = compare_books(book, book, ("us-east-1",))
    line = library.lines(BUNDLED, "us-east-1")[0]
    columns = moves_columns(type(few)(moved=(), added=(line,), removed=(line,), unmoved=3))
    assert columns["state"] == ["new", "gone"]
    assert columns["change_percent"] == [None, None]
    assert columns["before_usd"] == [None, float(line.usd)]


def test_the_books_are_compared_when_the_tab_is_looked_at(repository):
    app = create_app(repository)
    output = next(each for each in app.callback_map if "moves-verdict" in each)
    spelled = outputs_of(app, output)
    assert {each["id"] for each in spelled} >= {"moves-rows", "moves-asked"}
    tab = {"id": "prices-tab", "property": "value", "value": "moved"}
    before = {"id": "moves-before", "property": "value", "value": BUNDLED}
    after = {"id": "moves-after", "property": "value", "value": "2999-01-01"}
    ask = asker(app)
    answer = ask(output, [tab, before, after], changed="prices-tab.value")
    assert "1 prices moved" in json.dumps(answer["moves-verdict"]["children"])
    assert answer["moves-asked"]["data"] == f"before={BUNDLED}&after=2999-01-01"
    refused = ask(output, [tab, before, after | {"value": "/etc"}], changed="moves-after.value")
    assert "'/etc'" in json.dumps(refused["moves-verdict"]["children"])


def test_runs_that_would_change_are_counted_and_those_that_cannot_say_why():
    view = choices((Repriced("q1", "one"), Repriced("q2", "two", obstacle="no evidence")))
    assert view.verdict == "None of 1 stored recommendations would change"
    assert [each.state for each in view.lines] == ["stays", "cannot be ranked"]
    assert view.lines[1].after == "no evidence"
    assert choices(()).lines == ()


def test_a_run_of_the_store_is_ranked_under_both_books_on_demand(repository):
    app = create_app(repository)
    inputs = [{"id": "moves-rank", "property": "n_clicks", "value": 1}]
    state = [
        {"id": "moves-before", "property": "value", "value": BUNDLED},
        {"id": "moves-after", "property": "value", "value": "2999-01-01"},
    ]
    answer = asker(app)(
        "moves-choices.children", inputs, changed="moves-rank.n_clicks", state=state
    )
    assert "No run of yours" in json.dumps(answer["moves-choices"]["children"])


def test_the_only_book_has_nothing_to_be_compared_with(store):
    page = shown(StoreRepository(store), "/prices", "?tab=moved")
    assert "There is nothing to compare yet" in page
    assert "recommender prices refresh" in page


def test_the_chart_of_a_price_has_a_point_a_book_and_tells_derived_from_reported(library):
    books, _ = library.readable()
    entries = [
        each
        for each in price_history(books, ("us-east-1",), LineFilter(names=("c7i.large",)))
        if each.line.bought_as == "EC2"
    ]
    drawn = price_course(entries)
    assert (drawn.books, drawn.usd) == ((BUNDLED, "2999-01-01"), (0.08925, 0.09))
    (trace,) = price_figure(drawn).data
    assert list(trace.marker.symbol) == ["circle", "circle"]
    hollow = price_figure(drawn._replace(is_derived=(True, False))).data[0]
    assert list(hollow.marker.symbol) == ["diamond", "circle"]
    spoiled = drawn._replace(texts=("<img src=x>", "b"))
    assert "<img" not in json.dumps(price_figure(spoiled).to_dict(), default=str)
