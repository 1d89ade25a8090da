"""nginx in front, with the very configuration that the README shows."""

import datetime
import shutil
import ssl
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.chromium import _try
from tests.support.databases import ROOT
from tests.support.installation import Program

CONFIGURATION = ROOT / "docs" / "nginx.conf"


def find_or_install() -> str:
    """The path of nginx, installed by apt where there is none. Ends the program where that cannot be done."""
    if not shutil.which("nginx") and shutil.which("apt-get"):
        print("   no nginx here: asking apt for one", flush=True)
        if _try(["apt-get", "-qq", "update"]):
            _try(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "nginx"])
    found = shutil.which("nginx")
    if not found:
        sys.exit("nginx was not found and could not be installed (Debian: apt install nginx).")
    return found


class Nginx(Program):
    """nginx with ``docs/nginx.conf``: only its ports, its name and its paths are those of this run."""

    def __init__(self, place: Path, port: int, webs: list[int]) -> None:
        certificate, key = _certificate(place)
        self.tls = ssl.create_default_context(cafile=str(certificate))
        ours = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8001": f"127.0.0.1:{webs[0]}",
            "127.0.0.1:8002": f"127.0.0.1:{webs[1]}",
            "/etc/ssl/join.example.com.pem": str(certificate),
            "/etc/ssl/join.example.com.key": str(key),
            "/var/log/nginx/wizard.log": str(place / "nginx-access.log"),
            "join.example.com": "127.0.0.1",
        }
        shown = CONFIGURATION.read_text()
        for theirs, own in ours.items():
            assert theirs in shown, f"{CONFIGURATION} has no {theirs!r} any more"
            shown = shown.replace(theirs, own)
        temporary = "".join(
            f"{kind}_temp_path {place}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = place / "nginx.conf"
        whole.write_text(
            f"daemon off;\nworker_processes 1;\npid {place}/nginx.pid;\nerror_log stderr warn;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{\n{temporary}{shown}}}\n"
        )
        command = [find_or_install(), "-p", str(place), "-e", "stderr", "-c", str(whole)]
        subprocess.run([*command, "-t", "-q"], check=True)
        super().__init__("nginx", place / "nginx.log", command, {})


def _certificate(place: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that only this run believes in, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = place / "tls.pem", place / "tls.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private
