"""The fleet that would serve a day of the traffic, and the policy that scales it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components import controls, fleet_controls, fleet_sections
from dashboard.components.fleet_controls import Knob
from dashboard.components.run_head import demo_banner, path_to
from dashboard.components.sections import aria, cards, chart, facts, section
from dashboard.figures.fleet_day import CAPTION, fleet_day_figure, fleet_rows
from dashboard.fleet_views import fleet_cards, fleet_facts
from dashboard.scaling import FleetQuestion, table_of
from dashboard.uploads import text_of, trace_of
from loadtests.errors import UsageError
from pricing import PricingError
from recommender.errors import RecommenderError
from recommender.simulation.fleet_day import verdict

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.scaling import FleetAsked
    from dashboard.shell import RunPlace
    from recommender.simulation.fleet_day import FleetDay
    from recommender.simulation.report import SimulationReport
    from recommender.store import Run

__all__ = ["TITLE", "layout", "register"]

TITLE = "Traffic and scaling"
QUESTION, COMPARED = "fleet-question", "fleet-compared"
VERDICT, FACTS, CARDS, COURSE = "fleet-verdict", "fleet-facts", "fleet-cards", "fleet-course"
SAID, BUSY, SHAPE = "fleet-said", "fleet-busy", "fleet-shape-said"
WAYS, COMPARE, WHY = "fleet-ways", "fleet-compare", "fleet-why"
LINK = "fleet-link"
SIMULATING = "Simulating …"
COMPARING = "Simulating ten ways to serve, minute by minute. This takes some seconds …"


def layout(repository: Repository, run: Run, place: RunPlace, search: str) -> Component:
    """search: what an address asks. Raises what `FleetQuestion.simulation` does."""
    question = FleetQuestion.of(repository, run.id)
    asked = question.before.changed_by(search)
    simulation = question.simulation(repository, asked)
    day, ways = simulation.day(asked.policy, asked.machine), simulation.known_ways()
    query = asked.query(question.before.base)
    return html.Article(
        [
            *demo_banner(repository, run),
            path_to(place, TITLE),
            dcc.Store(id=QUESTION, data=(place.reference, query)),
            dcc.Store(id=COMPARED, data=asked.fleet.ways == "yes" and ways is None),
            html.Div(
                [
                    html.Aside(_controls(place, asked, day), className="asking"),
                    html.Div(_answer(asked, day, ways), className="answer"),
                ],
                className="what-if",
            ),
            section(
                "Every way to serve this traffic",
                html.Div(fleet_sections.ways(ways, day, COMPARE), id=WAYS),
                note="Fixed and scaled fleets, serverless, spot and mixtures of them, under the "
                "same traffic and objective; cheapest first of those that meet it.",
            ),
            html.Div(_below(day), id=WHY),
        ]
    )


def register(app: Dash, repository: Repository) -> None:
    _register_knobs(app, repository)
    _register_comparison(app, repository)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("recommender", "follow_fleet"),
        Output(LINK, "value"),
        Input(QUESTION, "data"),
    )


def _register_knobs(app: Dash, repository: Repository) -> None:
    app.callback(
        output={
            "question": Output(QUESTION, "data"),
            "verdict": Output(VERDICT, "children"),
            "facts": Output(FACTS, "children"),
            "cards": Output(CARDS, "children"),
            "figure": Output(COURSE, "figure"),
            "why": Output(WHY, "children"),
            "ways": Output(WAYS, "children"),
            "shape": Output(SHAPE, "children"),
            "said": Output(SAID, "children"),
            "rate": Output(Knob.RATE, "value"),
            "wave": Output(Knob.SHAPE, "value"),
            "machines": Output(Knob.MACHINE, "data"),
            "knobs": {each.value: Output(each, "value") for each in fleet_controls.POLICY_KNOBS},
            "hidden": {each.value: Output(each, "hidden") for each in fleet_controls.GROUPS},
        },
        inputs={
            "given": {each.value: Input(each, "value") for each in fleet_controls.VALUED},
            "table": Input(Knob.TABLE, "contents"),
            "file": Input(Knob.FILE, "contents"),
            "_steady": Input(Knob.STEADY, "n_clicks"),
        },
        state={"question": State(QUESTION, "data")},
        running=[(Output(BUSY, "children"), SIMULATING, "")],
        prevent_initial_call=True,
    )(partial(_ask, repository))


def _register_comparison(app: Dash, repository: Repository) -> None:
    app.callback(
        Output(WAYS, "children", allow_duplicate=True),
        Output(VERDICT, "children", allow_duplicate=True),
        Output(QUESTION, "data", allow_duplicate=True),
        Input(COMPARE, "n_clicks"),
        Input(COMPARED, "data"),
        State(QUESTION, "data"),
        running=[
            (Output(COMPARE, "disabled"), True, False),
            (Output(fleet_sections.COMPARING, "children"), COMPARING, ""),
        ],
        prevent_initial_call="initial_duplicate",
    )(partial(_compare, repository))


def _ask(
    repository: Repository,
    given: dict[str, Any],
    table: str | None,
    file: str | None,
    _steady: int | None,
    question: tuple[str, str],
) -> dict[str, Any]:
    """What cannot be asked is said, and leaves the last answer standing."""
    reference, query = question
    before = FleetQuestion.of(repository, reference)
    try:
        known = before.before.changed_by(query)
        asked = _turned(known, str(ctx.triggered_id), given, (table, file))
        asked.check()
        simulation = before.simulation(repository, asked)
        ways = simulation.known_ways()
        day = simulation.day(asked.policy, asked.machine)
    except (RecommenderError, PricingError, UsageError) as error:
        return _unchanged() | {"said": controls.refusal(error)}
    asked = asked.set(ways="" if ways is None else "yes")
    values = fleet_controls.shown_values(asked, day)
    return {
        "question": (reference, asked.query(before.before.base)),
        "verdict": _verdict(day, ways),
        "facts": _facts(asked, day),
        "cards": cards(fleet_cards(day)),
        "figure": fleet_day_figure(fleet_rows(day)),
        "why": _below(day),
        "ways": fleet_sections.ways(ways, day, COMPARE),
        "shape": fleet_controls.shape_of(asked),
        "said": [],
        "rate": float(f"{asked.base.rate_rps:.4g}"),
        "wave": asked.shape,
        "machines": fleet_controls.machine_data(day.machines),
        "knobs": {each.value: values[each] for each in fleet_controls.POLICY_KNOBS},
        "hidden": fleet_controls.hidden_groups(asked.fleet.kind),
    }


def _unchanged() -> dict[str, Any]:
    alone = (
        "question", "verdict", "facts", "cards", "figure", "why", "ways", "shape", "said", "rate",
        "wave", "machines",
    )  # fmt: skip
    return {
        **dict.fromkeys(alone, no_update),
        "knobs": {each.value: no_update for each in fleet_controls.POLICY_KNOBS},
        "hidden": {each.value: no_update for each in fleet_controls.GROUPS},
    }


def _turned(
    asked: FleetAsked, knob: str, given: dict[str, Any], dropped: tuple[str | None, str | None]
) -> FleetAsked:
    """The question, where one knob was turned. dropped: a table, and a policy."""
    table, file = dropped
    match knob:
        case Knob.TABLE if table:
            return asked.set(**table_of(trace_of(table)))
        case Knob.FILE if file:
            return asked.set(kind="file", policy=text_of(file))
        case Knob.STEADY:
            return asked.set(hours=None, start="", step_min=60, shape="own")
        case _:
            return fleet_controls.turned(asked, knob, given)


def _compare(
    repository: Repository,
    clicks: int | None,
    wanted: bool,  # noqa: FBT001 - as Dash hands it over
    question: tuple[str, str],
) -> tuple[Any, ...]:
    if not (clicks or wanted):
        return (no_update,) * 3
    reference, query = question
    before = FleetQuestion.of(repository, reference)
    try:
        asked = before.before.changed_by(query).set(ways="yes")
        simulation = before.simulation(repository, asked)
        ways, day = simulation.ways(), simulation.day(asked.policy, asked.machine)
    except (RecommenderError, PricingError, UsageError) as error:
        return controls.refusal(error), no_update, no_update
    query = asked.query(before.before.base)
    return fleet_sections.ways(ways, day, COMPARE), _verdict(day, ways), (reference, query)


def _verdict(day: FleetDay, ways: SimulationReport | None) -> list[Component]:
    first, *more = verdict(day, ways)
    return [
        html.H1(first, className="verdict"),
        *[html.P(each, className="also") for each in more],
    ]


def _facts(asked: FleetAsked, day: FleetDay) -> Component:
    base, spread = asked.base, asked.fleet.spread_percent
    unsure = (("level known within", f"a factor of {1 + spread / 100:g}"),) if spread else ()
    return facts(
        fleet_facts(
            day,
            (
                *unsure,
                ("region", base.region),
                ("headroom of the fixed fleet", f"{base.headroom_percent}%"),
            ),
        )
    )


def _answer(asked: FleetAsked, day: FleetDay, ways: SimulationReport | None) -> list[Component]:
    return [
        html.Div(_verdict(day, ways), id=VERDICT, **aria(live="polite")),
        html.Div(_facts(asked, day), id=FACTS),
        html.Div(cards(fleet_cards(day)), id=CARDS),
        section(
            "The fleet, minute by minute",
            chart(fleet_day_figure(fleet_rows(day)), "fleet", COURSE),
            note=CAPTION,
        ),
    ]


def _below(day: FleetDay) -> list[Component]:
    return [*fleet_sections.explanation(day), *fleet_sections.deployment(day)]


def _controls(place: RunPlace, asked: FleetAsked, day: FleetDay) -> list[Component]:
    at = f"/runs/{place.reference}"
    return [
        html.H2("Traffic and policy"),
        html.Div(id=SAID, role="alert"),
        *fleet_controls.traffic(asked, SHAPE),
        *fleet_controls.policy(asked, day),
        html.Div(id=BUSY, className="busy", role="status"),
        html.Div(
            [
                controls.copy_button(LINK),
                html.A("As the run was asked", href=f"{at}/scaling", className="button"),
            ],
            className="actions",
        ),
    ]
