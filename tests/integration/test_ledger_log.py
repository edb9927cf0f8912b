"""The log of a running node: published with the HSM's key, through kills and a rotation of that key; and starts that refuse to go on with another history."""

import base64
import hashlib
import shutil
import time

import pytest
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from demo import call, pki, processes, site as demo_site
from support import ledger
from test_key_lifecycle import Load, Operator
from test_start import start_fails

SITE_TOKENS = demo_site.TOKENS[:1]
NEXT = "ledger-next"


@pytest.fixture(scope="module")
def operator(stopped_site):
    """A running site that knows a next ledger key."""
    p, operator = stopped_site.pki, Operator(stopped_site)
    stopped_site.key_command("generate", "--kind", "ledger", "--label", NEXT, *stopped_site.own_ledger())
    p.sign_request(NEXT, stopped_site.request_of(NEXT, "next ledger signer"), "operator-ca", pki.SIGNER_EXTENSIONS)
    with open(stopped_site.worker_config(SITE_TOKENS[0]), "a") as out:
        out.write(f'\n[[keys]]\nname = "{NEXT}"\nkind = "ledger"\nuri = "pkcs11:object={NEXT}"\norigin = "{demo_site.ORIGIN}"\n')
    with open(stopped_site.directory / "avseald.toml", "a") as out:
        out.write(f'\n[[keys]]\nname = "{NEXT}"\nkind = "ledger"\ntokens = ["{SITE_TOKENS[0]}"]\nprimary = false\ncertificate = "{p.pem(NEXT)}"\n')
    stopped_site.start()
    return operator


@pytest.fixture(scope="module")
def site(operator):
    yield operator.site
    assert operator.site.stop() == 0, (operator.site.log / "avseald.log").read_text()[-4000:]


def checkpoint(site):
    return (site.ledger / "checkpoint").read_text()


def size_in(text):
    return int(text.split("\n")[1])


def root_in(text):
    return base64.b64decode(text.split("\n")[2])


def root_of(leaf_hashes):
    """RFC 6962 section 2.1."""
    if len(leaf_hashes) < 2:
        return leaf_hashes[0] if leaf_hashes else hashlib.sha256().digest()
    split = 1 << (len(leaf_hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaf_hashes[:split]) + root_of(leaf_hashes[split:])).digest()


def leaf_hashes(site):
    return [hashlib.sha256(b"\0" + leaf).digest() for leaf in ledger.published(site.ledger)]


def signers_of(site, text, names=("ledger", NEXT)):
    """Which keys signed, and that each line is of one of them."""
    body, _, lines = text.rpartition("\n\n")
    signed = []
    for line in lines.splitlines():
        dash, origin, blob = line.split(" ")
        blob = base64.b64decode(blob)
        assert dash == "—" and origin == text.split("\n")[0]
        for name in names:
            key = x509.load_pem_x509_certificate(site.pki.pem(name).read_bytes()).public_key()
            try:
                key.verify(blob[4:], body.encode() + b"\n", ec.ECDSA(hashes.SHA256()))
                signed.append(name)
            except exceptions.InvalidSignature:
                continue
    assert len(signed) == len(lines.splitlines())
    return signed


def wait_until_published(site):
    total = len(ledger.leaves(site.ledger))
    processes.wait_until(lambda: ledger.size(site.ledger) >= total, None, None, "a checkpoint", seconds=60)
    return checkpoint(site)


def test_checkpoint_is_of_the_leaves(site, alice):
    assert call.sign(site, call.signing_request(alice.fingerprint())).status == 200
    text = wait_until_published(site)
    assert text.split("\n")[0] == f"{demo_site.ORIGIN}/{time.gmtime().tm_year}"
    assert signers_of(site, text) == ["ledger"] or signers_of(site, text) == ["ledger", NEXT]
    assert root_in(text) == root_of(leaf_hashes(site)[:size_in(text)])
    assert any(leaf["event"] == "sign.avatar-id" for leaf in ledger.leaves(site.ledger)[:size_in(text)])


def test_kills_under_load_make_one_history(site, alice):
    seen = []
    for _ in range(4):
        with Load(site, alice) as load:
            load.wait_for_more(30)
            seen.append(wait_until_published(site))
            load.wait_for_more(5)
            site.running["avseald"].kill()
            site.running["avseald"].wait()
        seen.append(checkpoint(site))
        site.start_service()
        seen.append(checkpoint(site))
        released = {leaf["details"]["origid"] for leaf in ledger.leaves(site.ledger) if leaf["event"] == "sign.avatar-id"}
        answered = {call.claims_of(identity)["origid"] for _, identity in load.signed}
        assert answered <= released
    wait_until_published(site)
    all_hashes = leaf_hashes(site)
    for text in seen:
        assert root_in(text) == root_of(all_hashes[:size_in(text)]), text


def test_uses_of_the_ledger_key_are_told(site):
    site.stop()
    told = [use for leaf in ledger.leaves(site.ledger) for use in leaf.get("details", {}).get("uses", [])]
    site.start_service()
    assert told and {use["key"] for use in told} <= {"ledger", NEXT}
    for use in told:
        assert use["worker"] and use["kid"] and all(first <= last for first, last in use["sequences"])


def test_older_copies_do_not_start(site, alice, directory):
    store = site.directory / "store.sqlite"

    def copy_to(name):
        shutil.copytree(site.ledger, directory / name / "ledger")
        for path in store.parent.glob("store.sqlite*"):
            shutil.copy(path, directory / name / path.name)

    def put_back(name, *what):
        if "ledger" in what:
            shutil.rmtree(site.ledger)
            shutil.copytree(directory / name / "ledger", site.ledger)
        if "store" in what:
            for path in store.parent.glob("store.sqlite*"):
                path.unlink()
            for path in (directory / name).glob("store.sqlite*"):
                shutil.copy(path, store.parent / path.name)

    assert site.stop() == 0
    copy_to("old")
    site.start_service()
    assert call.sign(site, call.signing_request(alice.fingerprint())).status == 200
    assert site.stop() == 0
    copy_to("new")
    try:
        put_back("old", "ledger")
        start_fails(site, "a checkpoint of", "the directory was restored from an older copy")
        put_back("new", "ledger")
        put_back("old", "store")
        start_fails(site, "the store was restored from an older copy")
    finally:
        put_back("new", "ledger", "store")
        site.start_service()


def test_altered_tile_does_not_start(site):
    assert site.stop() == 0
    width = ledger.size(site.ledger) % 256
    tile = next(path for path in (site.ledger / "tile" / "0").rglob(str(width)))
    good = tile.read_bytes()
    try:
        tile.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        start_fails(site, "altered")
    finally:
        tile.write_bytes(good)
        site.start_service()


def test_rotation_has_both_signatures_until_the_old_key_retires(site, operator, alice):
    operator.change("stage", NEXT)
    operator.change("activate", NEXT)
    assert call.sign(site, call.signing_request(alice.fingerprint())).status == 200
    processes.wait_until(lambda: signers_of(site, checkpoint(site)) == [NEXT, "ledger"], None, None, "both keys' checkpoint", seconds=60)
    assert site.stop() == 0
    site.start_service()
    operator.change("retire", "ledger", "--force", "the test ends its overlap")
    assert call.sign(site, call.signing_request(alice.fingerprint())).status == 200
    processes.wait_until(lambda: signers_of(site, checkpoint(site)) == [NEXT], None, None, "the next key's checkpoint", seconds=60)
    assert root_in(checkpoint(site)) == root_of(leaf_hashes(site)[:size_in(checkpoint(site))])
