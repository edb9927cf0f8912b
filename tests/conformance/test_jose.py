"""`avseal inspect` and `avseal verify` on published vectors and on objects that another implementation signed."""

import base64
import datetime
import json
import os
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from support import jose

AVSEAL = pathlib.Path(os.environ["AVSEAL_BUILD"]) / "bin" / "avseal"
UE_EKU = 181263912817466153470291734926715501337  # under 2.25, where `cryptography` knows no arc of this size
NOW = 1763930000
UUID = "123e4567-e89b-12d3-a456-426655440000"

RFC7515_A3 = (
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
RFC7515_KEY = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
               "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}


def avseal(*arguments, stdin=None):
    return subprocess.run([AVSEAL, *map(str, arguments)], capture_output=True, text=True, input=stdin, timeout=60)


def ue_usage():
    """extendedKeyUsage with our OID alone."""
    octets, rest = [UE_EKU & 0x7F], UE_EKU >> 7
    while rest:
        octets.insert(0, 0x80 | rest & 0x7F)
        rest >>= 7
    oid = bytes([2 * 40 + 25, *octets])
    value = bytes([0x30, len(oid) + 2, 0x06, len(oid)]) + oid
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), value)


def certificate(key, issuer_key=None, issuer=None, ca=False, names=(), ue=False):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA" if ca else "signer")])
    start = datetime.datetime.fromtimestamp(NOW - 86400, datetime.timezone.utc).replace(tzinfo=None)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=7))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
               .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    if ue:
        builder = builder.add_extension(ue_usage(), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


class Objects:
    """One object of each kind under one CA, as files."""

    def __init__(self, directory):
        self.directory = directory
        ca_key, self.key, self.ue_key = jose.new_key(), jose.new_key(), jose.new_key()
        ca = certificate(ca_key, ca=True)
        signer = certificate(self.key, ca_key, ca, names=[x509.DNSName("a.example")])
        ue = certificate(self.ue_key, ca_key, ca, names=[x509.UniformResourceIdentifier("sip:alice@a.example")], ue=True)
        self.write("ca.pem", ca.public_bytes(serialization.Encoding.PEM).decode())
        self.write("signer.pem", signer.public_bytes(serialization.Encoding.PEM).decode())
        other = jose.new_key()
        self.write("other-ca.pem", certificate(other, ca=True).public_bytes(serialization.Encoding.PEM).decode())

        digest = ue.fingerprint(hashes.SHA256())
        x5t, alice = jose.b64url(digest), "sip:alice@a.example"
        x5u = "https://a.example/certs/c.pem"
        passport = jose.sign({"alg": "ES256", "ppt": "avatar", "typ": "passport", "x5u": x5u},
                             {"attest": "A", "avatar": {"app": "xr", "id": "i", "ue": x5t}, "dest": {"uri": ["sip:bob@b.example"]},
                              "iat": NOW, "mky": [{"alg": "sha-256", "dig": digest.hex().upper()}], "orig": {"uri": alice},
                              "origid": UUID}, self.key)
        self.write("avatar-id", f'{passport};info=<{x5u}>;alg=ES256;ppt="avatar"\n')
        self.write("ue-token", jose.sign(
            {"alg": "ES256", "typ": "avatar-ue+jwt", "x5c": [base64.b64encode(jose.der_of(ue)).decode()], "x5t#S256": x5t},
            {"aud": "xr-as-1", "avatar": {"app": "xr", "id": "i"}, "exp": NOW + 60, "iat": NOW, "jti": jose.b64url(bytes(16)),
             "sub": alice}, self.ue_key))
        numbers = self.key.public_key().public_numbers()
        jwk = {"crv": "P-256", "kty": "EC", "x": jose.b64url(numbers.x.to_bytes(32, "big")),
               "y": jose.b64url(numbers.y.to_bytes(32, "big"))}
        self.write("signer.jwk", json.dumps(jwk))
        kid_digest = hashes.Hash(hashes.SHA256())
        kid_digest.update(jose.canonical(jwk))
        kid = jose.b64url(kid_digest.finalize())
        self.write("access-token", jose.sign(
            {"alg": "ES256", "kid": kid, "typ": "at+jwt"},
            {"aud": [UUID], "avatar": {"app": "xr", "dac": UUID, "id": "i", "ops": ["read"], "ver": 1}, "client_id": "xr-as-1",
             "cnf": {"x5t#S256": x5t}, "exp": NOW + 300, "iat": NOW, "iss": UUID, "jti": "j", "scope": "ndac-avatar", "sub": UUID},
            self.key))
        self.write("metadata", jose.sign(
            {"alg": "ES256", "kid": kid, "typ": "avatar-metadata+jwt", "x5c": [base64.b64encode(jose.der_of(signer)).decode()]},
            {"avatar": {"content": {"digest": "sha-256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "size": 0,
                                    "type": "model/gltf-binary"}, "id": "i", "owner": alice, "version": 1},
             "exp": NOW + 3600, "iat": NOW, "iss": UUID}, self.key))

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def path(self, name):
        return self.directory / name

    def verify(self, *names, anchors="ca.pem", at=NOW + 1, extra=()):
        ca = self.path(anchors)
        return avseal("verify", *map(self.path, names), "--stir-anchors", ca, "--ue-anchors", ca, "--anchors", ca,
                      "--signer-certificate", self.path("signer.pem"), "--at", at, *extra)


@pytest.fixture
def objects(directory):
    return Objects(directory)


def test_rfc_7515_vector(directory):
    key = directory / "key.jwk"
    key.write_text(json.dumps(RFC7515_KEY))
    done = avseal("inspect", "--key", key, RFC7515_A3)
    assert done.returncode == 0 and "signature valid" in done.stdout, done.stderr
    assert avseal("inspect", "-", stdin=RFC7515_A3 + "\n").returncode == 0
    altered = RFC7515_A3[:-4] + "AAAA"
    assert avseal("inspect", altered).returncode == 0
    done = avseal("inspect", "--key", key, altered)
    assert done.returncode == 1 and "signature-invalid" in done.stderr
    assert avseal("inspect", "text").returncode == 1


def test_each_kind_verifies(objects):
    done = objects.verify("avatar-id", "ue-token", "access-token", "metadata")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("verdict   valid") == 4
    for kind in ("signed Avatar-id", "UE token", "access token", "signed avatar metadata"):
        assert kind in done.stdout


@pytest.mark.parametrize("name", ["avatar-id", "ue-token", "access-token", "metadata"])
def test_other_anchors_refuse(objects, name):
    done = objects.verify(name, anchors="other-ca.pem")
    assert done.returncode == 1 and "certificate-untrusted" in done.stdout, done.stdout


@pytest.mark.parametrize("name", ["avatar-id", "ue-token", "access-token", "metadata"])
def test_altered_signatures_refuse(objects, name):
    token, separator, parameters = objects.path(name).read_text().partition(";")
    signed, _, signature = token.rpartition(".")
    objects.write(name, f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}{separator}{parameters}")
    done = objects.verify(name)
    assert done.returncode == 1 and "signature-invalid" in done.stdout, done.stdout


@pytest.mark.parametrize("name,reason", [("ue-token", "ue-token-expired"), ("access-token", "access-token-expired"),
                                         ("metadata", "metadata-expired")])
def test_expired_ones_refuse(objects, name, reason):
    done = objects.verify(name, at=NOW + 4000)
    assert done.returncode == 1 and reason in done.stdout, done.stdout


def test_keys_in_each_form_and_missing_options(objects):
    for key in ("signer.jwk", "signer.pem"):
        done = avseal("verify", objects.path("access-token"), "--key", objects.path(key), "--at", NOW)
        assert done.returncode == 0, done.stdout
    done = avseal("verify", objects.path("metadata"), "--at", NOW)
    assert done.returncode == 1 and "--anchors" in done.stdout
    objects.write("token", RFC7515_A3)
    assert "kind-unknown" in objects.verify("token").stdout


def test_identity_header_must_agree_with_the_passport(objects):
    objects.write("avatar-id", objects.path("avatar-id").read_text().replace("c.pem>", "d.pem>"))
    done = objects.verify("avatar-id")
    assert done.returncode == 1 and "identity-header-mismatch" in done.stdout
