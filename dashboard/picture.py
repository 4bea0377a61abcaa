"""A chart as a file of its own: a page that needs nothing else, or a PNG of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.figures import break_even as overtaking
from dashboard.figures.frontier import CAPTION, frontier, frontier_figure
from dashboard.figures.palette import FONT, INK, MUTED, PAPER
from recommender.errors import BadRequest, RecommenderError
from recommender.explain import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

    from recommender.recommendation import Recommendation
    from recommender.simulation.report import SimulationReport

__all__ = [
    "PictureFailed",
    "find_chromium",
    "picture_page",
    "write_break_even",
    "write_picture",
]

WIDTH, HEIGHT = 1200, 700
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRAWN_WITHIN_S = 60
SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--virtual-time-budget=5000",  # the page waits for nothing but its own script
)


class PictureFailed(RecommenderError):  # noqa: N818 - as the other errors are named
    """The browser was found and drew nothing."""


def write_picture(file: Path, recommendation: Recommendation) -> None:
    """Raises BadRequest for what cannot be written so, PictureFailed when the browser fails."""
    _write_page(file, picture_page(recommendation))


def write_break_even(file: Path, report: SimulationReport) -> None:
    """Where ways to serve overtake one another. Raises as `write_picture` does."""
    drawn = overtaking.overtakings(report)
    said = overtaking.verdict(report)
    _write_page(file, _page(said, overtaking.break_even_figure(drawn), overtaking.CAPTION))


def picture_page(recommendation: Recommendation) -> str:
    figure = frontier_figure(frontier(recommendation))
    return _page(verdict(recommendation), figure, CAPTION)


def _write_page(file: Path, page: str) -> None:
    match file.suffix.lower():
        case ".html":
            _write(file, page)
        case ".png":
            _photograph(file, page)
        case other:
            raise BadRequest(
                f"a picture cannot be written as {other or 'a file without a suffix'}: {file}",
                hint="name a .html file, or a .png one where Chromium is installed",
            )


def _page(said: Sequence[str], figure: go.Figure, caption: str) -> str:
    figure.update_layout(height=HEIGHT - 152, width=WIDTH - 64)
    chart = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        config={"displaylogo": False, "displayModeBar": False},
    )
    first, *more = said
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(first)}</title>
<style>
body {{ margin: 24px 32px; width: {WIDTH - 64}px; background: {PAPER}; color: {INK};
  font-family: {FONT}; }}
h1 {{ font-size: 19px; line-height: 1.35; margin: 0 0 4px; font-weight: 600; }}
p {{ font-size: 14px; margin: 0; color: {MUTED}; }}
</style></head>
<body><h1>{escape(first)}</h1><p>{escape(" ".join(more))}</p>
{chart}
<p>{caption}</p>
</body></html>
"""


def find_chromium() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def _photograph(file: Path, page: str) -> None:
    browser = find_chromium()
    if browser is None:
        raise BadRequest(
            f"{file} needs Chromium, and none of {', '.join(BROWSERS)} is installed",
            hint="install it, or name a .html file: it needs no browser to be written",
        )
    with tempfile.TemporaryDirectory(prefix="recommender-picture-") as folder:
        source, drawn = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page, encoding="utf-8")
        said = _run(browser, Path(folder, "profile"), source, drawn)
        if not drawn.exists():
            raise PictureFailed(f"{browser} drew no picture; it said: {said[-500:] or 'nothing'}")
        _write(file, drawn.read_bytes())


def _run(browser: str, profile: Path, source: Path, drawn: Path) -> str:
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to start otherwise
    command = [
        browser, *SWITCHES, *as_root, f"--user-data-dir={profile}",
        f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={drawn}", source.as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - the user's own browser on a page of ours
            command, capture_output=True, timeout=DRAWN_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PictureFailed(f"{browser} drew no picture within {DRAWN_WITHIN_S} s") from error
    return done.stderr.decode(errors="replace")


def _write(file: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    try:
        file.write_bytes(data)
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror}") from error
