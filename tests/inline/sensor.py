# SPDX-License-Identifier: BSD-3-Clause
"""The sensor in its place in the lab: configuration, start, signals, and what it wrote."""
import functools
import json
import os
import re
import signal
import subprocess

import lab
from lab import wait_for

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PACK = os.path.join(TOP, "sigs", "rules")
PROGRAM = os.path.join(TOP, "build", "sensor", "sekisho")  # set by run.py
START_S = 60  # rules may have to be compiled, on a machine that does other things too
BACKENDS = ("afxdp", "dpdk", "nfq")

# The sensor's mounts: /sys of its own network namespace, and the lab's BPF file system, which outlives it.
_ENTER = "mount -t sysfs sysfs /sys && { mount --bind %s/bpf /sys/fs/bpf || true; } && exec \"$@\"" % lab.RUN


def build_has(backend, program=None):
    """Whether the program was built with a backend."""
    done = subprocess.run([program or PROGRAM, "version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=START_S)
    built = [line.split()[1:] for line in done.stdout.decode().splitlines() if line.startswith("backends:")]
    return backend in built[0]


@functools.cache
def sanitized(program=None):
    """Whether the program was built with AddressSanitizer."""
    with open(program or PROGRAM, "rb") as f:
        return b"__asan_init" in f.read()


class Sensor:
    """A running `sekisho run`. Options are those of sekisho.yaml, as pairs, and come after the lab's own."""

    def __init__(self, network, backend, folder, rules=PACK, options=(), workers=1, host=None, program=None, chains=("FORWARD",),
                 dpdk="net_af_xdp", prefix=(), env=None, groups=None, cache=None):
        self.network, self.backend, self.folder, self.rules = network, backend, folder, rules
        self.host, self.program, self.process, self.starts = host or network.box, program or PROGRAM, None, 0
        self.dpdk, self.chains, self.workers, self.prefix, self.env = dpdk, chains, workers, list(prefix), env
        os.makedirs(folder, exist_ok=True)
        self.eve, self.log, self.config = (os.path.join(folder, n) for n in ("eve.json", "sensor.log", "sekisho.yaml"))
        # On a machine that is busy with other things too, what a test looks for must not be let pass uninspected.
        self.options = [("workers", workers), ("overload.policy", "none")] + self._backend_options() + list(options)
        if sanitized(self.program):
            self.options.append(("seccomp", "off"))  # the search for leaks traces the process
        addresses, ports = groups or ({"HOME_NET": lab.HOME_NET, "EXTERNAL_NET": "!$HOME_NET"}, {"HTTP_PORTS": "80"})
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("vars:\n  address-groups:\n" + "".join('    %s: "%s"\n' % g for g in addresses.items()) +
                    "  port-groups:\n" + "".join('    %s: "%s"\n' % g for g in ports.items()) +
                    "backend: %s\ncache-dir: %s\n" % (backend, cache or os.path.join(lab.RUN, "cache")))

    def _backend_options(self):
        if self.backend == "afxdp":
            return [("afxdp.ports", p) for p in self.network.ports]
        if self.backend == "dpdk":
            vdevs = ["%s%d" % (self.dpdk, n) for n in range(len(self.network.ports))]
            args = "" if self.dpdk == "net_ring" else ",iface=%s"  # one queue: DPDK takes a veth for a NIC that has no more
            eal = "--no-pci --no-huge -m 512 " + " ".join(
                "--vdev=%s%s" % (v, args and args % p) for v, p in zip(vdevs, self.network.ports))
            return [("dpdk.eal", eal)] + [("dpdk.ports", v) for v in vdevs]
        return [("nfq.install-rules", "yes")] + [("nfq.chains", c) for c in self.chains]

    def command(self):
        sets = [a for name, value in self.options for a in ("--set", "%s=%s" % (name, value))]
        return self.prefix + [self.program, "run", "-c", self.config, "-S", self.rules, "-l", self.folder] + sets

    def start(self, ready=True, seconds=START_S):
        """Starts it and waits until it runs."""
        self.starts += 1
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.process = self.host.start("unshare", "--mount", "sh", "-c", _ENTER, "sh", *self.command(), log=self.log, cwd=self.folder,
                                       env=dict(os.environ, **(self.env or {})))
        if ready:
            wait_for(lambda: "running:" in self.words(at) or self.process.poll() is not None, "the sensor to run", seconds)
            if self.process.poll() is not None:
                raise AssertionError("the sensor ended with %d:\n%s" % (self.process.returncode, self.words(at)))
        return self

    def words(self, at=0):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(at)
            return f.read()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, code=0):
        """Ends it in good order; returns what it counted: {received, forwarded, dropped, alerts}."""
        at = os.path.getsize(self.log)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the sensor did not end by SIGTERM: %s" % self.words()) from None
        words = self.words(at)
        if code is not None and self.process.returncode != code:
            raise AssertionError("the sensor ended with %d:\n%s" % (self.process.returncode, self.words()[-4000:]))
        self.check_words()
        found = re.search(r"(\d+) packets received, (\d+) forwarded, (\d+) dropped(?:, (\d+) bypassed)?, (\d+) alerts", words)
        if not found:
            raise AssertionError("the sensor did not account for its packets: %s" % words)
        return dict(zip(("received", "forwarded", "dropped", "bypassed", "alerts"), (int(n or 0) for n in found.groups())))

    def check_words(self):
        words = self.words()
        for sign in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "do not add up", "Assertion"):
            if sign in words:
                raise AssertionError(words[-6000:])

    def running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        if self.running():
            self.signal(signal.SIGCONT)
            lab.end(self.process)

    def memory(self):
        """Resident bytes."""
        with open("/proc/%d/statm" % self.process.pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # --- what it wrote ---

    def records(self, kind=None, **fields):
        """The records so far, whole lines only; fields are compared (src_ip=...)."""
        if not os.path.exists(self.eve):
            return []
        with open(self.eve, "rb") as f:
            lines = f.read().split(b"\n")[:-1]
        records = [json.loads(line) for line in lines if line]
        return [r for r in records if (kind is None or r["event_type"] == kind) and all(r.get(k) == v for k, v in fields.items())]

    def wait_record(self, kind, what=None, **fields):
        return wait_for(lambda: self.records(kind, **fields), lambda: "%s: a record %s %s\n%s" % (
            what or "", kind, fields, [(r["event_type"], r.get("src_ip"), r.get("src_port"), r.get("dest_port")) for r in self.records()][-10:]))
