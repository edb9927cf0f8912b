"""Signed notes (C2SP signed-note, tlog-cosignature) in Python, apart from the product's code."""

import base64
import hashlib
import struct

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

DASH = "\N{EM DASH} "


class Key:
    """A verifier key: ECDSA of a log, or Ed25519 of a witness."""

    def __init__(self, name, key_type, material):
        self.name, self.type, self.material = name, key_type, material
        if key_type == 2:
            self.id = hashlib.sha256(material).digest()[:4]
        else:
            self.id = hashlib.sha256(name.encode() + b"\n" + bytes([key_type]) + material).digest()[:4]

    @classmethod
    def parse(cls, vkey):
        name, identifier, rest = vkey.strip().split("+", 2)
        data = base64.b64decode(rest, validate=True)
        key = cls(name, data[0], data[1:])
        assert key.id.hex() == identifier
        return key

    @classmethod
    def of_certificate(cls, name, path):
        public = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
        return cls(name, 2, public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.type]) + self.material).decode()}"

    def verifies(self, text, signature):
        """The time of a cosignature, or True; False for a wrong one."""
        try:
            if self.type == 2:
                serialization.load_der_public_key(self.material).verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
                return True
            key = ed25519.Ed25519PublicKey.from_public_bytes(self.material)
            (time,) = struct.unpack(">Q", signature[:8])
            key.verify(signature[8:], f"cosignature/v1\ntime {time}\n{text}".encode())
            return time
        except InvalidSignature:
            return False


class Note:
    def __init__(self, content):
        self.text, _, lines = content.rpartition("\n\n")
        self.text += "\n"
        self.signatures = []
        for line in lines.splitlines():
            assert line.startswith(DASH)
            name, data = line[len(DASH):].split(" ")
            data = base64.b64decode(data, validate=True)
            self.signatures.append((name, data[:4], data[4:]))

    def signed_by(self, key):
        """What the key's own signature verifies to; False if there is none."""
        made = [signature for name, identifier, signature in self.signatures if (name, identifier) == (key.name, key.id)]
        return bool(made) and all(key.verifies(self.text, signature) for signature in made) and key.verifies(self.text, made[0])

    @property
    def origin(self):
        return self.text.split("\n")[0]

    @property
    def size(self):
        return int(self.text.split("\n")[1])
