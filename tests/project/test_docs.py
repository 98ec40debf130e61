"""README and docs tell the truth: their code runs, their commands parse, their tables are those of the code."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from xml.etree import ElementTree

import pytest
import torch
import typer
import yaml

import acanet
from acanet.cli import exits
from acanet.cli.application import app
from acanet.config.strict import Strict
from acanet.data.augment.effects import Range
from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.evaluation.one_model import evaluate_model
from acanet.evaluation.report.report_folder import write_report
from acanet.evaluation.result import Counts, ResultsCard
from acanet.models import registry
from acanet.models.config import ExtractorConfig
from acanet.models.parts.mla import MlaAggregator
from acanet.models.registry import model_config, model_names, model_size
from acanet.runtime import bundle
from acanet.scoring.measure import Measure
from acanet.training.read_recipe import read_experiment, read_recipe
from acanet.training.recipe import Experiment
from support.calibrations import calibration
from support.commands import acanet as run
from support.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

size_of = cache(model_size)

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The code blocks in a language: the line before each, and its text."""
    text = page.read_text("utf-8")
    found = FENCE.finditer(text)
    return [(text.count("\n", 0, match.start(2)), match[2]) for match in found if match[1] == language]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def inline(page: Path) -> list[str]:
    """What stands between backticks outside of code blocks, on one line or over two."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def rows(page: Path) -> list[list[str]]:
    """The cells of every line of every table."""
    lines = prose(page).splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def named(page: Path) -> dict[str, list[str]]:
    """The rows whose first cell is code, possibly with a remark: the other cells by that code."""
    found = ((re.match(r"`([^`]+)`", row[0]), row[1:]) for row in rows(page))
    return {match[1]: cells for match, cells in found if match}


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The single commands of shell blocks and of inline code, without comments."""
    scripts = [text.replace("\\\n", " ") for _, text in blocks(page, "sh")]
    lines = [line for script in scripts for line in script.splitlines()]
    lines += [code for code in inline(page) if re.match(r"(acanet|make|pip) ", code)]
    for line in lines:
        words = shlex.split(line, comments=True)
        while "&&" in words:
            yield words[: words.index("&&")]
            words = words[words.index("&&") + 1 :]
        if words:
            yield words


