"""Signed objects made and checked with the `cryptography` package, independently of our code."""

import base64
import hashlib
import json
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def load_key(path):
    return serialization.load_pem_private_key(open(path, "rb").read(), None)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def load_certificate(path):
    return x509.load_pem_x509_certificate(open(path, "rb").read())


def antedated(certificate, ca, ca_key, by):
    """The same certificate, issued earlier."""
    builder = x509.CertificateBuilder(ca.subject, certificate.subject, certificate.public_key(), certificate.serial_number + 1,
                                      certificate.not_valid_before - by, certificate.not_valid_after)
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(ca_key, hashes.SHA256())


def der_of(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def sign(header, claims, key):
    """A compact JWS, ES256."""
    signing_input = f"{b64url(canonical(header))}.{b64url(canonical(claims))}"
    r, s = decode_dss_signature(key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def verify(compact, public_key):
    """Raises InvalidSignature."""
    signing_input, _, signature = compact.rpartition(".")
    raw = unb64url(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public_key.verify(der, signing_input.encode(), ec.ECDSA(hashes.SHA256()))


def parts(compact):
    header, claims, _ = compact.split(".")
    return json.loads(unb64url(header)), json.loads(unb64url(claims))


def altered(compact, change):
    """The same signature over claims that `change` altered."""
    header, claims, signature = compact.split(".")
    value = json.loads(unb64url(claims))
    change(value)
    return f"{header}.{b64url(canonical(value))}.{signature}"


def identity_header(passport, info, ppt="avatar"):
    return f'{passport};info=<{info}>;alg=ES256;ppt="{ppt}"'


def avatar_claims(fingerprint, at, **changes):
    """Claims of a signed Avatar-id for the fingerprint "SHA-256 AA:BB:.."."""
    digest = bytes.fromhex(fingerprint.split()[1].replace(":", ""))
    claims = {
        "attest": "A", "avatar": {"app": "xr-meeting", "id": "urn:uuid:6f9c1d9e-6f0e-4d0b-9a53-2f6f3b0f7a11", "ue": b64url(digest)},
        "dest": {"uri": ["sip:bob@b.example"]}, "iat": at, "mky": [{"alg": "sha-256", "dig": digest.hex().upper()}],
        "orig": {"uri": "sip:alice@a.example"}, "origid": "123e4567-e89b-12d3-a456-426655440000"}
    claims.update(changes)
    return claims


def ue_token(certificate_der, key, at, **changes):
    """A UE token by a software key."""
    claims = {"aud": "xr-as.a.example", "avatar": {"app": "xr-meeting", "id": "urn:uuid:6f9c1d9e-6f0e-4d0b-9a53-2f6f3b0f7a11"},
              "exp": at + 100, "iat": at, "jti": b64url(os.urandom(16)),
              "sub": "sip:alice@a.example"}
    claims.update(changes)
    header = {"alg": "ES256", "typ": "avatar-ue+jwt", "x5c": [base64.b64encode(certificate_der).decode()],
              "x5t#S256": b64url(hashlib.sha256(certificate_der).digest())}
    return sign(header, claims, key)
