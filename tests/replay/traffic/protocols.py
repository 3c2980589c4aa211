# SPDX-License-Identifier: BSD-3-Clause
"""What the sessions carry: HTTP, DNS, TLS messages as their RFCs lay them out."""
import gzip
import struct
import zlib

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0"


def request(method, target, host="www.example.com", agent=BROWSER, headers=(), body=b""):
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: " + host]
    if agent:
        lines.append("User-Agent: " + agent)
    lines += ["Accept: */*"]
    lines += ["%s: %s" % h for h in headers]
    if body or method in ("POST", "PUT"):
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def form(target, body, host="www.example.com", **more):
    return request("POST", target, host, headers=[("Content-Type", "application/x-www-form-urlencoded")],
                   body=body.encode(), **more)


def upload(target, filename, content, host="www.example.com", kind="application/octet-stream"):
    """A file in a multipart form."""
    mark = "----sekisho7d1a2b3c"
    body = ("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n"
            % (mark, filename, kind)).encode() + content + ("\r\n--%s--\r\n" % mark).encode()
    return request("POST", target, host, headers=[("Content-Type", "multipart/form-data; boundary=" + mark)], body=body)


def response(body=b"", status="200 OK", kind="text/html; charset=utf-8", headers=(), chunked=0, encoding=None):
    """An answer; `chunked` cuts the body into chunks of that size, `encoding` is gzip or deflate."""
    lines = ["HTTP/1.1 " + status, "Server: nginx", "Content-Type: " + kind]
    lines += ["%s: %s" % h for h in headers]
    if encoding:
        lines.append("Content-Encoding: " + encoding)
        body = gzip.compress(body, mtime=0) if encoding == "gzip" else zlib.compress(body)
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        pieces = [body[at:at + chunked] for at in range(0, len(body), chunked)] + [b""]
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
    else:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def page(title, text):
    return ("<!DOCTYPE html>\n<html><head><title>%s</title></head>\n<body>%s</body></html>\n" % (title, text)).encode()


# --- DNS --------------------------------------------------------------------------------------------------------------

A, CNAME, NULL, MX, TXT, AAAA = 1, 5, 10, 15, 16, 28


def dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def dns_query(ident, name, kind=A):
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + dns_name(name) + struct.pack("!HH", kind, 1)


def dns_answer(ident, name, records, kind=A, code=0):
    """`records`: (type, ttl, data); the name is a pointer to the question's."""
    out = struct.pack("!HHHHHH", ident, 0x8180 | code, 1, len(records), 0, 0) + dns_name(name)
    out += struct.pack("!HH", kind, 1)
    for rtype, ttl, data in records:
        out += struct.pack("!HHHIH", 0xC00C, rtype, 1, ttl, len(data)) + data
    return out


# --- TLS ---------------------------------------------------------------------------------------------------------------


def _vector(data, size):
    return len(data).to_bytes(size, "big") + data


def tls_record(kind, body, version=0x0303):
    return struct.pack("!BHH", kind, version, len(body)) + body


def _handshake(kind, body):
    return tls_record(22, struct.pack("!B", kind) + _vector(body, 3))


def tls_client_hello(server_name, random, ciphers=(0xC02F, 0xC030, 0xC02B, 0xC02C, 0x009E, 0x009C, 0x002F)):
    name = server_name.encode()
    extensions = b"".join(struct.pack("!H", kind) + _vector(body, 2) for kind, body in (
        (0, _vector(b"\0" + _vector(name, 2), 2)),
        (10, _vector(struct.pack("!3H", 29, 23, 24), 2)),
        (11, _vector(b"\0", 1)),
        (13, _vector(struct.pack("!4H", 0x0403, 0x0804, 0x0401, 0x0201), 2)),
        (16, _vector(_vector(b"h2", 1) + _vector(b"http/1.1", 1), 2))))
    body = struct.pack("!H", 0x0303) + random + _vector(b"", 1)
    body += _vector(struct.pack("!%dH" % len(ciphers), *ciphers), 2) + _vector(b"\0", 1) + _vector(extensions, 2)
    return _handshake(1, body)


def tls_server_hello(random, cipher=0xC02F):
    extensions = struct.pack("!HHB", 0xFF01, 1, 0) + struct.pack("!HHBB", 11, 2, 1, 0)
    return _handshake(2, struct.pack("!H", 0x0303) + random + _vector(b"", 1) + struct.pack("!HB", cipher, 0) +
                      _vector(extensions, 2))


def tls_certificate(der):
    return _handshake(11, _vector(_vector(der, 3), 3)) + _handshake(14, b"")


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


def certificate(serial, subject, issuer, not_before="230101000000Z", not_after="330101000000Z"):
    """An X.509 certificate in DER with a key and signature of the right shape that nobody can verify. Names: (oid, text)."""
    oids = {"C": "550406", "O": "55040a", "OU": "55040b", "CN": "550403", "L": "550407", "ST": "550408"}

    def name(pairs):
        return der(0x30, *(der(0x31, der(0x30, der(6, bytes.fromhex(oids[k])), der(0x13 if k == "C" else 0x0C, v.encode())))
                           for k, v in pairs))

    sha256_rsa = der(0x30, der(6, bytes.fromhex("2a864886f70d01010b")), der(5))
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    key = der(0x30, der(0x30, der(6, bytes.fromhex("2a864886f70d010101")), der(5)),
              der(3, b"\0" + der(0x30, der(2, b"\0" + bytes(range(128, 256))), der(2, b"\1\0\1"))))
    body = der(0x30, der(0xA0, der(2, b"\2")), der(2, number), sha256_rsa, name(issuer),
               der(0x30, der(0x17, not_before.encode()), der(0x17, not_after.encode())), name(subject), key)
    return der(0x30, body, sha256_rsa, der(3, b"\0" + bytes(range(128))))
