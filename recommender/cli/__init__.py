"""The command line: parse, call one function, render, exit.

Exit codes
0  done                                  4  a measurement is INVALID, or says too little
1  our fault, or the world's             5  no option meets the demand
2  the question cannot be asked so     130  stopped by the user (Ctrl-C)
3  an objective was missed
"""

from __future__ import annotations

from recommender.cli.app import main

__all__ = ["main"]
