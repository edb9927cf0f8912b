"""`avseal doctor`: a healthy site has no error, and each thing broken in a copy of it gives exactly its own finding: configuration, tokens, keys."""

import os
import re
import shutil
import subprocess

import pytest

from demo import pki, site as demo_site, softhsm
from support.doctor import copy_of, doctor, edit, found, problems

A, B = demo_site.TOKENS


@pytest.fixture(scope="module")
def made(stopped_site):
    for name in ("sockets", "state"):
        (stopped_site.directory / name).mkdir(mode=0o700, exist_ok=True)
    return stopped_site


@pytest.fixture
def copy(made, directory):
    return copy_of(made, directory / "s")


@pytest.fixture(scope="module")
def healthy(made):
    return problems(doctor(made), made.directory)


# --- a healthy site ---

def test_a_healthy_site_has_no_error(made, healthy):
    report = doctor(made)
    assert report["summary"]["error"] == 0 and report["severity"] == "warning"
    assert {id for id, _ in healthy} >= {"workers-not-separated", "clock-trusted", "names-domain"}
    fine = {(f["id"], f["subject"]) for f in report["findings"] if f["severity"] == "ok"}
    for token in (A, B):
        assert {("login", token), ("sessions", token), ("pin-flags", token), ("mechanisms", token)} <= fine
        for key in demo_site.KINDS:
            assert {(id, f"{token}/{key}") for id in ("key-type", "key-attributes", "key-usage", "key-test")} <= fine
    assert {("replica", f"{B}/{key}") for key in demo_site.KINDS} <= fine
    notes = {(f["id"], f["subject"]): f["found"] for f in report["findings"] if f["severity"] == "note"}
    assert "SoftHSM" in notes["module", A] and "firmware" in notes["token", A] and f'label "{A}"' in notes["token", A]
    assert any(id == "not-running" for id, _ in notes)


def test_for_people(made):
    done = made.avseal("doctor", "--config", made.directory / "avseald.toml", check=False)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    severities = [line.split()[0] for line in lines if re.match(r"(ok|note|warning|error) ", line)]
    assert severities == sorted(severities, key=["ok", "note", "warning", "error"].index), "the worst is read first at the terminal's end"
    assert re.fullmatch(r".*/avseald\.toml: 0 errors, \d+ warnings?, \d+ notes?, \d+ fine", lines[-1])
    assert "WHOEVER TAKES OVER avseald HAS THE PIN" in done.stdout
    assert made.secret("pin").read_text() not in done.stdout


def test_it_changes_nothing(made):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in made.directory.rglob("*") if path.is_file()
              and "tokens" not in path.parts and "state" not in path.parts}
    doctor(made)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before}
    assert before == after and not (made.directory / "store.sqlite").exists()


# --- configuration ---

def test_unreadable_configuration(copy, healthy):
    edit(copy, "avseald.toml", "threads = 2", "threads = 0")
    assert found(copy, healthy) == {"configuration-invalid": "error"}


def test_unreadable_worker_configuration(copy, healthy):
    edit(copy, f"tokend-{B}.toml", 'kind = "ledger"', 'kind = "ledgers"')
    assert found(copy, healthy) == {"configuration-invalid": "error"}


# --- tokens ---

def test_missing_token(copy, healthy):
    edit(copy, f"tokend-{A}.toml", f"token={A}", "token=nowhere")
    assert found(copy, healthy) == {"token-not-present": "error"}


def test_two_tokens_with_one_label(copy, healthy):
    softhsm.clone(copy.directory / "tokens", B, A)
    assert found(copy, healthy) == {"token-ambiguous": "error"}


def test_module_that_is_none(copy, healthy):
    edit(copy, f"tokend-{A}.toml", copy.module, "/usr/lib/x86_64-linux-gnu/libz.so.1")
    assert found(copy, healthy) == {"module-unusable": "error"}


