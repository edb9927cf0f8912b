"""`avseal drill`, shortly: a table and a file on a site with faults, a refusal of a site without, a verdict that can be bad."""

import json
import os
import subprocess

import pytest

from demo import call, quickstart
from support.software_ue import SoftwareUe

SITE_FAULTS = True
ROWS = ("sessions", "removed", "crash", "wrong-signature", "start-hashing")


@pytest.fixture(scope="module")
def prepared(site):
    assert call.subscribe(site).status == 201
    quickstart.write_template(site, SoftwareUe(site).fingerprint())
    return site


def drill(site, *arguments, faults=None):
    pki = site.pki
    return subprocess.run([site.bin / "avseal", "drill", "--url", site.url, "--cacert", pki.pem("tls-ca"), "--cert", pki.pem("operator"),
                           "--key", pki.key("operator"), "--ims-as-cert", pki.pem("ims-as"), "--ims-as-key", pki.key("ims-as"),
                           "--signing", site.directory / "signing-request.json", "--faults", faults or site.faults, "--connections", "1",
                           *map(str, arguments)], capture_output=True, text=True, timeout=240)


def test_drill(prepared):
    report = prepared.directory / "drill.json"
    config = prepared.directory / "avseald.toml"
    done = drill(prepared, *(word for row in ROWS for word in ("--row", row)), "--json", report, "--config", config)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout
    filed = json.loads(report.read_text())
    assert filed["passed"] and filed["replicas"] and filed["disturbed"] == "hsm-a"
    assert filed["service"]["version"] == filed["avseal"] and filed["begun"] < filed["ended"]
    assert filed["held_by"]["uid"] == os.getuid() and filed["held_by"]["host"]
    assert [file["file"] for file in filed["configuration"]] == [str(config)] and len(filed["configuration"][0]["sha256"]) == 64
    rows = {row["row"]: row for row in filed["rows"]}
    assert set(rows) == set(ROWS)
    for row in rows.values():
        assert row["verdict"] == "kept" and row["failed"] == 0 and row["sent"] == row["answered"] > 0
    assert rows["wrong-signature"]["discarded_attempts"] >= 1
    assert (prepared.faults / "rules").read_text() == ""


def test_refuses_a_site_without_faults(prepared, directory):
    done = drill(prepared, faults=directory)
    assert done.returncode == 2
    assert "no worker of" in done.stderr and "AVSEAL_FAULTS" in done.stderr


def test_unknown_row(prepared):
    done = drill(prepared, "--row", "earthquake")
    assert done.returncode == 2
    assert "rows are sessions" in done.stderr
