"""The page that is shipped is what its source builds, small, and asks nothing of anybody."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from steepest.presentation.marks import MARKS

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
PAGE = ROOT / "src" / "steepest" / "explorer" / "page"
# Minified, the whole page. A budget, since a visitor over a slow link and every report carry it.
MOST_BYTES = 150_000


def sources():
    fixed = ["finish.mjs", "index.html", "package.json", "tsconfig.json", "vite.config.ts"]
    folders = [path for name in ("public", "src") for path in (WEB / name).rglob("*") if path.is_file()]
    listed = sorted((path.relative_to(WEB).as_posix() for path in folders), key=lambda p: p.split("/"))
    return fixed + listed


def test_the_shipped_page_was_built_from_the_source_as_it_stands():
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path}\n".encode() + (WEB / path).read_bytes())
    assert (PAGE / "built_from.txt").read_text().strip() == digest.hexdigest(), "run `make explorer`"


def test_building_the_source_again_gives_the_shipped_page(tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no Node: the page was not built again (its source is compared by its hash)")
    web = tmp_path / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules"))
    if (WEB / "node_modules").is_dir():
        (web / "node_modules").symlink_to(WEB / "node_modules")
    else:
        command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(command, cwd=web, capture_output=True, timeout=240, check=False).returncode:
            message = "the packages of web/package.json cannot be had: the page was NOT built again"
            warnings.warn(message, stacklevel=1)
            pytest.skip(message)
    run = subprocess.run(
        [npm, "run", "build"], cwd=web, capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    built = tmp_path / "src" / "steepest" / "explorer" / "page"
    shipped = sorted(path.name for path in PAGE.iterdir())
    assert sorted(path.name for path in built.iterdir()) == shipped
    for name in shipped:
        assert (built / name).read_bytes() == (PAGE / name).read_bytes(), name


def test_what_python_and_page_share_is_the_same():
    spec = importlib.util.spec_from_file_location("generate", WEB / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    kept = json.loads((WEB / "src" / "shared.json").read_text(encoding="utf-8"))
    assert kept == json.loads(generate.text()), "run `make explorer`"
    script = (PAGE / "explorer.js").read_text(encoding="utf-8")
    for mark in MARKS.values():
        assert mark.light in script
        assert mark.dark in script


def test_the_page_is_small():
    assert sum((PAGE / name).stat().st_size for name in ("explorer.js", "explorer.css", "index.html")) <= (
        MOST_BYTES + 20_000
    )
    assert (PAGE / "explorer.js").stat().st_size <= MOST_BYTES


def test_nothing_in_the_page_evaluates_text_or_names_another_machine():
    for name in ("explorer.js", "explorer.css", "index.html"):
        text = (PAGE / name).read_text(encoding="utf-8")
        assert not re.search(r"\beval\s*\(|new Function\b|\bFunction\(", text), name
        # Names of XML vocabularies are names, not addresses.
        addresses = set(re.findall(r"(?:https?|wss?)://[^\"'`\s)]+", text))
        assert all(address.startswith("http://www.w3.org/") for address in addresses), addresses
        assert "@import" not in text


def test_versions_are_exact_and_no_lock_file_names_a_registry():
    package = json.loads((WEB / "package.json").read_text())
    for version in {**package["dependencies"], **package["devDependencies"]}.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert not list(WEB.glob("*lock*"))


def test_the_licences_of_what_is_inside_are_shipped():
    text = (PAGE / "licences.txt").read_text(encoding="utf-8")
    for name in ("preact", "@preact/signals", "d3-contour"):
        assert re.search(rf"^{name} \d", text, re.M)
    assert "Permission" in text


def test_the_wheel_serves_the_page_without_node(tmp_path):
    """The wheel's own files, unpacked somewhere else, with nothing of Node on the path."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    # Where the build tool is at hand nothing is downloaded; elsewhere pip fetches it.
    for more in (["--no-build-isolation"], []):
        run = subprocess.run([*pip, *more], capture_output=True, text=True, timeout=240, check=False)
        if not run.returncode:
            break
    assert run.returncode == 0, run.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = (
        "import sys; from steepest.explorer.server import page_files; import steepest;"
        "print(steepest.__file__); print(len(page_files()['/explorer.js'][0]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/nonexistent", "PYTHONPATH": str(tmp_path / "installed")},
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    place, size = run.stdout.split()
    assert str(tmp_path) in place
    assert int(size) == (PAGE / "explorer.js").stat().st_size
