# SPDX-License-Identifier: BSD-3-Clause
"""Real servers on the lab's hosts, each with a configuration of its own in a folder of its own."""
import os
import shutil
import subprocess
import unittest

from lab import wait_for

PROGRAMS = {"nginx": "nginx-light", "dnsmasq": "dnsmasq-base", "sshd": "openssh-server", "curl": "curl", "dig": "bind9-dnsutils",
            "openssl": "openssl", "ssh": "openssh-client"}


def need(*programs):
    """Skips the test where a program is not installed (tools/check installs them all)."""
    for name in programs:
        if not shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise unittest.SkipTest("%s is not installed (Debian's %s)" % (name, PROGRAMS[name]))


def folder_for(base, name):
    path = os.path.join(base, name)
    os.makedirs(path, exist_ok=True)
    return path


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def certificate(folder, name):
    """A self-signed certificate and its key: (certificate, key)."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def start(host, folder, ports, *command):
    """Starts a server and waits until it listens; `ports` are (number, tcp or udp)."""
    log = os.path.join(folder, "log")
    process = host.start(*command, log=log)

    def words():
        with open(log, encoding="utf-8", errors="replace") as f:
            return "%s on %s to listen: %s" % (command[0], host.name, f.read()[-1000:])

    def up():
        if process.poll() is not None:
            raise AssertionError("waited in vain for " + words())
        return all(host.listens(*port) for port in ports)
    wait_for(up, words)


def nginx(host, base, name="www.example.com", addresses=("", "[::]:")):
    """HTTP on 80, TLS on 443 of the addresses (each with its colon), serving the folder that is returned, with its certificate."""
    need("nginx", "openssl")
    folder = folder_for(base, "nginx-" + host.name)
    root = folder_for(folder, "root")
    cert, key = certificate(folder, name)
    config = write(os.path.join(folder, "nginx.conf"), """
user root;
worker_processes 1;
daemon off;
pid %(f)s/pid;
error_log %(f)s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path %(f)s/body; proxy_temp_path %(f)s/p; fastcgi_temp_path %(f)s/fc; uwsgi_temp_path %(f)s/u; scgi_temp_path %(f)s/s;
  client_max_body_size 0;
  gzip on; gzip_types text/plain; gzip_min_length 100;
  server {
    %(l)s
    ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %(c)s; ssl_certificate_key %(k)s;
    root %(r)s;
  }
}
""" % {"f": folder, "c": cert, "k": key, "r": root, "l": " ".join("listen %s80; listen %s443 ssl;" % (x, x) for x in addresses)})
    start(host, folder, [(80, "tcp"), (443, "tcp")], "nginx", "-p", folder, "-c", config)
    return root, cert


def dnsmasq(host, base, address, records, texts):
    """A name server for {name: address} and {name: [text, ...]}."""
    need("dnsmasq")
    folder = folder_for(base, "dns-" + host.name)
    lines = ["port=53", "listen-address=" + address, "bind-interfaces", "no-resolv", "no-hosts", "no-daemon", "user=root", "edns-packet-max=1232"]
    lines += ["host-record=%s,%s" % r for r in records.items()]
    lines += ["txt-record=%s,%s" % (n, t) for n, several in texts.items() for t in several]
    config = write(os.path.join(folder, "conf"), "\n".join(lines) + "\n")
    start(host, folder, [(53, "tcp"), (53, "udp")], "dnsmasq", "-k", "-C", config, "-x", os.path.join(folder, "pid"))


def sshd(host, base):
    """An SSH server for root; returns the options that ssh and scp need."""
    need("sshd", "ssh")
    folder = folder_for(base, "ssh-" + host.name)
    os.chmod(folder, 0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, name)], check=True)
    config = write(os.path.join(folder, "conf"), """
Port 22
HostKey %(f)s/host
AuthorizedKeysFile %(f)s/user.pub
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
""" % {"f": folder})
    start(host, folder, [(22, "tcp")], shutil.which("sshd", path="/usr/sbin:/usr/bin"), "-D", "-e", "-f", config)
    return ["-F", "none", "-i", os.path.join(folder, "user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-q"]
