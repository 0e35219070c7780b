"""Weights are the ones the manifest names, or a sentence says why not."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from impose_core import weights
from impose_core.cli import doctor_report
from impose_core.cli.app import app
from impose_core.errors import ChecksumMismatch, WeightsError
from impose_core.weights import read_manifest, read_weights, weights_folder

ROOT = Path(__file__).parent.parent
CONTENT = b"numbers" * 100
ENTRY = {
    "file": "net.onnx",
    "size": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "licence": "Apache-2.0",
    "source": "a test",
}


def write_manifest(folder, **changes):
    fields = {key: value for key, value in (ENTRY | changes).items() if value is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    (folder / "manifest.toml").write_text("\n".join(["[weights.net]", *lines]))


@pytest.fixture
def folder(tmp_path):
    write_manifest(tmp_path)
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    return tmp_path


# --- the files that come with the package ------------------------------------------------------


def test_what_is_shipped_is_what_the_manifest_names():
    entries = read_manifest()
    assert set(entries) == {"movenet-multipose", "movenet-thunder"}
    for name, entry in entries.items():
        assert len(read_weights(name)) == entry.size <= 16 * 2**20
        assert entry.licence == "Apache-2.0"
        assert "3.0.4" in entry.source


def test_every_network_file_has_an_entry():
    files = {path.name for path in weights_folder().glob("*.onnx")}
    assert files == {entry.path.name for entry in read_manifest().values()}


def test_licence_notice_and_card_lie_beside_the_weights():
    folder = weights_folder()
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "Google" in (folder / "NOTICE").read_text()
    assert "Limits" in (folder / "cards" / "movenet.md").read_text()


# --- what can be wrong -------------------------------------------------------------------------


def test_the_right_file_is_read(folder):
    assert read_weights("net", folder) == CONTENT


def test_an_unknown_name_lists_the_known_ones(folder):
    with pytest.raises(WeightsError, match="Expected one of net, got 'nett'"):
        read_weights("nett", folder)


def test_a_missing_file_is_named(folder):
    (folder / "net.onnx").unlink()
    with pytest.raises(WeightsError, match=r"net\.onnx, got: No such file") as raised:
        read_weights("net", folder)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("content", "size"),
    [
        pytest.param(CONTENT[:-1], "got 699 bytes", id="truncated"),
        pytest.param(b"", "got 0 bytes", id="empty"),
        pytest.param(CONTENT + b"!", "got more than 700 bytes", id="too long"),
        pytest.param(CONTENT[:-1] + b"!", "got 700 bytes", id="corrupt"),
        pytest.param(b"another" * 100, "got 700 bytes", id="swapped"),
    ],
)
def test_another_file_is_refused_with_both_hashes(folder, content, size):
    (folder / "net.onnx").write_bytes(content)
    with pytest.raises(ChecksumMismatch) as raised:
        read_weights("net", folder)
    assert "net.onnx" in raised.value.message
    assert ENTRY["sha256"] in raised.value.message
    assert hashlib.sha256(content).hexdigest() in raised.value.message
    assert size in raised.value.message


def test_two_shipped_files_that_changed_places_are_noticed(tmp_path):
    for path in (weights_folder() / "manifest.toml", *weights_folder().glob("*.onnx")):
        shutil.copy(path, tmp_path)
    (tmp_path / "movenet-thunder.onnx").replace(tmp_path / "kept")
    (tmp_path / "movenet-multipose.onnx").replace(tmp_path / "movenet-thunder.onnx")
    (tmp_path / "kept").replace(tmp_path / "movenet-multipose.onnx")
    for name in read_manifest(tmp_path):
        with pytest.raises(ChecksumMismatch):
            read_weights(name, tmp_path)


def test_a_folder_in_place_of_the_file_is_an_error(folder):
    (folder / "net.onnx").unlink()
    (folder / "net.onnx").mkdir()
    with pytest.raises(WeightsError, match=r"net\.onnx"):
        read_weights("net", folder)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"manifest\.toml, got: No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[weights.net\nfile = ", "breaks off"),
        (b"\xff\xfe", "breaks off"),
        (b"", "a table 'weights'"),
        (b"weights = 3", "a table 'weights'"),
        (b"[weights]\nnet = 3", "a table 'weights.net'"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, content, why):
    (tmp_path / "manifest.toml").write_bytes(content)
    with pytest.raises(WeightsError, match=why) as raised:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.toml") in raised.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, None) for field in ENTRY],
        *[("size", wrong) for wrong in (0, -1, 2**40, "700", True, 7.0)],
        *[("sha256", wrong) for wrong in ("", "abc", ENTRY["sha256"].upper(), "g" * 64)],
        *[("file", wrong) for wrong in ("", "..", "/etc/x", "../x.onnx", "a\\b", "C:x", 3)],
        ("licence", ""),
    ],
)
def test_a_damaged_entry_names_its_field(folder, field, value):
    write_manifest(folder, **{field: value})
    with pytest.raises(WeightsError, match=rf"weights\.net\.{field}"):
        read_manifest(folder)


def test_without_package_data_or_checkout_there_are_no_weights(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()  # somebody else's, beside an installed package
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "impose_core" / "weights.py"))
    with pytest.raises(WeightsError, match="_models"):
        weights_folder()


def test_package_data_comes_before_a_checkout(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "impose_core" / "weights.py"))
    assert weights_folder() == tmp_path / "models"
    (tmp_path / "impose_core" / "_models").mkdir(parents=True)
    assert weights_folder() == tmp_path / "impose_core" / "_models"


# --- what the doctor says ----------------------------------------------------------------------


def test_the_doctor_runs_every_network():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    parts = {part["name"]: part for part in json.loads(result.stdout)["weights"]}
    assert set(parts) == {"movenet-multipose", "movenet-thunder"}
    assert all(part["works"] and part["intact"] for part in parts.values())
    assert "onnxruntime" in CliRunner().invoke(app, ["doctor"]).stdout


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "net.onnx").write_bytes(CONTENT[1:]), "SHA-256"),
        (lambda folder: (folder / "net.onnx").unlink(), "No such file"),
        (lambda folder: (folder / "manifest.toml").write_text("?"), "TOML"),
        (lambda folder: None, "does not run"),  # intact, but no network
    ],
)
def test_the_doctor_fails_on_weights_that_cannot_be_used(folder, monkeypatch, damage, said):
    damage(folder)
    monkeypatch.setattr(doctor_report, "read_manifest", lambda: read_manifest(folder))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 5
    assert "FAILS" in result.stdout
    assert said in result.stdout


# --- what is installed -------------------------------------------------------------------------


def test_the_package_does_without_torch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import impose_core.session, impose_core.weights\n"
        "from impose_core.cli.doctor_report import examine\n"
        "assert examine()['healthy']"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_wheel_holds_the_weights_and_no_tools(tmp_path):
    pytest.importorskip("hatchling", reason="builds a wheel; comes with impose[dev]")
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs the source checkout")
    code = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(
        command, cwd=ROOT, env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    inside = {name.removeprefix("impose_core/_models/") for name in names if "_models/" in name}
    assert inside == {
        *("manifest.toml", "movenet-multipose.onnx", "movenet-thunder.onnx"),
        *("cards/movenet.md", "LICENSE", "NOTICE"),
    }
    assert not [name for name in names if name.endswith("_movenet.py")]
    entries = read_manifest(tmp_path / "site" / "impose_core" / "_models")
    assert all(read_weights(name, entries[name].path.parent) for name in entries)
