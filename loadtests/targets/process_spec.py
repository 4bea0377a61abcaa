"""The user's command: how it is read, and the environment it is given."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["OPT_ML", "ProcessSpec", "contract_environment", "port_variables", "with_port"]

OPT_ML = "opt/ml"  # below the workspace: /opt/ml itself would need root, and would be shared
SHELL_SYNTAX = re.compile(r"\$[A-Za-z_{(?!#@*]|`|^\s*[A-Za-z_]\w*=|\n\s*\S")
SHELL_OPERATORS = "|&;<>"


def _no_variables() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """The user's command and how to treat it.

    command: `{port}` in it, and in the values of `environment`, becomes the port. A string is
    split as a
        shell would and run without one, unless it uses what only a shell can do (pipes,
        variables).
    environment: wins over everything we set.
    model_dir: becomes SM_MODEL_DIR, and `opt/ml/model` in the workspace.
    stop_grace_s: between SIGTERM and SIGKILL; SageMaker allows 30.
    """

    command: str | tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=_no_variables)
    model_dir: Path | None = None
    cwd: Path | None = None
    startup_timeout_s: float = 480.0
    ping_timeout_s: float = 2.0
    stop_grace_s: float = 10.0
    ping_path: str = "/ping"

    def __post_init__(self) -> None:
        self.arguments(port=0)
        for folder in (self.model_dir, self.cwd):
            if folder is not None and not folder.is_dir():
                raise UsageError(f"{folder} is not a folder")

    @property
    def command_line(self) -> str:
        return self.command if isinstance(self.command, str) else shlex.join(self.command)

    def arguments(self, port: int) -> list[str]:
        if isinstance(self.command, tuple):
            words = list(self.command)
        elif _needs_shell(self.command):
            words = ["/bin/sh", "-c", self.command]
        else:
            words = shlex.split(self.command)
        if not words:
            raise UsageError("the command is empty", hint='for example "python serve.py {port}"')
        return [with_port(word, port) for word in words]

    def variables(self, port: int) -> dict[str, str]:
        return {name: with_port(value, port) for name, value in self.environment.items()}


def with_port(text: str, port: int) -> str:
    return text.replace("{port}", str(port))


def _needs_shell(command: str) -> bool:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=SHELL_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as problem:
        raise UsageError(f"the command does not parse: {problem}: {command}") from None
    operators = any(word and set(word) <= set(SHELL_OPERATORS) for word in words)
    return operators or SHELL_SYNTAX.search(command) is not None


def contract_environment(
    spec: ProcessSpec, port: int, cpus: int, workspace: Path
) -> dict[str, str]:
    """What SageMaker tells a container, as far as a plain process can be told it.

    Workers are not: how many there are is the command's to say, and part of what is being
    compared.
    """
    variables = {
        **port_variables(port),
        "PORT": str(port),
        "SM_NUM_CPUS": str(cpus),
        "SM_INPUT_DIR": str(workspace / OPT_ML / "input"),
        "SM_OUTPUT_DIR": str(workspace / OPT_ML / "output"),
    }
    if spec.model_dir is not None:
        variables["SM_MODEL_DIR"] = str(spec.model_dir.absolute())
    return {**os.environ, **variables, **spec.variables(port)}


def port_variables(port: int) -> dict[str, str]:
    """The port to serve on, and a hundred that several servers of one machine may use inside."""
    first = 10_000 + 100 * (port % 100)  # below the ephemeral range, apart for most pairs
    return {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_SAFE_PORT_RANGE": f"{first}-{first + 99}",
    }
