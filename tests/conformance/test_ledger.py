"""The log of a real site, verified by code that is not ours: Go's sumdb packages, openssl and coreutils; and by ours."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from demo import call, curl, quickstart
from support.ledger import leaves, verify, vkey

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def go_verifier(tmp_path_factory):
    """Debian's golang-go and golang-golang-x-mod-dev, without any module of the network."""
    directory = tmp_path_factory.mktemp("go")
    program = directory / "verify_ledger"
    source = ROOT / "tests/conformance/ledger/verify_ledger.go"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(directory / "cache")}
    done = subprocess.run(["go", "build", "-o", program, source], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return lambda *arguments: subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def played(site):
    """A whole call was played, and more than one bundle of leaves written."""
    player = quickstart.Quickstart(site)
    try:
        assert player.play() == 0
        for _ in range(300):
            assert curl.client_of(site, "ims-as").get("/operations/v1/keys").status == 403
    finally:
        player.parties.stop()
    return site


@pytest.fixture(scope="module")
def log(played, tmp_path_factory):
    """A copy of the published log, whose last leaf its checkpoint covers, beside its verifier key."""
    client = curl.client_of(played, "operator")
    index = int(client.get("/operations/v1/clock").headers.get("avseal-ledger-index", 0))
    assert call.receipt(client, index).status == 200
    copy = tmp_path_factory.mktemp("log")
    shutil.copytree(played.ledger, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.leaves"))
    (copy / "ledger.vkey").write_text(vkey(played) + "\n")
    return copy


def test_go_verifies_log_and_receipts(played, log, go_verifier, directory):
    receipts = []
    for index in (0, 1, 255, 256, 300):
        answer = call.receipt(curl.client_of(played, "operator"), index)
        assert answer.status == 200, answer.text
        receipts.append(directory / f"{index}.tlog-proof")
        receipts[-1].write_bytes(answer.body)
    done = go_verifier(log, log / "ledger.vkey", *receipts)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is in the tree of") == len(receipts)
    size = int((log / "checkpoint").read_text().split("\n")[1])
    assert size > 300 and f"{size} leaves are in the tree" in done.stdout


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/0/000", "checkpoint"])
def test_both_refuse_an_altered_file(log, go_verifier, directory, played, path):
    copy = directory / "log"
    shutil.copytree(log, copy)
    data = bytearray((copy / path).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / path).write_bytes(data)
    assert go_verifier(copy, copy / "ledger.vkey").returncode == 1
    assert played.avseal("ledger", "verify", copy, "--vkey", copy / "ledger.vkey", check=False).returncode == 1


def test_the_shell_lines_of_the_guide(log):
    """docs/auditors.md, word for word."""
    guide = (ROOT / "docs/auditors.md").read_text()
    lines = guide.split("**Without our programs.**")[1].split("```")[1].strip()
    assert len(lines.splitlines()) == 4
    done = subprocess.run(["sh", "-e"], input=lines, cwd=log, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "Verified OK\n", done.stderr
    altered = lines.replace("head -n 3 checkpoint > text", "head -n 3 checkpoint | tr 0-8 1-9 > text")
    assert subprocess.run(["sh", "-e"], input=altered, cwd=log, capture_output=True, text=True).returncode != 0


def test_the_auditor_s_walk_of_the_guide(played, directory):
    """docs/auditors.md, word for word, and its last line again after the log has grown."""
    guide = (ROOT / "docs/auditors.md").read_text()
    lines = guide.split("## Verifying the log")[1].split("```")[1].strip().splitlines()
    assert len(lines) == 4 and "--since seen --save-checkpoint seen" in lines[-1]
    (directory / "run").symlink_to(played.directory)
    run = lambda commands: subprocess.run(["sh", "-e"], input="\n".join(commands), cwd=directory, capture_output=True, text=True)
    done = run(lines)
    assert done.returncode == 0 and done.stdout.count("verdict   good") == 2, done.stdout + done.stderr
    seen = (directory / "seen").read_text()
    index = int(curl.client_of(played, "ims-as").get("/operations/v1/keys").headers["avseal-ledger-index"])
    assert call.receipt(curl.client_of(played, "operator"), index).status == 200
    done = run([*lines[:2], lines[-1]])
    assert done.returncode == 0 and "checkpoint-continued" in done.stdout and "numbers-not-judged" not in done.stdout, done.stdout + done.stderr
    assert (directory / "seen").read_text() != seen
    (directory / "seen").write_text(seen.replace("\n", "\n1", 1))
    done = run([*lines[:2], lines[-1]])
    assert done.returncode == 1 and "checkpoint-unsigned" in done.stdout, "an altered one is not taken for the auditor's"


def test_ours_over_https_and_from_a_checkpoint(played, directory):
    options = (*played.operator_options(), "--vkey", vkey(played))
    first = played.avseal("ledger", "verify", *options, "--save-checkpoint", directory / "seen", "--json")
    seen = json.loads(first.stdout)
    assert seen["good"] and seen["read"] == seen["size"] > 300 and seen["signatures"] > 0
    curl.client_of(played, "ims-as").get("/operations/v1/keys")
    again = played.avseal("ledger", "verify", *options, "--since", directory / "seen", "--json")
    later = json.loads(again.stdout)
    assert later["good"] and later["read"] == later["size"] - seen["size"]
    ids = [finding["id"] for finding in later["findings"]]
    assert "checkpoint-continued" in ids


def test_export_proves_itself(played, directory):
    out = directory / "export"
    done = played.avseal("ledger", "export", *played.operator_options(), "--vkey", vkey(played), "--from", 10, "--to", 290, "--out", out)
    assert "manifest signed by the node" in done.stdout
    assert len((out / "entries.jsonl").read_text().splitlines()) == 280
    check = lambda *arguments: played.avseal("ledger", "verify", out, "--vkey", vkey(played), *arguments, check=False)
    checked = json.loads(check("--export", "--json").stdout)
    assert checked["good"] and checked["read"] == 280 and checked["export"] == {"from": 10, "to": 290}
    held = check("--export", "--checkpoint", out / "checkpoint")
    assert held.returncode == 0 and "checkpoint-continued" in held.stdout and "good, of leaves 10 to 289 alone" in held.stdout
    unasked = check()
    assert unasked.returncode == 2 and "--export" in unasked.stderr, "a part is never taken for the log"
    for option in ("--since", "--save-checkpoint"):
        assert check("--export", option, out / "checkpoint").returncode not in (0, 1, 2)
    commands = "".join(line[4:] for line in (out / "README").read_text().splitlines(keepends=True) if line.startswith("    "))
    by_hand = subprocess.run(["sh", "-e"], input=commands, cwd=out, capture_output=True, text=True)
    assert by_hand.returncode == 0, by_hand.stderr
    certificates = list((out / "certificates").iterdir())
    assert len(certificates) >= 4 and by_hand.stdout.splitlines().count("OK") == 5 + len(certificates), by_hand.stdout
    digest = done.stdout.strip().rpartition(" ")[2]
    exported = [leaf for leaf in leaves(played.ledger) if leaf["event"] == "ledger.export"][-1]
    assert (exported["details"]["from"], exported["details"]["to"]) == (10, 290)
    assert call.b64url(bytes.fromhex(digest)) == exported["details"]["digest"]


def test_the_log_of_a_killed_node(played):
    """What was in flight when the node was killed is told apart from what is missing."""
    played.running["avseald"].kill()
    played.running["avseald"].wait()
    played.start_service()
    found = verify(played)
    assert "run-not-stopped" in [finding["id"] for finding in found["findings"]]


def test_a_whole_run_from_start_to_stop(played):
    assert played.stop() == 0
    found = verify(played)
    assert found["awaiting"] == 0 or found["size"] > 0
    last = leaves(played.ledger)[-1]
    assert last["event"] == "ledger.stop" and last["index"] + 1 == found["size"] + found["awaiting"]
    played.start()
