"""The declared face: what stands in `acanet.__all__`, and that pages and users need nothing else."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import acanet
from support.paths import ROOT

MEMBERS = set(acanet.__all__) - {"__version__"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODELS = "docs/model.md"
"""The page for those who build models; their parts stand in `acanet.models`."""


def test_every_member_is_there_and_tells_what_it_is():
    assert sorted(acanet.__all__) == acanet.__all__ == sorted(set(acanet.__all__))
    for name in MEMBERS:
        member = getattr(acanet, name)
        assert member.__name__ == name
        first = inspect.getdoc(member).splitlines()[0]
        assert re.match(r"[A-Z].*[.:]$|[A-Z].*[^.]$", first), f"{name}: {first}"
    assert set(acanet.__all__) <= set(dir(acanet))
    with pytest.raises(AttributeError, match="no attribute 'encode'"):
        acanet.encode  # noqa: B018


def test_type_checkers_see_the_same_members():
    source = (ROOT / "src" / "acanet" / "__init__.py").read_text("utf-8")
    block = source.partition("if TYPE_CHECKING:")[2].partition("__version__")[0]
    seen = {
        (name.strip(), module)
        for module, names in re.findall(r"from (\S+) import (.+)", block)
        for name in names.split(",")
    }
    assert seen == set(acanet._HOMES.items())


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_pages_import_from_the_face_alone(page):
    text = page.read_text("utf-8")
    modules = set(re.findall(r"^(?:>>> )?\s*from (acanet[\w.]*) import", text, re.MULTILINE))
    assert modules <= ({"acanet", "acanet.models"} if page == ROOT / MODELS else {"acanet"})
    for names in re.findall(r"^(?:>>> )?\s*from acanet import (.+)$", text, re.MULTILINE):
        assert {name.strip() for name in names.split("#")[0].split(",")} <= MEMBERS
    for name in re.findall(r"`acanet\.([a-z_]+)`", text):
        assert name in MEMBERS | {"models", "parts"}, name


def test_importing_the_face_is_light():
    program = "import sys, acanet; print(sorted(m for m in sys.modules if m.startswith('acanet')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['acanet', 'acanet.errors']"
