"""An independent reader of ledger segments (hsm-service/ledger/segment.hpp describes the format)."""

import hashlib
import json

HEADER, BATCH, RECORD = 56, 56, 36


def leaves(directory):
    """All committed leaves in order, as parsed JSON; asserts framing, hashes and gapless indexes."""
    out = []
    for path in sorted(path for path in directory.iterdir() if path.read_bytes()[:16] == b"avseal-ledger-1\n"):
        data = path.read_bytes()
        assert int.from_bytes(data[16:24], "big") == len(out)
        at = HEADER
        while data[at:at + 8] == b"avLbatch":
            head = data[at:at + 24]
            first, count, size = int.from_bytes(head[8:16], "big"), int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
            if count == 0:
                break
            assert first == len(out)
            records, hashes = data[at + BATCH:at + BATCH + size], b""
            while records:
                length = int.from_bytes(records[:4], "big")
                leaf = records[RECORD:RECORD + length]
                digest = hashlib.sha256(b"\0" + leaf).digest()
                assert digest == records[4:RECORD]
                hashes += digest
                parsed = json.loads(leaf)
                assert parsed["index"] == len(out)
                assert json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == leaf
                out.append(parsed)
                records = records[RECORD + length:]
            assert hashlib.sha256(head + hashes).digest() == data[at + 24:at + BATCH]
            at += BATCH + size
    return out
