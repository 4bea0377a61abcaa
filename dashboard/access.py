"""Who may see the pages, and what a browser may do with them."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from flask import Response, make_response, redirect, request

from dashboard.address import as_query

if TYPE_CHECKING:
    from dash import Dash
    from werkzeug.wrappers import Response as AnyResponse

__all__ = ["LOOPBACK", "guard", "require"]

LOOPBACK = ("127.0.0.1", "localhost")
COOKIE = "recommender-token"
MOST_BYTES = 4 * 2**20  # of a request: a question, or a table of hours
REFUSED = (
    "This dashboard asks for its token. Open the address that `recommender dashboard` printed, or "
    "add ?token=… to this one.\n"
)
OTHERS = "A page of another site asked for this: nothing was done.\n"


def require(app: Dash, token: str) -> None:
    """Nothing is answered without it. It comes in an address once, and stays in a cookie."""

    def check() -> AnyResponse | None:
        given = request.args.get("token")
        if given is not None and _equal(given, token):
            rest = {name: value for name, value in request.args.items() if name != "token"}
            answer = redirect(_address(rest))
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            return answer
        if _equal(request.cookies.get(COOKIE, ""), token):
            return None
        return make_response(REFUSED, 401, {"Content-Type": "text/plain; charset=utf-8"})

    app.server.before_request(check)


def guard(app: Dash) -> None:
    """Nothing from elsewhere is loaded, and no page elsewhere may frame this one or act by it."""
    app.server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    def refuse_others() -> AnyResponse | None:
        # Told by the browser itself, which no page can make it leave out.
        asked_by = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.method == "POST" and asked_by not in ("same-origin", "none"):
            return make_response(OTHERS, 403, {"Content-Type": "text/plain; charset=utf-8"})
        return None

    def limit(response: Response) -> Response:
        # Read at each answer: Dash adds its inline scripts when the first page is drawn.
        scripts = " ".join(["'self'", *(f"'{each}'" for each in _unquoted(app))])
        response.headers.setdefault(
            "Content-Security-Policy",
            f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; "
            "base-uri 'self'; frame-ancestors 'none'",
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    app.server.before_request(refuse_others)
    app.server.after_request(limit)


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _address(rest: dict[str, str]) -> str:
    """Of the same page here: the path alone, which leads nowhere else."""
    path = "/" + request.path.lstrip("/\\")
    return f"{path}?{as_query(rest)}" if rest else path


def _unquoted(app: Dash) -> list[str]:
    return [each.strip("'") for each in app.csp_hashes()]
