"""A software TPM (swtpm) with endorsement certificates of its own test CA."""

import pathlib
import subprocess

from . import attestation, processes


def provision(directory, authority, platform_model="XR-UE-1"):
    """Makes the TPM's state and EK certificates below `directory`; `authority` is the CA's directory, shared by TPMs."""
    directory, authority = pathlib.Path(directory), pathlib.Path(authority)
    for path in (directory / "state", directory / "certs", authority):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "localca.conf").write_text(
        f"statedir = {authority}\nsigningkey = {authority}/signkey.pem\nissuercert = {authority}/issuercert.pem\n"
        f"certserial = {authority}/certserial\n")
    (directory / "localca.options").write_text(
        f"--platform-manufacturer ExampleMaker\n--platform-version 2.1\n--platform-model {platform_model}\n")
    (directory / "setup.conf").write_text(
        "create_certs_tool = /usr/bin/swtpm_localca\n"
        f"create_certs_tool_config = {directory}/localca.conf\ncreate_certs_tool_options = {directory}/localca.options\n"
        "active_pcr_banks = sha256\n")
    done = subprocess.run(
        ["swtpm_setup", "--tpm2", "--tpmstate", directory / "state", "--config", directory / "setup.conf",
         "--create-ek-cert", "--create-platform-cert", "--lock-nvram", "--write-ek-cert-files", directory / "certs",
         "--overwrite", "--logfile", directory / "setup.log"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"swtpm_setup failed; its log is {directory}/setup.log: {done.stderr.strip()}")


def manifest_entries(directory, serial, model="XR-UE-1", batch="2026-11"):
    """What the device's maker says of it: one entry for each EK of its TPM."""
    return [(attestation.device_id(path), serial, model, batch) for path in sorted((pathlib.Path(directory) / "certs").glob("*.crt"))]


def socket_path(directory):
    """At most 102 bytes, so that the path of the control socket fits too."""
    path = f"{directory}/s"
    if len(path) > 102:
        raise RuntimeError(f"the path of the TPM's socket is too long ({len(path)} > 102 bytes): {path}")
    return path


def tcti(directory):
    return f"swtpm:path={socket_path(directory)}"


def start(directory, detached=False):
    path = socket_path(directory)
    for stale in (path, f"{path}.ctrl"):
        pathlib.Path(stale).unlink(missing_ok=True)
    log = f"{directory}/swtpm.log"
    process = processes.start(
        ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={directory}/state", "--server", f"type=unixio,path={path},mode=0600",
         "--ctrl", f"type=unixio,path={path}.ctrl,mode=0600", "--flags", "startup-clear"], log, detached=detached)
    both = lambda: pathlib.Path(path).exists() and pathlib.Path(f"{path}.ctrl").exists()
    processes.wait_until(both, process, log, "swtpm")
    return process