def one_pin_of_its_own(copy, text, mode=0o600):
    """hsm-b gets a PIN file of its own."""
    path = copy.secrets / "pin-b"
    path.write_text(text)
    path.chmod(mode)
    edit(copy, f"tokend-{B}.toml", str(copy.secret("pin")), str(path))


def test_wrong_pin_is_tried_once(copy, healthy):
    one_pin_of_its_own(copy, "0" * 16)
    assert found(copy, healthy) == {"pin-incorrect": "error"}
    assert found(copy, healthy) == {"pin-count-low": "error"}, "the second time, nobody tries"


def test_burned_fuse(copy, healthy):
    """The PIN was refused before: it is not tried again, also where the token tells nothing of it."""
    tokens = copy.directory / "tokens"
    shutil.copytree(tokens, copy.directory / "tokens-before")
    one_pin_of_its_own(copy, "0" * 16)
    assert found(copy, healthy) == {"pin-incorrect": "error"}
    shutil.rmtree(tokens)
    shutil.move(copy.directory / "tokens-before", tokens)
    assert found(copy, healthy) == {"pin-burned": "error"}
    report = doctor(copy)
    assert not any(f["id"] == "pin-flags" and f["subject"] == B and f["severity"] != "ok" for f in report["findings"])


def test_damaged_fuse(copy, healthy):
    assert found(copy, healthy) == {}
    for fuse in (copy.directory / "state").glob("pin-*"):
        fuse.write_bytes(b"damaged\n")
    assert found(copy, healthy) == {"pin-fuse-unreadable": "error"}


def test_pin_file_that_everybody_reads(copy, healthy):
    one_pin_of_its_own(copy, copy.secret("pin").read_text(), 0o644)
    assert found(copy, healthy) == {"pin-unreadable": "error", "pin-file-mode": "error"}


def test_pin_file_that_a_group_reads(copy, healthy):
    one_pin_of_its_own(copy, copy.secret("pin").read_text(), 0o640)
    assert found(copy, healthy) == {"pin-file-mode": "warning"}


def test_pin_of_a_unit(copy, healthy):
    edit(copy, f"tokend-{B}.toml", f'pin_file = "{copy.secret("pin")}"', 'pin_credential = "pin"')
    assert found(copy, healthy) == {"pin-not-given": "warning"}
    assert found(copy, healthy, environment={"CREDENTIALS_DIRECTORY": str(copy.secrets)}) == {}


# --- profiles ---

PROFILE = 'profile = "softhsm2"'


def test_profile_of_another_module(copy, healthy):
    edit(copy, f"tokend-{A}.toml", PROFILE, 'profile = "thales-luna"')
    assert found(copy, healthy) == {"profile-module": "warning"}


def test_no_profile(copy, healthy):
    edit(copy, f"tokend-{A}.toml", PROFILE, "")
    report = doctor(copy)
    (advice,) = [f for f in report["findings"] if f["id"] == "profile-none"]
    assert advice["subject"] == A and 'profile = "softhsm2"' in advice["action"]
    (used,) = [f for f in report["findings"] if f["id"] == "profile"]
    assert used["subject"] == B and "verified" in used["found"] and "two workers" in used["action"]
    assert found(copy, healthy) == {}


# --- keys ---

def pkcs11_tool(copy, token, *arguments):
    done = subprocess.run(["pkcs11-tool", "--module", copy.module, "--token-label", token, "--login", "--pin", "env:PIN", *map(str, arguments)],
                          capture_output=True, text=True, env={**os.environ, **copy.environment, "PIN": copy.secret("pin").read_text()})
    assert done.returncode == 0, done.stderr
    return done.stdout


def delete_key(copy, token, label):
    kinds = ("secrkey",) if label == "dac-kek" else ("privkey", "pubkey")
    for kind in kinds:
        pkcs11_tool(copy, token, "--delete-object", "--type", kind, "--label", label)


def with_extra_key(copy):
    """hsm-a's worker has a key "extra" besides, which avseald does not know."""
    path = copy.worker_config(A)
    path.write_text(path.read_text() + '\n[[keys]]\nname = "extra"\nkind = "ledger"\nuri = "pkcs11:object=extra"\norigin = "a.example/extra"\n')


