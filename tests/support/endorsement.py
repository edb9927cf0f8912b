"""A P-256 endorsement certificate, which swtpm_setup does not make."""

import os
import subprocess

import yaml

from demo import tpm

INDEX = "0x01C0000A"  # TCG EK Credential Profile, ECC P-256


def add_p256(directory):
    """Certifies the P-256 EK of the running TPM in `directory` and writes it where the TCG wants it."""
    environment = {**os.environ, "TPM2TOOLS_TCTI": tpm.tcti(directory)}

    def run(*command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, cwd=directory)
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        return done.stdout

    run("tpm2_createek", "-c", "ek.ctx", "-G", "ecc", "-u", "ek.pub")
    run("tpm2_flushcontext", "-t")
    point = yaml.safe_load(run("tpm2_readpublic", "-c", "ek.ctx"))
    run("tpm2_flushcontext", "-t")
    certificate = directory / "certs" / "ek-p256.crt"
    made = directory / "p256"
    made.mkdir()
    run("swtpm_localca", "--type", "ek", "--ek", f"x={point['x']},y={point['y']},id=secp256r1", "--dir", made, "--tpm2", "--tpm-spec-family", "2.0",
        "--tpm-spec-level", 0, "--tpm-spec-revision", 164, "--tpm-manufacturer", "id:00001014", "--tpm-model", "swtpm", "--tpm-version",
        "id:20191023", "--configfile", directory / "localca.conf", "--optsfile", directory / "localca.options", "--vmid", "unknown")
    (made / "ek.cert").rename(certificate)
    run("tpm2_nvdefine", "-Q", INDEX, "-C", "p", "-s", certificate.stat().st_size, "-a",
        "ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine")
    run("tpm2_nvwrite", "-Q", INDEX, "-C", "p", "-i", certificate)
    run("tpm2_nvwritelock", "-C", "p", INDEX)
