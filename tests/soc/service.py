# SPDX-License-Identifier: BSD-3-Clause
"""The real SOC and real forwarders, as processes on loopback, for tests; and the store read past the program."""
import http.client
import json
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import tempfile
import time
import zlib

WAIT_S = 30
EVENT, INCIDENT, HISTORY, AUDIT = 1, 2, 3, 10


def wait_for(condition, what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("waited %g s for %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.02)


def keys(configuration):
    """The files of a device's certificate and key, taken out of what enrolment gave and put beside it."""
    with open(configuration) as f:
        text = f.read()
    files = []
    for part in "certificate", "key":
        files.append(configuration.removesuffix(".yaml") + "." + part)
        with open(files[-1], "w") as f:
            f.write(re.search(r"  %s: \|\n((?:    .*\n)+)" % part, text).group(1).replace("    ", ""))
    return tuple(files)


class Forwarder:
    def __init__(self, program, configuration, path, folder, **options):
        self.program, self.folder, self.path, self.process = program, folder, path, None
        os.makedirs(folder, exist_ok=True)
        self.settings = os.path.join(folder, "forward.yaml")
        options = {"interval": "10ms", "retry-min": "10ms", "retry-max": "100ms", "cursor-dir": folder + "/cursors", **options}
        with open(configuration) as enrolled, open(self.settings, "w") as out:
            out.write(enrolled.read() + "".join("  %s: %s\n" % o for o in options.items()))
            out.write("inputs:\n  - path: %s\n" % path)

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([self.program, "-c", self.settings], stderr=log)

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(WAIT_S)
            self.process = None

    def log(self):
        with open(os.path.join(self.folder, "log")) as f:
            return f.read()


class Soc:
    """In a folder of its own; `port` is found when it first serves, and kept."""

    def __init__(self, program, settings=""):
        self.program, self.process, self.port = program, None, 0
        self.folder = tempfile.mkdtemp(prefix="sekisho-soc-")
        self.data = os.path.join(self.folder, "data")
        self.run("init", "-a", "https://127.0.0.1:1", "-l", "127.0.0.1:0")
        with open(self.data + "/soc.yaml", "a") as f:
            f.write(settings)

    def run(self, command, *arguments, check=True):
        done = subprocess.run([self.program, command, "-d", self.data, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError("sekisho-soc %s: %s" % (command, done.stderr))
        return done

    def start(self):
        with open(self.folder + "/log", "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen([self.program, "serve", "-d", self.data], stderr=log)

        def port():
            if self.process.poll() is not None:
                raise AssertionError("the SOC ended: " + self.log()[-500:])
            words = self.log()[begin:].split("serving on port ")
            return int(words[1].split()[0]) if len(words) > 1 and " " in words[1] else 0
        self.port = wait_for(port, "the SOC to serve")
        self.keep_port()

    def keep_port(self):
        for name, old in (("soc.yaml", "127.0.0.1:0"), ("soc.yaml", "https://127.0.0.1:1\""), ("ctl.json", "https://127.0.0.1:1\"")):
            path = os.path.join(self.data, name)
            with open(path) as f:
                text = f.read()
            new = old.replace(":0", ":%d" % self.port).replace(":1\"", ":%d\"" % self.port)
            if old in text and new != old:
                with open(path, "w") as f:
                    f.write(text.replace(old, new))

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            rc = self.process.wait(WAIT_S)
            self.process = None
            return rc
        return None

    def enroll(self, name, *arguments):
        """The path of the device's configuration. The SOC must not run."""
        path = os.path.join(self.folder, name + ".yaml")
        self.run("enroll", "-o", path, *arguments, name)
        return path

    def close(self):
        self.stop(signal.SIGKILL)
        subprocess.run(["rm", "-rf", self.folder], check=True)

    def log(self):
        with open(self.folder + "/log") as f:
            return f.read()

    # --- the API ---

    def connect(self, certificate=None, seconds=WAIT_S):
        """A connection that believes the SOC's own authority; `certificate`: (file, key file) of a client's."""
        context = ssl.create_default_context(cafile=self.data + "/ca.crt")
        if certificate:
            context.load_cert_chain(*certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=seconds)

    def request(self, method, path, body=None, headers=None, certificate=None):
        """(status, what the answer's JSON says, its headers)"""
        connection = self.connect(certificate)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None, dict(answer.getheaders())
        finally:
            connection.close()

    def ask(self, method, path, body=None, token=None, status=None):
        """An API call by a token (default: the administrator's); fails when the status is not as it should be."""
        if token is None:
            with open(self.data + "/ctl.json") as f:
                token = json.load(f)["token"]
        got, answer, _ = self.request(method, path, json.dumps(body) if body is not None else None, {"Authorization": "Bearer " + token})
        if got not in (status,) if status else got >= 300:
            raise AssertionError("%s %s: %d %s" % (method, path, got, answer))
        return answer

    # --- the store ---

    def query(self, text, *values):
        store = sqlite3.connect("file:%s/soc.db?mode=ro" % self.data, uri=True, timeout=10)
        try:
            return store.execute(text, values).fetchall()
        finally:
            store.close()

    def documents(self, kind):
        return [json.loads(body) for (body,) in self.query("select body from document where kind = ? order by id", kind)]

    def stored(self):
        return sum(n for (n,) in self.query("select n from counter"))

    def lines(self):
        """Every line of every record, through its row."""
        store = sqlite3.connect("file:%s/soc.db?mode=ro" % self.data, uri=True, timeout=10)
        lines = []
        for (number,) in store.execute("select number from segment order by number").fetchall():
            chunks = {}
            for chunk, packed in store.execute("select id, packed from chunk_%d" % number):
                chunks[chunk] = zlib.decompress(packed).decode().split("\n")
            for chunk, position in store.execute("select chunk, position from record_%d order by id" % number):
                lines.append(chunks[chunk][position])
        store.close()
        return lines
