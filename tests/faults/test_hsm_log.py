"""The ledger against the HSMs' own logs: every signature that the tokens made, of which the fault module knows, is in the ledger or one of the
workers' test signatures; one that was made past avseal is found, and so is a log that was altered."""

import json
import pathlib
import re

import pytest

from demo import call, site as demo_site
from support import hsm_log, ledger
from support.faults import Faults
from support.load import wait_until
from support.software_ue import SoftwareUe

SITE_FAULTS = True
OBJECTS = {kind: 0x0101 + number for number, kind in enumerate(demo_site.KINDS) if kind != "dac-kek"}
PROFILES = pathlib.Path(__file__).parents[2] / "pkcs11-config" / "profiles"
SIGNED = 130  # on both tokens together; a log has room for 62 entries


@pytest.fixture(scope="module")
def ended(stopped_site):
    """A site that signed and was stopped."""
    Faults(stopped_site.faults).add("record-uses")
    stopped_site.start()
    assert call.subscribe(stopped_site).status == 201
    alice = SoftwareUe(stopped_site)
    for _ in range(SIGNED):
        assert call.sign(stopped_site, call.signing_request(alice.fingerprint())).status == 200
    wait_until(lambda: ledger.size(stopped_site.ledger) == len(ledger.leaves(stopped_site.ledger)))  # nothing but ledger.stop is to be signed still
    assert stopped_site.stop() == 0
    return stopped_site


@pytest.fixture(scope="module")
def tests(ended):
    """What the workers say that they signed for tests, and the checkpoint of ledger.stop, of which the next start would tell."""
    told = re.findall(r"event=ended test_signatures=(\d+)", (ended.log / "avseald.log").read_text())
    assert len(told) == len(ended.tokens)
    return sum(map(int, told)) + 1


def logs(site):
    """Each token's log, as a list of entries."""
    by_token = {token: [] for token in site.tokens}
    for line in (site.faults / "uses").read_text().splitlines():
        token, label = line.split(" ")
        by_token[token].append(OBJECTS[label])
    return [hsm_log.items(objects, bytes([number]) * 16) for number, objects in enumerate(by_token.values())]


def write(directory, logs):
    """A file for each output, one token's after the other."""
    files = []
    for lines in logs:
        for text in hsm_log.outputs(lines):
            files.append(directory / f"log-{len(files):03}.txt")
            files[-1].write_text(text)
    return files


def run(site, files, tests, *arguments, profile="yubihsm2", of=None):
    keys = [f"--hsm-key={kind}={number:#06x}" for kind, number in OBJECTS.items()]
    return site.avseal("ledger", "verify", of or site.ledger, "--vkey", ledger.vkey(site), "--json", "--hsm-profile", profile, "--profile-directory", PROFILES,
                       "--hsm-tests", tests, *keys, *arguments, "--hsm-log", *files, check=False)


def errors(done):
    assert done.returncode == 1, done.stdout + done.stderr
    return [finding["id"] for finding in json.loads(done.stdout)["findings"] if finding["severity"] == "error"]


def test_every_signature_is_in_the_ledger_or_a_test(ended, directory, tests):
    both = logs(ended)
    files = write(directory, both)
    assert len(files) >= 3
    done = run(ended, files, tests)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)["hsm_log"]
    assert seen["logs"] == 2 and seen["entries"] == sum(map(len, both))
    counts = {count["key"]: count for count in seen["keys"]}
    assert counts["avatar-id"]["in_ledger"] == SIGNED and counts["avatar-id"]["object"] == OBJECTS["avatar-id"]
    assert sum(count["in_hsm"] - count["in_ledger"] for count in counts.values()) == tests
    assert errors(run(ended, files, tests - 1)) == ["hsm-signatures-more"]


def test_signature_past_avseal_is_found(ended, directory, tests):
    """Of a certificate request that somebody makes with the HSM's PIN."""
    uses, before = ended.faults / "uses", (ended.faults / "uses").read_text()
    try:
        ended.avseal("key", "csr", "--module", ended.workers_module, "--token", demo_site.token_uri("hsm-b"), "--pin-file", ended.secret("pin"),
                     "--label", "avatar-id", "--subject", "somebody else")
        files = write(directory, logs(ended))
        made = uses.read_text().removeprefix(before).count("hsm-b avatar-id\n")
    finally:
        uses.write_text(before)
    assert made >= 1
    assert errors(run(ended, files, tests)) == ["hsm-signatures-more"]
    assert errors(run(ended, files, tests + made - 1)) == ["hsm-signatures-more"]
    assert run(ended, files, tests + made).returncode == 0


def test_altered_and_missing_entries_are_found(ended, directory, tests):
    first, second = logs(ended)
    at = next(i for i, line in enumerate(second) if i > 4 and f"target key: {OBJECTS['avatar-id']:#06x}" in line)
    assert errors(run(ended, write(directory, [first, second[:at] + second[at + 1:]]), tests)) == ["hsm-log-broken"]
    assert errors(run(ended, write(directory, [first, second[1:]]), tests)) == ["hsm-log-broken"]
    altered = second[at].replace(f"{OBJECTS['avatar-id']:#06x}", f"{OBJECTS['ledger']:#06x}")
    assert errors(run(ended, write(directory, [first, [*second[:at], altered, *second[at + 1:]]]), tests)) == ["hsm-log-broken"]
    missing = errors(run(ended, write(directory, [first]), tests))
    assert missing and set(missing) == {"hsm-signatures-missing"}


def test_what_cannot_be_compared_says_why(ended, directory, tests):
    files = write(directory, logs(ended))
    no_log = run(ended, files, tests, profile="softhsm2")
    assert no_log.returncode == 2 and "own_log" in no_log.stderr and no_log.stdout == ""
    since = run(ended, files, tests, "--since", ended.ledger / "checkpoint")
    assert since.returncode not in (0, 1, 2) and "--since" in since.stderr
    twice = run(ended, files, tests, "--hsm-key", "other=0x0101")
    assert twice.returncode == 2 and "each object once" in twice.stderr
    ended.avseal("ledger", "export", ended.ledger, "--vkey", ledger.vkey(ended), "--from", 10, "--to", 20, "--out", directory / "part")
    part = run(ended, files, tests, "--export", of=directory / "part")
    assert part.returncode == 2 and "expected all of the node's log" in part.stderr and json.loads(part.stdout)["good"]
    form = run(ended, files, tests, "--hsm-key", "other=257")
    assert form.returncode == 2 and "NAME=0xID" in form.stderr
