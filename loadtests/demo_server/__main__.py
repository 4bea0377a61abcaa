"""Run as python -m loadtests.demo_server --port 8080 --servers 2 --service exp:0.005 ."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from loadtests.demo_server import DemoServer
from loadtests.demo_server.server import serve
from loadtests.demo_server.service_times import GRAMMAR
from loadtests.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    host, port = options.host, options.port
    del options.host, options.port
    try:
        settings = DemoServer(**vars(options))
        time.sleep(settings.setup_s)
        return asyncio.run(serve(settings, host, port))
    except UsageError as error:
        _complain(f"{error}" + (f"; {error.hint}" if error.hint else ""))
        return error.exit_code
    except (OSError, OverflowError) as error:  # the latter: no such port
        _complain(str(error))
        return 1


def _complain(message: str) -> None:
    sys.stderr.write(f"demo_server: {message}\n")


def _parser() -> argparse.ArgumentParser:
    default = DemoServer()
    parser = argparse.ArgumentParser(
        prog="demo_server",
        description="A server of known service times, behind /ping and /invocations, "
        "and with --ttft of known token times, behind OpenAI's paths too.",
        epilog="GET /truth tells what happened (as JSON; as one array: GET /truth?format=npy), "
        "POST /truth/reset forgets it.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, required=True)
    add("--servers", type=int, default=default.servers, help="requests served at once")
    add("--service", default=default.service, metavar="LAW", help=GRAMMAR)
    add("--seed", type=int, default=default.seed)
    add("--stall", metavar="EVERY_S:FOR_S", help="no work for FOR_S at the end of every EVERY_S")
    add("--cliff", metavar="N:FACTOR", help="services FACTOR times as long above N in the system")
    add("--drift", dest="drift_per_hour", type=float, default=0.0, metavar="RATIO_PER_HOUR",
        help="growth of the mean service time")  # fmt: skip
    add("--leak", dest="leak_bytes", type=int, default=0, metavar="BYTES", help="each invocation")
    add("--error-rate", type=float, default=0.0, metavar="RATIO", help="answered with 500")
    add("--error-burst", metavar="EVERY_S:FOR_S", help="500 for FOR_S at the end of every EVERY_S")
    add("--fail-after", type=int, metavar="N", help="die with status 1 after N invocations")
    add("--ping-delay", dest="ping_delay_s", type=float, default=0.0, metavar="S")
    add("--ping-status", type=int, default=default.ping_status, metavar="CODE")
    add("--setup", dest="setup_s", type=float, default=0.0, metavar="S", help="before it listens")
    add("--queue-limit", type=int, metavar="N", help="503 when N are waiting already")
    add("--per-row", dest="per_row_s", type=float, default=0.0, metavar="S",
        help="more for each line of a body")  # fmt: skip
    add("--row-limit", type=int, metavar="N", help="413 for a body of more lines")
    add("--ttft", metavar="LAW", help="stream, the first token after a time of this law")
    add("--itl", metavar="LAW", help="of the gaps between tokens")
    add("--tokens", default=default.tokens, metavar="N|FEWEST:MOST", help="of an answer")
    add("--tokens-per-chunk", type=int, default=default.tokens_per_chunk, metavar="N")
    add("--cut-rate", type=float, default=0.0, metavar="RATIO", help="streams cut off halfway")
    add("--no-usage", action="store_true", help="never tell how many tokens there were")
    add("--truth-limit", type=int, default=default.truth_limit, metavar="N",
        help="requests that GET /truth remembers, 64 bytes each")  # fmt: skip
    add("--log", metavar="FILE", help="one JSON line per invocation")
    return parser


if __name__ == "__main__":
    sys.exit(main())
