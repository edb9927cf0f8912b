"""The log of a YubiHSM 2 that had made the signatures which the fault module recorded (rule `record-uses`), as
`yubihsm-shell -a get-logs` prints it."""

import hashlib
import struct

ROOM = 62  # entries


def _item(number, command, length, session, target, second, result, tick, digest):
    return (f"item: {number:5} -- cmd: {command:#04x} -- length: {length:4} -- session key: {session:#06x} -- target key: {target:#06x} -- "
            f"second key: {second:#06x} -- result: {result:#04x} -- tick: {tick} -- hash: {digest.hex()}\n")


def items(targets, random=b"\x5a" * 16):
    """One for each ECDSA signature with an object, behind that of the reset."""
    digest = random
    out = [_item(1, 0xff, 0xffff, 0xffff, 0xffff, 0xffff, 0xff, 0xffffffff, digest)]
    for number, target in enumerate(targets, 2):
        members = number & 0xffff, 0x56, 35, 1, target, 0xffff, 0xd6, 100 * number
        digest = hashlib.sha256(struct.pack(">HBHHHHBI", *members) + digest).digest()[:16]
        out.append(_item(*members, digest))
    return out


def outputs(lines):
    """As they are drained: read whenever the log is full, and set back."""
    for at in range(0, len(lines), ROOM):
        some = lines[at:at + ROOM]
        found = "Found 1 item" if len(some) == 1 else f"Found {len(some)} items"
        yield f"0 unlogged boots found\n0 unlogged authentications found\n{found}\n{''.join(some)}"
