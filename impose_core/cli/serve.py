"""``impose serve``: the service of docs/service.md as a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from impose_core.cli.engines import engine_of
from impose_core.errors import UsageError
from impose_core.skeleton import skeleton_named

TOKEN = "IMPOSE_TOKEN"
"""The environment variable with the token: arguments can be seen by everybody."""


def serve(
    *,
    host: str,
    port: int,
    root: Path | None,
    reader: str,
    weights: Path | None,
    skeleton: str,
    stop_with_stdin: bool,
) -> None:
    """Run the command until it is told to stop.

    Raises:
        UsageError: if the parts are not installed, the address is taken, or others could reach
            the service without a token or beyond a root.
    """
    try:
        import uvicorn

        from impose_core.service.app import create_app
        from impose_core.service.desk import Settings
        from impose_core.service.guard import is_loopback
    except ImportError as error:
        raise UsageError(
            f"Expected the parts of the service to be installed, got: {error}.",
            hint="pip install 'impose[serve]'",
        ) from error
    token = os.environ.get(TOKEN) or None
    if not is_loopback(host) and (token is None or root is None):
        raise UsageError(
            f"Expected {TOKEN} and '--root' where others can reach the service ({host}), "
            f"got {'no token' if token is None else 'no root'}.",
            hint=f"Set {TOKEN} to a long random text and name a folder, or leave '--host' out.",
        )
    if root is not None and not root.is_dir():
        raise UsageError(f"Expected '--root' to be a folder, got {root}.")
    settings = Settings(
        engine=engine_of(reader, weights=weights),
        skeleton=skeleton_named(skeleton),
        token=token,
        root=root,
    )
    listener = _listener(host, port)
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    _when_ready(server, {"event": "ready", "url": url, "pid": os.getpid(), "protocol": 1})
    with contextlib.suppress(KeyboardInterrupt), listener:
        server.run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        if os.name == "posix":  # elsewhere it would let a second service in
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"Expected '--host' and '--port' to be free, got {host}:{port}: {error}.",
            hint="'--port 0' takes a free one.",
        ) from error
    return listener


def _when_ready(server: Any, line: dict[str, Any]) -> None:
    """Let the server say so on standard output once it answers."""
    startup = server.startup

    async def ready(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    server.startup = ready


def _stop_at_end_of_stdin(server: Any) -> None:
    """A pipe closes however the process at its other end goes."""
    with contextlib.suppress(OSError, ValueError):
        while sys.stdin.buffer.read(4096):
            pass
    server.should_exit = True
    # what does not end by itself now must not outlive who started it
    timer = threading.Timer(10, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
