"""`python -m loadtests.gateway SETTINGS RECORDS`: what `loadtests.gateway.process` starts."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from loadtests.gateway.server import serve
from loadtests.gateway.settings import GatewaySettings


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us, by closing our input
    settings, records = sys.argv[1:]
    with suppress(BrokenPipeError):  # the parent has gone
        asyncio.run(serve(GatewaySettings.from_json(settings), Path(records)))


if __name__ == "__main__":
    main()
