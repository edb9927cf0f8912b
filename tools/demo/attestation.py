"""What an operator and a device maker hand to the enrollment role: signed anchors, PCR sets and manifests, a profile."""

import base64
import hashlib
import json
import pathlib

from .pki import openssl

MAKER = "ExampleMaker"
SOFTWARE_TPM = "id:00001014"  # swtpm's vendor in its certificates

PROFILE = """\
# Which devices get UE certificates. A test profile: its TPMs are software.
name = "demo"
test = true
mode = "enforce"
binding = ["manifest"]
certificate_lifetime = 604800  # seconds

[quote]
pcrs = [0, 1, 2, 3, 4, 5, 6, 7]
"""

CONFIGURATION = """\
profile = "{directory}/profile.toml"
document_signer = "{pki}/document-signer.pem"
ek_anchors = "{directory}/ek-anchors.json"
pcr_sets = "{directory}/pcr-sets.json"
evidence_directory = "{directory}/evidence"

[[enrollment.makers]]
name = "{maker}"
signer = "{pki}/maker.pem"
"""


class Attestation:
    """The directory of these documents at a demo site, and who signs them."""

    def __init__(self, directory, pki):
        self.directory, self.pki = pathlib.Path(directory), pki

    def make(self, authority):
        self.directory.mkdir(mode=0o700, exist_ok=True)
        for signer in ("document-signer", "maker"):
            self.pki.root(signer, f"avseal demo {signer}")
        self.write("ek-anchors.json", anchors(authority))
        self.write("pcr-sets.json", pcr_sets())
        (self.directory / "profile.toml").write_text(PROFILE)

    def write(self, name, text, signer="document-signer"):
        return write_signed(self.directory / name, text, self.pki.key(signer))

    def write_manifest(self, devices, **options):
        """Signed by the maker; devices are (device id, serial, model, batch)."""
        return self.write("manifest.csv", manifest(devices, **options), "maker")

    def configuration(self):
        return CONFIGURATION.format(directory=self.directory, pki=self.pki.directory, maker=MAKER)


def write_signed(path, text, key):
    """FILE and FILE.sig, as `openssl dgst` signs it."""
    path.write_text(text)
    openssl("dgst", "-sha256", "-sign", key, "-out", f"{path}.sig", path)
    return path


def device_id(certificate):
    """Of an EK certificate, DER or PEM: hex SHA-256 of its SubjectPublicKeyInfo."""
    form = "PEM" if b"-----BEGIN" in pathlib.Path(certificate).read_bytes() else "DER"
    pem = openssl("x509", "-inform", form, "-in", certificate, "-noout", "-pubkey")
    lines = [line for line in pem.splitlines() if not line.startswith("-----")]
    return hashlib.sha256(base64.b64decode("".join(lines))).hexdigest()


def anchors(authority):
    """The document of anchors for TPMs whose certificates the CA in this directory made."""
    members = []
    for name in ("swtpm-localca-rootca-cert.pem", "issuercert.pem"):
        pem = (authority / name).read_text()
        der = openssl("x509", "-in", authority / name, "-noout", "-fingerprint", "-sha256").split("=")[1]
        members.append({"pem": pem, "sha256": der.strip().replace(":", "").lower(), "partial_chain": False})
    return json.dumps({"kind": "ek-anchors", "version": 1,
                       "vendors": [{"vendor": SOFTWARE_TPM, "name": "swtpm", "anchors": members}]}, indent=1)


def pcr_sets(version=1, **sets):
    """name={index: hex}; all zero where nothing is given, as swtpm starts."""
    named = sets or {"as-made": {index: "00" * 32 for index in range(8)}}
    return json.dumps({"kind": "pcr-sets", "version": version, "sets": [
        {"name": name, "bank": "sha256", "pcrs": {str(index): value for index, value in values.items()}}
        for name, values in named.items()]}, indent=1)


def manifest(devices, version=1, maker=MAKER):
    """CSV of (device id, serial, model, batch)."""
    lines = [f"# maker: {maker}", f"# version: {version}", "ek_sha256,serial,model,batch"]
    return "\n".join([*lines, *(",".join(device) for device in devices)]) + "\n"
