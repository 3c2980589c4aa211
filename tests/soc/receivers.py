# SPDX-License-Identifier: BSD-3-Clause
"""A mail server and a webhook's receiver on loopback, which keep what they get and can fail as told."""
import email
import email.policy
import http.server
import json
import socketserver
import threading
import time


class Receiver:
    """`fault()` says how the next try fails: None, "refuse" (for now), "hang", "cut"."""

    def __init__(self, handler):
        self.got, self.tries, self.fault, self.lock = [], 0, lambda: None, threading.Lock()
        self.ended = threading.Event()
        receiver = self

        class Handler(handler):
            owner = receiver

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

            def handle_error(self, request, client_address):
                pass
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self):
        """How this try goes; a hang lasts until the end."""
        with self.lock:
            self.tries += 1
            fault = self.fault()
        if fault == "hang":
            self.ended.wait()
        return fault

    def keep(self, what):
        with self.lock:
            self.got.append((time.time(), what))

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class SmtpHandler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        fault = self.owner.take()
        if fault == "cut":
            return
        self.say("220 test")
        sender, recipients = None, []
        while line := self.rfile.readline():
            verb = line.split(b" ")[0].strip().upper().split(b":")[0]
            if verb in (b"EHLO", b"HELO"):
                self.say("250 test")
            elif verb == b"MAIL":
                sender = line
                self.say("451 later" if fault == "refuse" else "250 ok")
            elif verb == b"RCPT":
                recipients.append(line.strip())
                self.say("250 ok")
            elif verb == b"DATA":
                self.say("354 go on")
                body = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    body += part[1:] if part.startswith(b"..") else part
                self.owner.keep((sender, recipients, email.message_from_bytes(body, policy=email.policy.default)))
                self.say("250 stored")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("502 what?")


class WebhookHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        fault = self.owner.take()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if fault == "cut":
            return
        if fault is None:
            self.owner.keep((dict(self.headers), body, json.loads(body)))
        self.send_response(503 if fault else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def mail_server():
    return Receiver(SmtpHandler)


def webhook():
    return Receiver(WebhookHandler)
