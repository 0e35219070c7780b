"""A stand-in for ``impose serve`` as a program: says it is ready, answers a few requests.

It knows one clip of twelve frames. ``propagate`` with ``count`` 1 dies in mid-run, with ``count``
2 fails, else goes on until the connection is closed. Run: ``python xanylabeling_service.py serve``.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLIP = {
    "clip": "c1",
    "images": [f"frame_{t:05d}.jpg" for t in range(12)],
    "keypoints": ["nose", "left_wrist", "right_wrist"],
    "edges": [[0, 1], [0, 2]],
    "flip_pairs": [[1, 2]],
    "persons": [{"person": 1, "frames": 12, "human_joints": 3, "checked_frames": 0}],
    "problems": [],
}


class Handler(BaseHTTPRequestHandler):
    opened = False
    closed_early = threading.Event()

    def do_GET(self):
        self.answer({"suggestions": [], "closed_early": self.closed_early.is_set()})

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Token") != os.environ.get("IMPOSE_TOKEN"):
            error = {"code": "unauthorized", "message": "A wrong token.", "hint": "Bring one."}
            return self.answer({"error": error}, 401)
        if self.path == "/impose/clips":
            Handler.opened = True
            return self.answer({**CLIP, "path": said["path"], "labels": said["labels"]})
        if not Handler.opened:
            return self.answer({"error": {"code": "unknown_clip", "message": "Nobody."}}, 404)
        if self.path.endswith("/refine"):
            if said["frame"] == 11:
                os._exit(1)
            return self.answer({"frame": said["frame"], "shapes": said["shapes"]})
        return self.propagate(said)

    def propagate(self, said):
        self.send_response(200)
        self.end_headers()
        try:
            self.say({"event": "started", "run": "r-1", "frames": [1, 2], "skipped": []})
            self.say({"event": "alive"})
            self.say({"event": "frame", "frame": 1, "done": 1, "total": 2, "outcome": "written"})
            if said["count"] == 1:
                os._exit(1)
            if said["count"] == 2:
                error = {"code": "media", "message": "No pixels.", "hint": None}
                return self.say({"event": "failed", "run": "r-1", "error": error})
            for _ in range(200):
                self.say({"event": "alive"})
                time.sleep(0.02)
        except OSError:
            Handler.closed_early.set()

    def say(self, event):
        self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()

    def answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    ready = {"event": "ready", "url": url, "pid": os.getpid(), "protocol": 1}
    sys.stdout.write(f"a word before\n{json.dumps(ready)}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started this lets go


if __name__ == "__main__":
    main()
