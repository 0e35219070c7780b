"""``impose serve`` refuses what would be unsafe or cannot work, in a sentence."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from impose_core.cli.app import app


def refused(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["serve", *arguments])
    assert found.exit_code == 2, found.output
    return found.output


def test_without_its_parts_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "impose[serve]" in refused("--port", "0")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_need_a_token_and_a_root(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("fastapi")
    monkeypatch.delenv("IMPOSE_TOKEN", raising=False)
    assert "no token" in refused("--host", host, "--root", str(tmp_path))
    monkeypatch.setenv("IMPOSE_TOKEN", "x")
    assert "no root" in refused("--host", host)


def test_a_port_that_is_taken_is_said() -> None:
    pytest.importorskip("fastapi")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "--port" in refused("--port", str(other.getsockname()[1]), "--reader", "none")


def test_a_root_that_is_none_is_said(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    assert "--root" in refused("--root", str(tmp_path / "none"))
