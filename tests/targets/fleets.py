"""Fleets of demo servers and of the small server, for tests of what stands behind a gateway."""

from itertools import count

from loadtests.demo_server import DemoServer
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing


def maker(folder, journal, command, sizing=None, made=None):
    """Makes members of that command, each with a folder of its own."""
    folders = count()

    def make(number, cores):
        workspace = folder / f"member-{number}-{next(folders)}-{id(make)}"
        workspace.mkdir(parents=True)
        target = ProcessTarget(
            ProcessSpec(command, stop_grace_s=2.0), sizing or Sizing(), workspace, journal, cores
        )
        if made is not None:
            made[number] = target
        return target

    return make


def demo(**settings):
    return DemoServer(**settings).command()
