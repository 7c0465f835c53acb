"""The recipe for conda-forge, beside what it repeats of the manifests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RECIPE = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()


def entry(manifest: str, key: str) -> str:
    """The value of a key, as it is written; the first of that name."""
    found = re.search(rf"^{key} = (.*)$", (ROOT / manifest).read_text(), re.MULTILINE)
    assert found, f"{manifest} has no {key}"
    return found[1]


def test_what_the_recipe_repeats() -> None:
    recipe = yaml.safe_load(RECIPE)
    about = recipe["about"]
    assert f'"{recipe["context"]["version"]}"' == entry("Cargo.toml", "version")
    assert f'"{about["summary"]}"' == entry("pyproject.toml", "description")
    assert f'"{about["license"]}"' == entry("pyproject.toml", "license")
    assert json.dumps(about["license_file"]) == entry("pyproject.toml", "license-files")
    [maturin] = json.loads(entry("pyproject.toml", "requires"))
    assert maturin.replace("maturin", "maturin ") in recipe["requirements"]["host"]


@pytest.mark.parametrize("tool", ["autoconf", "automake", "bison", "clang", "flex", "gawk", "make"])
def test_the_recipe_has_what_a_build_needs(tool: str) -> None:
    """``scripts/setup.sh build`` asks for the same."""
    assert tool in yaml.safe_load(RECIPE)["requirements"]["build"]
    setup = (ROOT / "scripts" / "setup.sh").read_text()
    assert re.search(rf"\b{tool}\b", setup)
