"""avseal-ue against a software TPM of the test's own: what a device maker types, and what goes wrong."""

import base64
import hashlib
import json
import os
import shutil
import ssl
import stat
import subprocess
import tempfile
import time

import pytest
from jwcrypto import jwk, jws

from support.ue import PROGRAM, UE_EKU, Device, Swtpm, segment

IMPU = "sip:alice@a.example"


class Ca:
    """A CA of openssl's: the 128-bit arc of our EKU is more than Debian's Python library can build."""

    def __init__(self, directory):
        self.directory = tempfile.mkdtemp(prefix="ca-", dir=directory)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     "/CN=UE CA", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
        with open(os.path.join(self.directory, "ue.ext"), "w") as out:
            out.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                      f"extendedKeyUsage={UE_EKU}\nsubjectAltName=URI:{IMPU}\n")

    def openssl(self, *arguments, stdin=None):
        return subprocess.run(["openssl", *arguments], cwd=self.directory, input=stdin, capture_output=True, text=True,
                              check=True, timeout=60).stdout

    def certify(self, csr_pem, days="1"):
        return self.openssl("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", days, "-extfile", "ue.ext",
                            stdin=csr_pem)


def der_of(pem):
    return ssl.PEM_cert_to_DER_cert(pem)


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="avue-", dir="/tmp")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tpm(directory):
    swtpm = Swtpm(directory)
    yield swtpm
    swtpm.stop()


@pytest.fixture
def device(tpm):
    return Device(tpm, os.path.join(tpm.directory, "ue"))


@pytest.fixture
def enrolled(device, directory):
    device.ok("init")
    device.certificate = Ca(directory).certify(device.ok("csr", "--impu", IMPU))
    device.ok("import-cert", "-", stdin=device.certificate)
    return device


def test_help_teaches(device):
    text = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("init", "csr", "import-cert", "fingerprint", "token", "status", "/dev/tpmrm0"):
        assert word in text
    assert subprocess.run([PROGRAM], capture_output=True).returncode == 2
    assert device.run("nonsense").returncode == 2
    assert device.run("token").returncode == 2


def test_init_twice(device):
    first = device.run("init")
    assert first.returncode == 0 and first.stdout.startswith("made UE key 000b")
    assert 'manufacturer "IBM"' in first.stderr and device.tpm.tcti in first.stderr and "for tests only" in first.stderr
    second = device.ok("init")
    assert second.startswith("kept UE key")
    assert second.split()[3] == first.stdout.split()[3]
    assert stat.S_IMODE(os.stat(device.state).st_mode) == 0o700
    for name in os.listdir(device.state):
        assert stat.S_IMODE(os.stat(os.path.join(device.state, name)).st_mode) == 0o600


def test_request_verifies_in_openssl(device):
    device.ok("init")
    pem = device.ok("csr", "--impu", "SIP:alice@A.Example;transport=udp")
    checked = subprocess.run(["openssl", "req", "-verify", "-noout", "-text"], input=pem, capture_output=True, text=True)
    assert checked.returncode == 0 and "verify OK" in checked.stdout + checked.stderr
    assert f"URI:{IMPU}" in checked.stdout
    device.fails("csr", "--impu", "alice", reason="impu-invalid")


def test_token_verifies_in_another_library(enrolled):
    compact = enrolled.ok("token", "--aud", "xr-1", "--avatar", "urn:uuid:a", "--app", "meeting", "--lifetime", "60").strip()
    token = jws.JWS()
    token.deserialize(compact, jwk.JWK.from_pem(enrolled.certificate.encode()))
    header, claims = segment(compact.split(".")[0]), json.loads(token.payload)
    der = der_of(enrolled.certificate)
    assert header["typ"] == "avatar-ue+jwt" and header["alg"] == "ES256"
    assert base64.b64decode(header["x5c"][0]) == der
    assert header["x5t#S256"] == base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert claims["aud"] == "xr-1" and claims["sub"] == IMPU and claims["exp"] - claims["iat"] == 60
    assert claims["avatar"] == {"app": "meeting", "id": "urn:uuid:a"}
    assert abs(claims["iat"] - time.time()) < 60


