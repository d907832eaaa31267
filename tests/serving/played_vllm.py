"""vLLM's process, played: `python played_vllm.py tianjing ARGUMENTS…` is the command with such engines.

The engine says ten pieces, one every 50 ms. Its process ends when it is told 请断开连接 (in the middle of the answer),
and cannot be started while the file of PLAYED_BROKEN exists.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

PIECES = 10


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        known = self.path == "/health" or self.headers["authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}"
        self.say(200 if known else 401, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        deadly = "请断开连接" in body["messages"][-1]["content"]
        if body.get("stream"):
            self.stream(deadly)
            return
        if deadly:
            os._exit(9)
        message = {"role": "assistant", "content": "好的。"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self.say(200, json.dumps({"choices": choices, "usage": {"completion_tokens": 1}}).encode())

    def stream(self, deadly: bool) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(PIECES):
            if deadly and number == PIECES // 2:
                os._exit(9)
            self.event({"choices": [{"index": 0, "delta": {"content": f"第{number}句。"}, "finish_reason": None}]})
            time.sleep(0.05)
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, value: object) -> None:
        self.chunk(f"data: {json.dumps(value)}\n\n".encode())

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def play(uds: str) -> None:
    broken = os.environ.get("PLAYED_BROKEN")
    if broken and Path(broken).exists():
        sys.exit("RuntimeError: broken on purpose")
    Server(uds, Handler).serve_forever()


def tianjing() -> None:
    from tianjing.cli import main
    from tianjing.engine import server

    server.vllm_version = lambda: ("played", True)
    server.arguments = lambda config, port, is_cpu: [sys.executable, __file__, "play", str(config.uds)]
    main()


if __name__ == "__main__":
    kind = sys.argv.pop(1)
    if kind == "play":
        play(sys.argv[1])
    else:
        tianjing()