GENERATE = ("--keypairgen", "--key-type", "EC:prime256v1", "--label", "extra", "--id", "77", "--usage-sign")


def test_missing_key(copy, healthy):
    with_extra_key(copy)
    assert found(copy, healthy) == {"key-not-found": "error"}


def test_two_keys_with_one_label(copy, healthy):
    pkcs11_tool(copy, A, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "avatar-id", "--id", "77")
    assert found(copy, healthy) == {"key-ambiguous": "error"}


WIDE = {"key-usage-wide": "warning"}  # a tool that does not say what a key may not, gets it from the module


@pytest.mark.parametrize("options, expected", [((), WIDE), (("--extractable",), {**WIDE, "key-extractable": "error"})])
def test_key_made_by_another_tool(copy, healthy, options, expected):
    pkcs11_tool(copy, A, *GENERATE, *options)
    with_extra_key(copy)
    assert found(copy, healthy) == expected


def test_imported_key(copy, healthy):
    """It was in a file once: others may have it."""
    copy.pki.make_key("extra")
    der = copy.directory / "extra.der"
    pki.openssl("pkcs8", "-topk8", "-nocrypt", "-in", copy.pki.key("extra"), "-outform", "DER", "-out", der)
    public = copy.directory / "extra-public.der"
    pki.openssl("pkey", "-in", copy.pki.key("extra"), "-pubout", "-outform", "DER", "-out", public)
    for kind, file in (("privkey", der), ("pubkey", public)):
        pkcs11_tool(copy, A, "--write-object", file, "--type", kind, "--label", "extra", "--id", "77", *(("--usage-sign",) if kind == "privkey" else ()))
    with_extra_key(copy)
    assert found(copy, healthy) == {**WIDE, "key-imported": "warning", "key-was-readable": "warning", "key-was-extractable": "warning"}


def test_key_of_another_type(copy, healthy):
    pkcs11_tool(copy, A, "--keypairgen", "--key-type", "EC:secp521r1", "--label", "extra", "--id", "77", "--usage-sign")
    with_extra_key(copy)
    assert found(copy, healthy) == {**WIDE, "key-type": "error", "key-test-failed": "error"}


def test_public_key_of_another_pair(copy, healthy):
    pkcs11_tool(copy, A, *GENERATE)
    pkcs11_tool(copy, A, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "other", "--id", "78")
    public = copy.directory / "other.der"
    pkcs11_tool(copy, A, "--read-object", "--type", "pubkey", "--id", "78", "--output-file", public)
    pkcs11_tool(copy, A, "--delete-object", "--type", "pubkey", "--id", "77")
    pkcs11_tool(copy, A, "--write-object", public, "--type", "pubkey", "--label", "extra", "--id", "77")
    with_extra_key(copy)
    assert found(copy, healthy) == {**WIDE, "key-test-failed": "error"}


def test_keys_that_nobody_uses(copy, healthy):
    pkcs11_tool(copy, A, *GENERATE)
    report = doctor(copy)
    assert [f["subject"] for f in report["findings"] if f["id"] == "keys-unused"] == [A]


@pytest.mark.parametrize("label, expected", [
    ("dac-kek", {"replica-differs": "error"}), ("avatar-metadata", {"replica-differs": "error", "certificate-key-mismatch": "error"})])
def test_replica_that_is_another_key(copy, healthy, label, expected):
    delete_key(copy, B, label)
    copy.key_command("generate", "--kind", label, "--label", label, *copy.own_ledger(), token=B)
    assert found(copy, healthy) == expected


def test_token_that_does_not_offer_a_key(copy, healthy):
    path = copy.worker_config(B)
    path.write_text(re.sub(r'\[\[keys\]\]\nname = "ledger".*?(?=\n\[\[|\Z)', "", path.read_text(), flags=re.S))
    assert found(copy, healthy) == {"key-not-offered": "error"}
