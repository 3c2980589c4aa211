# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks share: the two sensors as commands, their configuration, and how a run is measured."""
import collections
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SHARED = os.environ.get("SEKISHO_SHARED", os.path.join(os.path.dirname(TOP), "shared"))
HOME_NET = "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"
SAMPLE_S = 0.02  # how often a run's threads are looked at; ticks of the kernel's clock are 0.01

ADDRESS_GROUPS = {"EXTERNAL_NET": "!$HOME_NET", "HTTP_SERVERS": "$HOME_NET", "SMTP_SERVERS": "$HOME_NET",
                  "SQL_SERVERS": "$HOME_NET", "DNS_SERVERS": "$HOME_NET", "TELNET_SERVERS": "$HOME_NET",
                  "AIM_SERVERS": "$EXTERNAL_NET", "DC_SERVERS": "$HOME_NET", "DNP3_SERVER": "$HOME_NET",
                  "DNP3_CLIENT": "$HOME_NET", "MODBUS_CLIENT": "$HOME_NET", "MODBUS_SERVER": "$HOME_NET",
                  "ENIP_CLIENT": "$HOME_NET", "ENIP_SERVER": "$HOME_NET"}
PORT_GROUPS = {"HTTP_PORTS": "80", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22",
               "DNP3_PORTS": "20000", "MODBUS_PORTS": "502", "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]",
               "FTP_PORTS": "21", "GENEVE_PORTS": "6081", "VXLAN_PORTS": "4789", "TEREDO_PORTS": "3544"}


class Trouble(Exception):
    """Something is missing or failed; the text says what to do."""


def groups(home):
    """The address groups for a HOME_NET; where that is `any`, EXTERNAL_NET is too (its negation would be nothing)."""
    out = {"HOME_NET": home, **ADDRESS_GROUPS}
    if home == "any":
        out["EXTERNAL_NET"] = "any"
    return out


def enabled_rules(folder, path):
    """All enabled rules of a folder in one file; returns their number."""
    files = sorted(glob.glob(os.path.join(folder, "*.rules")))
    if not files:
        raise Trouble("%s has no *.rules files: give the folder by --rules" % folder)
    count = 0
    with open(path + ".new", "wb") as out:
        for name in files:
            with open(name, "rb") as f:
                for line in f:
                    if re.match(rb"[a-z]+\s", line):
                        out.write(line)
                        count += 1
    os.replace(path + ".new", path)
    return count


def rule_sets(names, etopen, work):
    """{name: path} of the rule sets named, by commas: none, jsig, etopen (from that folder)."""
    out = {}
    for name in names.split(","):
        out[name] = os.path.join(work, name + ".rules")
        if name == "none":
            open(out[name], "w", encoding="utf-8").close()
        elif name in ("jsig", "etopen"):
            enabled_rules(os.path.join(TOP, "sigs", "rules") if name == "jsig" else etopen, out[name])
        else:
            raise Trouble("no rules %s: there are none, jsig, etopen" % name)
    return out


def emix(work, seconds, templates=None):
    """EMIX traffic of that length, made once."""
    path = os.path.join(work, "emix-%g.pcap" % seconds)
    maker = os.path.join(SHARED, "bench", "make_emix.py")
    if not os.path.exists(path):
        if not os.path.exists(maker):
            raise Trouble("%s is not there: set SEKISHO_SHARED, or name a capture by --capture" % maker)
        print("making %s ..." % path, file=sys.stderr)
        subprocess.run([sys.executable, maker, templates or os.path.join(SHARED, "pcaps", "emix"), path + ".new", "--seconds", str(seconds)],
                       check=True, stdout=sys.stderr)
        os.replace(path + ".new", path)
    return path


def progress(words):
    """One line that the next one takes the place of; "" ends them."""
    if sys.stderr.isatty() or not words:
        print("\r\033[K" + words if sys.stderr.isatty() else "", end="", file=sys.stderr, flush=True)


Run = collections.namedtuple("Run", "cpu_s wall_s peak_rss_bytes threads own")  # own: the summary, where one was printed


def measure(command, log):
    """Runs a command; CPU seconds (user and system) of the whole and of each thread by name, wall time, peak memory."""
    threads = {}
    with open(log, "wb") as out:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            sample_threads(process.pid, threads)
            time.sleep(SAMPLE_S)
        wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as f:
            raise Trouble("%s ended with %d:\n%s" % (" ".join(command), process.returncode, f.read()[-2000:]))
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, threads, last_json(log))


