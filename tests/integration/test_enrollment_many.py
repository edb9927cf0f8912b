"""Many devices, each with a TPM set up for itself, enroll at the same time. AVSEAL_DEVICES says how many (100)."""

import concurrent.futures
import json
import os

import pytest

from demo import call, processes, tpm
from support import ledger
from support.jose import load_certificate

DEVICES = int(os.environ.get("AVSEAL_DEVICES", "100"))


@pytest.fixture(scope="module")
def stopped_site(stopped_site):
    """A site that takes any rate of enrolments from one address: all devices are on this machine."""
    configuration = stopped_site.directory / "avseald.toml"
    configuration.write_text(configuration.read_text().replace("[enrollment]\n", "[enrollment]\nattempts_per_minute = 1000000\n"))
    return stopped_site


def in_parallel(work, items, at_once):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, items))


def test_nothing_is_lost_or_doubled(site):
    names = [f"many-{number}" for number in range(DEVICES)]
    tpms = {name: site.directory / f"m{number}" for number, name in enumerate(names)}
    in_parallel(lambda name: tpm.provision(tpms[name], site.directory / "tpm-authority"), names, 2 * os.cpu_count())
    running = [tpm.start(tpms[name]) for name in names]
    try:
        site.attestation.write_manifest([entry for name in names for entry in tpm.manifest_entries(tpms[name], name)], version=2)
        call.import_manifest(site)
        ues = [call.Ue(site, state=site.directory / f"ue-{name}", tpm_directory=tpms[name], impu=f"sip:{name}@a.example", serial=name) for name in names]
        codes = in_parallel(lambda ue: call.invite(site, ue.impu), ues, os.cpu_count())
        done = in_parallel(lambda pair: pair[0].enroll(code=pair[1], check=False), list(zip(ues, codes)), DEVICES)
        assert "\n".join(run.stderr for run in done if run.returncode != 0) == ""
    finally:
        for process in running:
            process.kill()
            processes.stop(process)

    listed = json.loads(site.avseal("device", "list", *site.operator_options(), "--json").stdout)
    assert sorted(device["state"] for device in listed) == ["active"] * DEVICES
    held = {load_certificate(ue.certificate_file()).serial_number for ue in ues}
    issued = [int(leaf["details"]["serial"], 16) for leaf in ledger.leaves(site.ledger)
              if leaf["event"] == "issue.ue-certificate" and leaf["outcome"] == "released"]
    assert len(held) == DEVICES and held <= set(issued)
    assert len(issued) == len(set(issued))  # those beyond were issued too late for their requests, and asked for again
