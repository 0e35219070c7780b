"""What deploys the functions: images that need nothing when they run, and calls as CVAT's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
IMAGES = ["Dockerfile.cpu", "Dockerfile.gpu"]

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="needs the source checkout")


def instructions(name):
    """(instruction, rest) of a Dockerfile, lines joined and comments gone."""
    lines = [line for line in (DEPLOY / name).read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_runs_as_nobody_in_particular_and_downloads_nothing(name):
    steps = instructions(name)
    last = max(n for n, (kind, _) in enumerate(steps) if kind == "FROM")
    final = steps[last:]
    assert final[-1] == ("USER", "10001:10001")
    assert not [rest for kind, rest in final if kind == "RUN"]
    assert not any(re.search(r"curl|wget|apt-get|https?://|ADD ", rest) for _, rest in steps)
    bases = {rest.split()[0] for kind, rest in steps if kind == "FROM"}
    assert all(re.search(r":\d+\.\d+\.\d+-slim", base) for base in bases)
    (environment,) = [rest for kind, rest in final if kind == "ENV"]
    assert "PYTHONDONTWRITEBYTECODE=1" in environment


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_installed_has_a_hash_and_comes_in_wheels(name):
    installs = [rest for kind, rest in instructions(name) if kind == "RUN" and "install" in rest]
    for command in "&&".join(installs).split("&&"):
        if " install " in command:
            assert "--require-hashes --only-binary :all:" in command or "--no-index" in command


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_exists(name):
    for kind, rest in instructions(name):
        if kind == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


@pytest.mark.parametrize("name", IMAGES)
def test_hadolint_has_nothing_to_say(name):
    tool = shutil.which("hadolint") or os.environ.get("HADOLINT")
    if not tool:
        pytest.skip("needs hadolint, on the PATH or in HADOLINT")
    done = subprocess.run([tool, str(DEPLOY / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["cpu", "gpu", "build"])
def test_every_requirement_is_one_version_with_its_hash(kind):
    text = (DEPLOY / f"requirements-{kind}.txt").read_text()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    entry = re.compile(r"[a-z0-9-]+==[0-9.]+ \\\n    --hash=sha256:[0-9a-f]{64}\n")
    assert entry.sub("", body) == ""
    assert "torch" not in body


def test_the_two_images_differ_in_onnxruntime_alone():
    def versions(kind):
        return set(
            re.findall(r"^\S+==\S+", (DEPLOY / f"requirements-{kind}.txt").read_text(), re.M)
        )

    apart = versions("cpu") ^ versions("gpu")
    assert {one.split("==")[0].split("-")[0] for one in apart} == {"onnxruntime", "nvidia"}


def test_the_handlers_import_what_is_installed_and_nothing_else():
    code = (
        "import sys, cvat_function.tracker, cvat_function.detector\n"
        "names = {m.partition('.')[0] for m, o in sys.modules.items()\n"
        "         if 'site-packages' in (getattr(o, '__file__', None) or '')}\n"
        "print(*sorted(names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = {name for name in done.stdout.split() if not name.startswith("_")}
    wanted = {"av", "cv2", "numpy", "onnxruntime", "scipy"}
    if sys.version_info < (3, 11):  # the images have 3.11, which brings tomllib
        wanted.add("tomli")
    assert found - {"impose_core", "cvat_function"} <= wanted


def deploy(*arguments, path=None):
    environment = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(
        ["bash", str(DEPLOY / "deploy.sh"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_a_dry_run_prints_the_calls_of_cvat_s_own_scripts():
    done = deploy("--dry-run")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("docker build --file")
    assert lines[1].strip() == "nuctl create project cvat --platform local"
    deploys = [line for line in lines if line.startswith("nuctl deploy")]
    assert len(deploys) == 2
    for line, function in zip(deploys, ("tracker", "detector"), strict=True):
        assert "--project-name cvat" in line
        assert f"deploy/{function}/function.yaml" in line
        assert "--platform local" in line


def test_with_a_gpu_it_takes_the_other_file_and_image():
    done = deploy("--dry-run", "--gpu", "tracker")
    assert "Dockerfile.gpu" in done.stdout
    assert "tracker/function-gpu.yaml" in done.stdout
    assert "detector" not in done.stdout


def test_it_calls_the_tools_and_goes_on_where_the_project_exists(tmp_path):
    log = tmp_path / "log"
    for tool in ("docker", "nuctl"):
        script = tmp_path / tool
        script.write_text(
            f'#!/bin/sh\necho {tool} "$@" >> {log}\n'
            'case "$*" in *"create project"*) exit 1;; esac\n'
        )
        script.chmod(0o755)
    done = deploy(path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in log.read_text().splitlines()] == [
        ["docker", "build"],
        ["nuctl", "create"],
        ["nuctl", "deploy"],
        ["nuctl", "deploy"],
        ["nuctl", "get"],
    ]


def test_a_wrong_argument_is_told():
    done = deploy("--fast")
    assert done.returncode == 2
    assert "--fast" in done.stderr