def last_json(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in reversed(f.read().splitlines()):
            if line.startswith("{"):
                return json.loads(line)
    return {}


def sample_threads(pid, threads):
    tick = os.sysconf("SC_CLK_TCK")
    try:
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/stat" % (pid, tid), encoding="utf-8", errors="replace") as f:
                text = f.read()
            fields = text[text.rindex(")") + 2:].split()
            threads[text[text.index("(") + 1:text.rindex(")")]] = (int(fields[11]) + int(fields[12])) / tick
    except OSError:
        pass  # the thread or the process has just ended


def alerts(eve):
    """Counter of sid by the alert records of a file."""
    count = collections.Counter()
    with open(eve, encoding="utf-8", errors="replace") as f:
        for line in f:
            if '"alert"' in line:
                record = json.loads(line)
                if record.get("event_type") == "alert":
                    count[record["alert"]["signature_id"]] += 1
    return count


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


class Sekisho:
    name = "sekisho"
    packet_thread = None  # loading and packets run in one thread

    def __init__(self, binary, work, home=HOME_NET, checksum=False):
        if not os.access(binary, os.X_OK):
            raise Trouble("%s is not there: tools/quickstart builds it, --sensor names another" % binary)
        self.binary, self.work, self.checksum = binary, work, checksum
        self.cache = os.path.join(work, "sekisho-cache")
        self.config = os.path.join(work, "sekisho.yaml")
        lines = ["vars:", "  address-groups:"]
        lines += ['    %s: "%s"' % g for g in groups(home).items()] + ["  port-groups:"]
        lines += ['    %s: "%s"' % g for g in PORT_GROUPS.items()]
        lines += config_lines(self.cache)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def forget(self):
        """The next start compiles its rules anew."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def run(self, capture, rules, out):
        command = [self.binary, "replay", "-c", self.config, "-S", rules, "-l", fresh(out), "--json"]
        command += [] if self.checksum else ["--checksum", "none"]
        return measure(command + [capture], os.path.join(self.work, os.path.basename(out) + ".log"))


class Suricata:
    name = "suricata"
    packet_thread = "W#01"

    def __init__(self, folder, work, home=HOME_NET, checksum=False):
        script = os.path.join(SHARED, "bench", "suricata.sh")
        if not os.path.exists(os.path.join(folder, "suricata")):
            if not os.path.exists(script):
                raise Trouble("no Suricata in %s and no %s to get one: --no-suricata goes without" % (folder, script))
            print("getting Suricata into %s ..." % folder, file=sys.stderr)
            if subprocess.run(["sh", script, folder], stdout=subprocess.DEVNULL).returncode:
                raise Trouble("%s could not get Suricata: see above; --no-suricata goes without" % script)
        self.binary, self.config, self.work = (os.path.join(folder, "suricata"), os.path.join(folder, "alert-only.yaml"), work)
        self.options = [] if checksum else ["-k", "none"]
        for key, value in groups(home).items():
            self.options += ["--set", "vars.address-groups.%s=%s" % (key, value)]

    def forget(self):
        pass  # keeps no compiled rules

    def command(self, rules, out):
        return [self.binary, "-c", self.config, "--runmode", "single", "-S", rules, "-l", out] + self.options

    def run(self, capture, rules, out):
        return measure(self.command(rules, fresh(out)) + ["-r", capture],
                       os.path.join(self.work, os.path.basename(out) + ".log"))


class SuricataSession:
    """One Suricata that loads its rules once and then takes captures over its socket."""

    def __init__(self, suricata, rules, work):
        self.path = os.path.join(work, "suricata.socket")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.log = open(os.path.join(work, "suricata-session.log"), "wb")
        self.process = subprocess.Popen(suricata.command(rules, fresh(os.path.join(work, "suricata-session"))) +
                                        ["--unix-socket=" + self.path], stdout=self.log, stderr=subprocess.STDOUT)
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 300
        while True:
            try:
                self.socket.connect(self.path)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Trouble("Suricata did not start: see %s" % self.log.name) from None
                time.sleep(0.2)
        self.ask({"version": "0.2"})

    def ask(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        data = b""
        while True:
            data += self.socket.recv(65536)
            try:
                return json.loads(data)
            except ValueError:
                pass

    def alerts(self, capture, out):
        self.ask({"command": "pcap-file", "arguments": {"filename": capture, "output-dir": fresh(out)}})
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if self.ask({"command": "pcap-file-number"})["message"] == 0 and \
                    self.ask({"command": "pcap-current"})["message"] == "None":
                break
        eve = os.path.join(out, "eve.json")
        return alerts(eve) if os.path.exists(eve) else collections.Counter()

    def close(self):
        try:
            self.ask({"command": "shutdown"})
            self.process.wait(30)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.socket.close()
        self.log.close()


def config_lines(cache):
    """What a measured sekisho.yaml has beside the groups: alerts only, and where compiled rules are kept."""
    return ['cache-dir: "%s"' % cache, "records:", "  types: [alert, drop]", "  payload: no", "  payload-printable: no",
            "  packet: no"]