@pytest.fixture(scope="module")
def desk(tmp_path_factory, voices, tiny_bundle, tiny_recipe) -> Path:
    """A folder with everything that the examples name."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(voices / "s004" / "000.wav", folder / "enrolment.wav")
    shutil.copy(voices / "s004" / "001.wav", folder / "test.wav")
    files = [path for speaker in ("s004", "s005") for path in sorted((voices / speaker).glob("*.wav"))]
    entries = [
        {"id": f"{file.parent.name}/{file.name}", "path": str(file), "speaker": file.parent.name} for file in files
    ]
    (folder / "test").mkdir()
    manifest = folder / "test" / "train.jsonl"
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    trials = folder / "few.trials"
    trials.write_text("1 s004/000.wav s004/001.wav\n0 s004/000.wav s005/000.wav\n", encoding="utf-8")
    write_report(folder / "report", evaluate_model(Encoder.load(tiny_bundle), trials, manifest=manifest, replicates=10))
    recipe = tiny_recipe | {"model": {"name": "acanet-local"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    torch.save(authors_weights(), folder / "authors.pt")
    return folder


def authors_weights() -> dict[str, torch.Tensor]:
    """Random weights of ACA-Net in the layout of the authors' code."""
    spec = importlib.util.spec_from_file_location("train_step", ROOT / "benchmarks" / "train_step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PlainAcaNet(80, 256, 400, MlaAggregator()).state_dict()


@pytest.fixture(scope="module")
def calibrated(tiny_bundle, tmp_path_factory) -> Path:
    """The tiny model with a calibration, as the model that ships has one."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundles") / "default")
    model = bundle.Bundle.load(folder)
    model.with_calibration(calibration(model.fingerprint))
    return folder


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page, desk, calibrated, monkeypatch):
    monkeypatch.chdir(desk)
    if page.name != "hours.md":  # what is not exported has no pieces
        monkeypatch.setattr(bundle, "BUNDLES", calibrated.parent)  # the model that ships takes longer
    for line, text in blocks(page, "python"):
        code = compile("\n" * line + text, str(page), "exec", dont_inherit=True)
        exec(code, {"__name__": "__main__"})


def test_a_trial_list_as_the_training_page_makes_it(desk, tiny_bundle, monkeypatch):
    monkeypatch.chdir(desk)
    (command,) = (words for words in shell_lines(ROOT / "docs" / "train.md") if words[:2] == ["acanet", "trials"])
    assert run(*command[1:]).code == 0
    manifest = desk / "test" / "train.jsonl"
    card = evaluate_model(Encoder.load(tiny_bundle), desk / "test.trials", manifest=manifest, replicates=10).card
    assert (card.counts.targets, card.counts.nontargets, card.counts.speakers) == (6, 9, 2)


def test_consoles_show_what_comes_out():
    page = ROOT / "docs" / "numbers.md"
    text = "\n".join(text for _, text in blocks(page, "pycon"))
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0))
    assert runner.summarize(verbose=False) == (0, text.count(">>>"))
    assert ">>>" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_and_their_options_parse(page):
    found = [words[1:] for words in shell_lines(page) if words[0] == "acanet"]
    assert found
    for name, *arguments in found:
        assert name in COMMANDS
        if arguments:
            COMMANDS[name].make_context(name, list(arguments))  # raises for what it does not know


def test_a_wrong_option_does_not_parse():
    with pytest.raises(Exception, match="No such option: --treshold"):
        COMMANDS["verify"].make_context("verify", ["a.wav", "b.wav", "--treshold", "0.5"])


def test_options_named_in_the_text_exist():
    options = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    used = {word for page in PAGES for code in inline(page) for word in code.split() if word.startswith("--")}
    assert {"--threshold", "--init"} <= used
    assert used - options == {"--", "--no_telemetry"}  # the end of options, and a switch of onnxruntime's build


def test_every_command_is_documented():
    used = {words[1] for page in PAGES for words in shell_lines(page) if words[0] == "acanet"}
    assert used == set(COMMANDS)


def test_targets_of_make_and_extras_of_pip_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [words for page in PAGES for words in shell_lines(page)]
    made = {word for words in lines if words[0] == "make" for word in words[1:]}
    groups = [
        re.sub(r".*\[(.*)\]", r"\1", word) for words in lines if words[0] == "pip" for word in words if "[" in word
    ]
    extras = {extra for group in groups for extra in group.split(",")}
    assert "demo" in made
    assert made <= set(targets)
    assert extras
    assert extras <= set(project["optional-dependencies"])


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_of_train_fit_a_recipe(page, tmp_path):
    (own,) = [text for _, text in blocks(ROOT / "docs" / "model.md", "python") if 'register_model("gated"' in text]
    exec(compile(own, "model.md", "exec", dont_inherit=True), {"__name__": "gated"})  # a part of the user's own
    examples = blocks(ROOT / "docs" / "train.md", "yaml")
    for name, (_, text) in zip(("my.yaml", "longer.yaml", "compare.yaml"), examples, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    readers = {"train": read_recipe, "experiment": read_experiment}
    for words in shell_lines(page):
        if words[0] == "acanet" and words[1] in readers and words[2:]:
            given = COMMANDS[words[1]].make_context(words[1], words[2:]).params
            folder = ROOT if given["recipe"].parts[0] == "recipes" else tmp_path
            readers[words[1]](folder / given["recipe"], tuple(given["settings"] or ()))


def recipe_keys(config: type[Strict], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a recipe with its default as YAML has it, or "required"; but for `kind`, which chooses a group."""
    for name, field in config.model_fields.items():
        if name == "kind" and len(get_args(field.annotation)) == 1:
            continue
        named_groups = get_origin(field.annotation) is dict
        annotation = get_args(field.annotation)[1] if named_groups else field.annotation
        groups = [kind for kind in parts(annotation) if issubclass(kind, Strict) and kind is not Range]
        default = "required" if field.is_required() else field.get_default(call_default_factory=True)
        if not groups or named_groups or default is None:
            yield prefix + name, plain(default)
        for group in groups:
            yield from recipe_keys(group, f"{prefix}{name}.NAME." if named_groups else f"{prefix}{name}.")


def parts(annotation: Any) -> Iterator[type]:
    """The classes of a union, or the one class that an annotation is; of a mapping or tuple nothing."""
    if isinstance(annotation, type):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from parts(part)


def plain(value: Any) -> Any:
    if isinstance(value, Range):
        return [value.low, value.high]
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def test_every_recipe_key_is_documented_with_its_default():
    table = named(ROOT / "docs" / "train.md")
    written = {key: yaml.safe_load(cells[0].strip("`")) for key, cells in table.items() if len(cells) == 2}
    assert written == dict(recipe_keys(Experiment))


def test_every_field_of_the_card_is_documented():
    section = (
        (ROOT / "docs" / "numbers.md").read_text("utf-8").partition("## The results card")[2].partition("\n## ")[0]
    )
    fields = {*ResultsCard.model_fields, *(f"counts.{name}" for name in Counts.model_fields), *Measure.model_fields}
    assert set(re.findall(r"^\| `([^`]+)` ", section, re.MULTILINE)) == fields


def test_sizes_in_the_table_are_those_of_the_models():
    table = named(ROOT / "docs" / "model.md")
    written = {name: cells for name, cells in table.items() if len(cells) == 5}
    assert list(written) == model_names()
    for name, (*sizes, frames, aggregator) in written.items():
        size, config = size_of(name), model_config(name)
        assert isinstance(config, ExtractorConfig)
        giga = [f"{macs / 1e9:.2f} G" for macs in (size.macs_3s, size.macs_60s)]
        assert sizes == [f"{size.parameters:,}", *giga]
        encoders = {"pointwise": "1×1", "tdnn": "TDNN", "ecapa": "ECAPA", "campplus": "CAM++", "redimnet2": "ReDimNet2"}
        assert frames.split(",")[0] == encoders.get(config.frames.kind, config.frames.kind)
        kinds = {
            "mla": "MLA",
            "aca-statistics": "second-order ACA",
            "attentive-statistics": "attentive statistics",
            "astp": "ASTP",
        }
        assert aggregator == kinds.get(config.aggregator.kind, config.aggregator.kind)


def test_sizes_in_the_readme_are_those_of_the_models():
    table = named(ROOT / "README.md")
    for name in ("acanet2", "acanet2-small", "acanet2-large", "ecapa-512", "campplus", "x-vector"):
        size = size_of(name)
        assert table[name][:2] == [f"{size.parameters:,}", f"{size.macs_3s / 1e9:.2f} G"]


def test_results_are_filled_in():
    missing = {place for page in PAGES for place in re.findall(r"RESULT_\w+", page.read_text("utf-8"))}
    assert missing == set()


def test_numbers_of_the_folding_table():
    """Multiply-adds of an ACA layer of the published network, without its MLP."""
    config = model_config("acanet")
    assert isinstance(config, ExtractorConfig)
    assert isinstance(config.aggregator, MlaAggregator)
    latents, dim = config.aggregator.latents, config.frames_channels

    def millions(macs: int) -> str:
        return f"{macs / 1e6:,.1f} M"

    keys, attention, rest, total = (
        row[3:] for row in rows(ROOT / "docs" / "model.md") if len(row) == 5 and " M" in row[3]
    )
    for column, frames in enumerate((298, 5998)):
        projected, heard, fixed = 2 * frames * dim**2, 2 * latents * frames * dim, 2 * latents * dim**2
        assert keys[column] == f"{millions(projected)} → 0"
        assert attention[column] == millions(heard)
        assert rest[column] == millions(fixed)
        assert total[column] == f"{millions(projected + heard + fixed)} → {millions(heard + fixed)}"


@pytest.mark.parametrize(
    ("name", "middle", "seen", "readout"),
    [
        ("acanet-local", 75, 89, (64, 1024, 3)),
        ("acanet2", 38, 95, (192, 4 * 512)),
        ("acanet2-large", 38, 47, (3 * 192, 4 * 512)),
    ],
)
def test_how_far_a_frame_sees_and_what_is_read_of_a_latent(name, middle, seen, readout):
    """Frames of input, and the numbers of latents and features in the read-out, as the page says."""
    model = registry.build_model(name).eval()
    features = torch.randn(1, 301, 80, requires_grad=True)
    model.frames(features, None)[0][0, middle].sum().backward()
    assert features.grad is not None
    assert int(features.grad[0].abs().sum(dim=1).count_nonzero()) == seen
    weights = model.head.readout if hasattr(model.head, "readout") else model.head.linear.weight
    assert tuple(weights.shape) == readout
    page = (ROOT / "docs" / "model.md").read_text("utf-8")
    assert f"sees {seen} input frames" in " ".join(page.split())


def test_errors_in_the_readme_have_their_exit_codes():
    table = {}
    for row in rows(ROOT / "README.md"):
        if len(row) == 3 and row[0].startswith("`") and row[1].isdigit():
            table |= dict.fromkeys(re.findall(r"`(\w+)`", row[0]), int(row[1]))
    errors = {name: getattr(acanet, name) for name in acanet.__all__}
    errors = {name: kind for name, kind in errors.items() if isinstance(kind, type) and issubclass(kind, AcanetError)}
    assert table == {name: kind.exit_code for name, kind in errors.items() if kind is not AcanetError}
    codes = {int(row[0]) for row in rows(ROOT / "README.md") if len(row) == 2 and row[0].isdigit()}
    assert codes == {
        0,
        1,
        exits.INTERNAL_ERROR,
        exits.INTERRUPTED,
        exits.OUTPUT_CLOSED,
        *(kind.exit_code for kind in errors.values()),
    }


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as links have them."""
    return {
        re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in HEADING.findall(prose(page))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_the_site_has_all_pages():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(page for entry in site["nav"] for page in entry.values()) == [page.name for page in PAGES[1:]]


@pytest.mark.parametrize("figure", sorted((ROOT / "docs" / "figures").glob("*.svg")), ids=lambda path: path.name)
def test_figures_are_described_and_shown(figure):
    root = ElementTree.parse(figure).getroot()
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text
    assert any(f"figures/{figure.name}" in page.read_text("utf-8") for page in PAGES)
