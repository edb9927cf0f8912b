"""An independent client of a C2SP tlog-tiles log: re-hashes everything, verifies receipts. RFC 6962 from the text of the RFC."""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WIDTH = 256


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def root_from_proof(index, size, leaf, proof):
    """RFC 9162 section 2.1.3.2."""
    assert index < size
    fn, sn, root = index, size - 1, leaf
    for sibling in proof:
        assert sn != 0
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return root


class Checkpoint:
    """A signed note; `keys` are EC public keys, one of which must have signed it."""

    def __init__(self, note, keys):
        text, _, signatures = note.rpartition("\n\n")
        self.note, self.text = note, text + "\n"
        self.origin, size, root = text.split("\n")
        self.size, self.root = int(size), base64.b64decode(root, validate=True)
        assert str(self.size) == size and len(self.root) == 32
        assert verify_note(note, keys) == self.origin


def verify_note(note, keys):
    """The name of a key that signed; asserts that one of `keys` did, as ECDSA note type 0x02."""
    text, _, signatures = note.rpartition("\n\n")
    by_id = {}
    for key in keys:
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        by_id[hashlib.sha256(spki).digest()[:4]] = key
    names = []
    for line in signatures.removesuffix("\n").split("\n"):
        dash, name, value = line.split(" ")
        assert dash == "\u2014"
        signature = base64.b64decode(value, validate=True)
        key = by_id.get(signature[:4])
        if key is None:
            continue
        try:
            key.verify(signature[4:], (text + "\n").encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as wrong:
            raise AssertionError(f"a wrong signature of {name}") from wrong
        names.append(name)
    assert names, "no signature of a known key"
    return names[0]


def tile_path(level, number, width=WIDTH):
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < WIDTH else "")


def split_bundle(data):
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + length
        entries.append(data[2:2 + length])
        data = data[2 + length:]
    return entries


class Log:
    """What is below `prefix`; `get(path)` gives an answer with status and body."""

    def __init__(self, get, prefix, keys):
        self.get, self.prefix, self.keys = get, prefix, keys

    def checkpoint(self):
        answer = self.get(f"{self.prefix}/checkpoint")
        assert answer.status == 200, answer.text
        return Checkpoint(answer.body.decode(), self.keys)

    def tile(self, level, number, width):
        """As tlog-tiles clients do: the full one where the partial one is gone."""
        answer = self.get(f"{self.prefix}/{tile_path(level, number, width)}")
        if answer.status == 404 and width < WIDTH:
            answer = self.get(f"{self.prefix}/{tile_path(level, number)}")
        assert answer.status == 200, answer.text
        return answer.body

    def entries(self, size):
        out = []
        for number in range((size + WIDTH - 1) // WIDTH):
            width = min(WIDTH, size - number * WIDTH)
            entries = split_bundle(self.tile("entries", number, width))
            assert len(entries) >= width
            out += entries[:width]
        return out

    def verify(self):
        """Every entry against every tile and the root; gives checkpoint and entries."""
        head = self.checkpoint()
        entries = self.entries(head.size)
        level, hashes_ = 0, [leaf_hash(entry) for entry in entries]
        assert root_of(hashes_) == head.root
        while hashes_:
            for number in range((len(hashes_) + WIDTH - 1) // WIDTH):
                wanted = hashes_[number * WIDTH:(number + 1) * WIDTH]
                assert self.tile(level, number, len(wanted))[:32 * len(wanted)] == b"".join(wanted)
            full = len(hashes_) // WIDTH
            hashes_ = [root_of(hashes_[i * WIDTH:(i + 1) * WIDTH]) for i in range(full)]
            level += 1
        return head, entries


class Receipt:
    """A tlog-proof@v1 that brings its leaf along."""

    def __init__(self, text, keys):
        head, _, note = text.partition("\n\n")
        first, extra, index, *proof = head.split("\n")
        assert first == "c2sp.org/tlog-proof@v1"
        self.leaf = base64.b64decode(extra.removeprefix("extra "), validate=True)
        self.index = int(index.removeprefix("index "))
        self.checkpoint = Checkpoint(note, keys)
        hashes_ = [base64.b64decode(line, validate=True) for line in proof]
        assert root_from_proof(self.index, self.checkpoint.size, leaf_hash(self.leaf), hashes_) == self.checkpoint.root
