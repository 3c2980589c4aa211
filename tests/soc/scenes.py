# SPDX-License-Identifier: BSD-3-Clause
"""Records as a sensor writes them, of days that never were: an outbreak, and the background noise of any network. Addresses are of
the documentation and private ranges; signatures are of the test's own."""
import datetime
import json
import random

INFECTED = "10.1.4.23"  # opened a mail's attachment
SECOND, THIRD = "10.1.4.77", "10.1.9.5"  # that it infected
CALLED = "198.51.100.66"
WEB_SERVER, MAIL_SERVER = "203.0.113.80", "203.0.113.25"
SCANNERS = ["192.0.2.%d" % n for n in range(1, 41)]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Scene:
    def __init__(self, seed, start=None):
        self.random = random.Random(seed)
        self.start = start or now() - datetime.timedelta(minutes=30)
        self.lines = []

    def alert(self, at, sid, message, category, source, target, port, verdict="allowed", severity=2, outcome=None, protocol="TCP"):
        record = {
            "timestamp": (self.start + datetime.timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
            "flow_id": self.random.getrandbits(48), "event_type": "alert", "src_ip": source,
            "src_port": self.random.randrange(1024, 65536), "dest_ip": target, "dest_port": port, "proto": protocol,
            "alert": {"action": verdict, "gid": 1, "signature_id": sid, "rev": 1, "signature": message, "category": category,
                      "severity": severity},
            "direction": "to_server",
        }
        if outcome:
            record["jsig"] = {"outcome": outcome}
        self.lines.append((at, json.dumps(record, separators=(",", ":"))))

    def noise(self, count, seconds):
        """What every address on the Internet gets: scans, and old exploits that are stopped; and what inside people do."""
        pick = self.random
        for _ in range(count):
            at, what = pick.uniform(0, seconds), pick.random()
            scanner = pick.choice(SCANNERS)
            if what < 0.7:
                self.alert(at, 9100001, "TEST SCAN probe of a service", "Detection of a Network Scan", scanner,
                           "203.0.113.%d" % pick.randrange(1, 255), pick.choice([22, 23, 80, 443, 3389, 8080]), "blocked", 3)
            elif what < 0.9:
                self.alert(at, 9100002, "TEST WEB_SERVER old exploit", "Web Application Attack", scanner, WEB_SERVER, 80, "blocked", 1)
            elif what < 0.95:
                self.alert(at, 9100003, "TEST POLICY file sharing", "Potential Corporate Privacy Violation",
                           "10.1.%d.%d" % (pick.randrange(1, 4), pick.randrange(1, 40)), "192.0.2.200", 443, "allowed", 3)
            else:
                self.alert(at, 9100004, "TEST INFO a packet out of the ordinary", "Misc activity",
                           "10.1.2.%d" % pick.randrange(1, 40), "203.0.113.25", 25, "allowed", 3)

    def spread(self, source, sid, begin, seconds, count, victims):
        """A worm's tries from a host; the first of `victims` fall."""
        pick = self.random
        for n in range(count):
            at = begin + seconds * n / count
            target = victims[n] if n < len(victims) else "10.1.%d.%d" % (pick.randrange(1, 20), pick.randrange(1, 255))
            self.alert(at, sid, "TEST EXPLOIT SMB remote code execution", "Attempted Administrator Privilege Gain", source, target, 445,
                       "allowed", 1, "success" if n < len(victims) else "attempt")

    def outbreak(self, count):
        """A mail brings it, it calls its master, and it spreads from host to host."""
        self.alert(60, 9100010, "TEST MALWARE document with a macro that loads a program", "A suspicious filename was detected",
                   MAIL_SERVER, INFECTED, 143, "allowed", 2, "attempt")
        self.alert(90, 9100011, "TEST MALWARE program calls its master", "Malware Command and Control Activity Detected", INFECTED,
                   CALLED, 443, "allowed", 1, "infection")
        self.spread(INFECTED, 9100012, 120, 600, count // 2, [SECOND, THIRD])
        self.alert(200, 9100011, "TEST MALWARE program calls its master", "Malware Command and Control Activity Detected", SECOND,
                   CALLED, 443, "allowed", 1, "infection")
        self.spread(SECOND, 9100012, 220, 500, count // 4, [])
        self.alert(260, 9100011, "TEST MALWARE program calls its master", "Malware Command and Control Activity Detected", THIRD,
                   CALLED, 443, "allowed", 1, "infection")
        self.spread(THIRD, 9100012, 280, 440, count - count // 2 - count // 4, [])

    def text(self):
        self.lines.sort(key=lambda line: line[0])
        return "".join(line + "\n" for _, line in self.lines)
