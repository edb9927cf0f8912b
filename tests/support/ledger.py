"""An independent reader of a ledger directory: entry bundles below the checkpoint, segments behind it
(hsm-service/ledger/segment.hpp describes their format)."""

import hashlib
import json

HEADER, BATCH, RECORD = 56, 56, 36


def leaves(directory):
    """All committed leaves in order, as parsed JSON; asserts framing, hashes and gapless indexes."""
    out = []
    for leaf in [*published(directory), *unpublished(directory)]:
        parsed = json.loads(leaf)
        if parsed["index"] < len(out):
            continue  # in a segment still
        assert parsed["index"] == len(out)
        assert json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == leaf
        out.append(parsed)
    return out


def size(directory):
    """Of the published log."""
    checkpoint = directory / "checkpoint"
    return int(checkpoint.read_text().split("\n")[1]) if checkpoint.exists() else 0


def published(directory):
    total = size(directory)
    for first in range(0, total, 256):
        width = min(256, total - first)
        name = bundle(directory, first // 256)
        partial = name.with_name(name.name + ".p") / str(width)
        try:
            data = (name if width == 256 else partial).read_bytes()
        except FileNotFoundError:
            data = name.read_bytes()  # it was completed meanwhile
        for _ in range(width):
            length = int.from_bytes(data[:2], "big")
            yield data[2:2 + length]
            data = data[2 + length:]


def bundle(directory, number):
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return directory.joinpath("tile", "entries", *groups)


def unpublished(directory):
    """Of the segments that are there; some of it may be published."""
    expected = None
    for path in sorted(directory.glob("*.leaves")):
        data = path.read_bytes()
        assert data[:16] == b"avseal-ledger-1\n"
        first = int.from_bytes(data[16:24], "big")
        assert path.name == f"{first:020}.leaves" and expected in (None, first)
        expected, at = first, HEADER
        while data[at:at + 8] == b"avLbatch":
            head = data[at:at + 24]
            first, count, length = (int.from_bytes(head[start:end], "big") for start, end in ((8, 16), (16, 20), (20, 24)))
            if count == 0:
                break
            assert first == expected
            records, hashes = data[at + BATCH:at + BATCH + length], b""
            while records:
                entry = int.from_bytes(records[:4], "big")
                leaf = records[RECORD:RECORD + entry]
                digest = hashlib.sha256(b"\0" + leaf).digest()
                assert digest == records[4:RECORD]
                hashes += digest
                yield leaf
                records = records[RECORD + entry:]
            assert hashlib.sha256(head + hashes).digest() == data[at + 24:at + BATCH]
            expected, at = expected + count, at + BATCH + length


def vkey(site):
    """The verifier key of the site's log."""
    origin = (site.ledger / "checkpoint").read_text().split("\n")[0]
    return site.avseal("ledger", "vkey", "--cert", site.pki.pem("ledger"), "--origin", origin).stdout.strip()


def verify(site):
    """What `avseal ledger verify` says of the site's log, which must be good."""
    done = site.avseal("ledger", "verify", site.ledger, "--vkey", vkey(site), "--json", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
