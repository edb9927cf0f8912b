"""A UE whose key is in software: enrolled like any other, so that tests can sign UE tokens that no avseal-ue would."""

import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from demo import call, curl
from support import jose


def request(key, impu=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ue")]))
    if impu:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(impu)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class SoftwareUe:
    def __init__(self, site, impu="sip:alice@a.example"):
        self.site, self.impu, self.key = site, impu, jose.new_key()
        code = call.invite(site, impu, "--simple", "--reason", "a UE without a TPM")
        answer = curl.nobody(site).post("/enrollment/v1/simple", json_body={"code": code, "csr": request(self.key)})
        assert answer.status == 201, answer.text
        self.certificates = answer.json()["certificates"]
        self.certificate = x509.load_pem_x509_certificate(self.certificates[0].encode())
        self.der = jose.der_of(self.certificate)

    def fingerprint(self):
        return "SHA-256 " + self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def token(self, at=None, **changes):
        return jose.ue_token(self.der, self.key, int(time.time()) if at is None else at, **{"sub": self.impu, **changes})
