"""Images for the tests, made of this machine's own Python: no registry is needed, and 3 s."""

import hashlib
import io
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

PYTHON = Path(os.path.realpath(sys.executable))
LIBRARY = Path(sysconfig.get_path("stdlib"))
LEFT_OUT = {
    *("site-packages", "dist-packages", "test", "tests", "idlelib", "ensurepip", "lib2to3"),
    *("tkinter", "turtledemo", "pydoc_data", "__pycache__"),
}
CHANGES = ("ENV PATH=/usr/bin", 'CMD ["nothing"]')
SERVER = Path(__file__).parent / "container_server.py"


def import_server_image(client, name):
    """An image of that name, in which `serve` is the test server."""
    client.import_image_from_data(_archive(), repository=name, tag="latest", changes=list(CHANGES))


def build_from(client, name, dockerfile):
    lines = client.build(fileobj=io.BytesIO(dockerfile.encode()), tag=name, rm=True, decode=True)
    errors = [line["error"] for line in lines if "error" in line]
    assert not errors, errors


def load_empty_image(client, name, architecture):
    """An image for another processor: said so by its configuration, and there is nothing in it."""
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    digest = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    configuration = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
        "history": [{"created_by": "a test"}],
    }
    manifest = [{"Config": "image.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "image.json": json.dumps(configuration).encode(),
        "manifest.json": json.dumps(manifest).encode(),
        "layer.tar": layer.getvalue(),
    }
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    list(client.load_image(held.getvalue()))


def _archive():
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.add(PYTHON)
        archive.add(LIBRARY, filter=_needed)
        for library in _linked([PYTHON, *(LIBRARY / "lib-dynload").glob("*.so")]):
            archive.add(os.path.realpath(library), arcname=library)
        for folder in ("tmp", "opt/ml"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        _add_program(archive, "usr/bin/serve", SERVER.read_text())
    return held.getvalue()


def _needed(entry):
    path = Path(entry.name)
    is_for_building = path.name.startswith(("libpython", "config-"))
    return None if is_for_building or LEFT_OUT & set(path.parts) else entry


def _linked(programs):
    listed = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    )
    words = (word for line in listed.stdout.splitlines() for word in line.split())
    return sorted({word for word in words if word.startswith("/") and not word.endswith(":")})


def _add_program(archive, path, source):
    text = f"#!{PYTHON} -u\n{source}".encode()
    entry = tarfile.TarInfo(path)
    entry.mode, entry.size = 0o755, len(text)
    archive.addfile(entry, io.BytesIO(text))
