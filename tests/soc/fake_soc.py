# SPDX-License-Identifier: BSD-3-Clause
"""A SOC that takes batches as docs of the exporter say, and can fail in every way: HTTPS with mutual TLS, everything in memory."""
import gzip
import http.server
import json
import os
import random
import socket
import ssl
import subprocess
import threading


def make_certificates(folder):
    """A CA, a server's and a client's certificate."""
    def run(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ca",
        "-keyout", "ca.key", "-out", "ca.crt")
    for name in "server", "client":
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
            "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", name + ".ext", "-out", name + ".crt")


class Soc:
    """`fault(soc, header)` names what goes wrong with a batch, None when nothing does."""

    def __init__(self, folder, fault=None):
        self.streams, self.lost, self.names = {}, {}, {}
        self.health, self.conflicts, self.requests = [], [], 0
        self.fault, self.lock = fault, threading.Lock()
        soc = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with soc.lock:
                    answer = soc.take(self.path, body)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, text, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.crt"), os.path.join(folder, "server.key"))
        context.load_verify_locations(os.path.join(folder, "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = "https://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def say(status, headers=None, **fields):
        return status, json.dumps(fields).encode(), headers or {}

    def take(self, path, body):
        if path == "/v1/health":
            self.health.append(json.loads(body))
            return self.say(200, ok=True)
        assert path == "/v1/batches", path
        self.requests += 1
        head, *lines = body.split(b"\n")
        head = json.loads(head)
        assert lines.pop() == b"" and len(lines) == head["count"], "count and lines differ"
        fault = self.fault(self, head) if self.fault else None
        if fault == "cut":
            return None
        if isinstance(fault, tuple):
            return fault
        if any(b"POISON" in line for line in lines):
            return self.say(400, error="unreadable")
        stream, first, lost = head["stream"], head["first"], head.get("lost", 0)
        stored = self.streams.setdefault(stream, {})
        self.names[stream] = head["name"]
        following = max(max(stored, default=0), max(self.lost.get(stream, {0}), default=0)) + 1
        if first - lost > following:
            return self.say(409, next=following)
        for number in range(first - lost, first):
            if number not in stored:
                self.lost.setdefault(stream, set()).add(number)
        for number, line in enumerate(lines, first):
            if stored.setdefault(number, line) != line:
                self.conflicts.append((stream, number))
        if fault == "store and cut":
            return None
        return self.say(200, next=max(max(stored), first + len(lines) - 1) + 1)

    def lines(self):
        """All stored lines, each once, in order; a second stream of the same file would show."""
        return [line for stored in self.streams.values() for _, line in sorted(stored.items())]

    def random_fault(self, _head):
        return random.choice([None, None, None, "cut", "store and cut", self.say(503), (200, b"<html>", {})])