def test_fingerprint_is_an_sdp_line(enrolled):
    der = der_of(enrolled.certificate)
    digest = hashlib.sha256(der).hexdigest().upper()
    expected = "a=fingerprint:SHA-256 " + ":".join(digest[i:i + 2] for i in range(0, 64, 2))
    assert enrolled.ok("fingerprint") == expected + "\n"
    enrolled.tpm.stop()
    assert enrolled.ok("fingerprint") == expected + "\n", "needs no TPM"


def test_status(enrolled):
    text = enrolled.ok("status")
    assert IMPU in text and "test signature good" in text and "at 0x81000001" in text
    enrolled.tpm.stop()
    enrolled.fails("status", reason="tpm-transport")


def test_key_outlives_a_tpm_reset(enrolled):
    enrolled.tpm.stop()
    enrolled.tpm.start()
    enrolled.ok("token", "--aud", "x", "--avatar", "a", "--app", "b")


def test_many_runs_leave_no_objects_behind(enrolled):
    for _ in range(5):
        enrolled.ok("status")
    assert enrolled.tpm.tool("tpm2_getcap", "handles-transient") == ""
    assert enrolled.tpm.tool("tpm2_getcap", "handles-loaded-session") == ""


def test_nothing_without_init(device):
    for arguments in (["csr", "--impu", IMPU], ["fingerprint"], ["status"], ["token", "--aud", "x", "--avatar", "a", "--app", "b"]):
        device.fails(*arguments, reason="device-not-initialised")


def test_nothing_without_certificate(device):
    device.ok("init")
    device.fails("fingerprint", reason="ue-certificate-missing")
    device.fails("token", "--aud", "x", "--avatar", "a", "--app", "b", reason="ue-certificate-missing")
    assert "none yet" in device.ok("status")


def test_wrong_certificates(device, directory):
    device.ok("init")
    other = Device(device.tpm, os.path.join(directory, "other"))
    other.ok("init")
    foreign = Ca(directory).certify(other.ok("csr", "--impu", IMPU))
    assert "another key" in device.fails("import-cert", "-", stdin=foreign, reason="ue-certificate-refused")
    expired = Ca(directory).certify(device.ok("csr", "--impu", IMPU), days="-1")
    device.fails("import-cert", "-", stdin=expired, reason="certificate-expired")
    device.fails("import-cert", os.path.join(directory, "none.pem"), reason="input-unusable")
    assert device.run("import-cert", "-", stdin="rubbish").returncode == 1


def test_lifetime_is_bounded(enrolled):
    for lifetime in ("0", "121", "-5"):
        enrolled.fails("token", "--aud", "x", "--avatar", "a", "--app", "b", f"--lifetime={lifetime}",
                       reason="ue-token-lifetime")


def test_cleared_tpm(enrolled):
    enrolled.tpm.tool("tpm2_clear", "-Q")
    said = enrolled.fails("token", "--aud", "x", "--avatar", "a", "--app", "b", reason="tpm-srk-mismatch")
    assert "cleared or replaced" in said and "enroll again" in said


def test_damaged_files(enrolled):
    key = os.path.join(enrolled.state, "ue-key.tpm")
    good = open(key, "rb").read()
    with open(key, "wb") as out:
        out.write(good[:-1] + bytes([good[-1] ^ 1]))
    enrolled.fails("status", reason="tpm-blob-refused")
    with open(key, "wb") as out:
        out.write(good[:-1])
    enrolled.fails("status", reason="state-malformed")
    with open(key, "wb") as out:
        out.write(good)
    os.chmod(key, 0o644)
    assert "chmod" in enrolled.fails("status", reason="state-permissions")
    os.chmod(key, 0o600)
    with open(os.path.join(enrolled.state, "ue-key.auth"), "wb") as out:
        out.write(b"\x01" * 32)
    enrolled.fails("status", reason="tpm-auth-refused")


def test_transports(device):
    device.fails("init", tcti="cmd:cat", reason="tcti-refused")
    device.fails("init", tcti="/tmp/x.so", reason="tcti-refused")
    assert "/dev/tpmrm0" in device.fails("init", tcti="device:/dev/no-such-tpm", reason="tpm-transport")
    assert not os.path.exists(os.path.join(device.state, "state.json"))
