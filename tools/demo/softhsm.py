"""SoftHSM's module, and replicas of its tokens."""

import pathlib
import shutil
import uuid


def find_module():
    for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"):
        if pathlib.Path(path).exists():
            return path
    raise RuntimeError("SoftHSM's PKCS#11 module was not found; install the package softhsm2")


def clone(tokens, source, label):
    """Makes a token with the keys and PINs of `source`, but a label and a serial number of its own.

    HSMs have protocols of their own for this, in which no key leaves them in clear. SoftHSM has none, but its tokens are
    directories whose objects are encrypted under the PIN; label and serial number stand in token.object in clear.
    """
    found = [path for path in tokens.iterdir() if source.encode().ljust(32) in (path / "token.object").read_bytes()]
    assert len(found) == 1, f"expected one token labelled {source}, found {len(found)}"
    name = str(uuid.uuid4())
    shutil.copytree(found[0], tokens / name)
    token = tokens / name / "token.object"
    content = token.read_bytes()
    for old, new in ((source.ljust(32), label.ljust(32)), (serial_of(found[0].name), serial_of(name))):
        assert content.count(old.encode()) == 1, f"{token} has not the form of SoftHSM 2"
        content = content.replace(old.encode(), new.encode())
    token.write_bytes(content)


def serial_of(name):
    """SoftHSM names a token's directory by a UUID that ends with its serial number."""
    return name.replace("-", "")[-16:]
