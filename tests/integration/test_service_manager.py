"""avseald and avseal-tokend under a service manager: notifications, watchdog, socket activation, credentials, journal, units."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from demo import call, curl, processes, site as demo_site
from support import service_manager
from support.software_ue import SoftwareUe

SITE_TOKENS = demo_site.TOKENS[:1]
WORKER = f"tokend-{SITE_TOKENS[0]}.toml"
SYSTEMD = pathlib.Path(__file__).parents[2] / "systemd"


@pytest.fixture
def manager(directory):
    manager = service_manager.Manager(directory / "notify")
    yield manager
    manager.close()


@pytest.fixture
def edited(stopped_site):
    """The site, whose configuration a test may change."""
    names = ("avseald.toml", WORKER)
    good = {name: (stopped_site.directory / name).read_text() for name in names}
    for name in ("sockets", "state"):
        (stopped_site.directory / name).mkdir(mode=0o700, exist_ok=True)
    yield stopped_site
    for name in names:
        (stopped_site.directory / name).write_text(good[name])


def edit(site, name, old, new):
    path = site.directory / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.fixture
def start(directory):
    """Starts a command with its log in `directory`; all end with the test."""
    running = []

    def run(command, environment):
        log = directory / f"{len(running)}.log"
        running.append(processes.start(command, log, environment))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            processes.stop(process)


def avseald(site):
    return [site.bin / "avseald", "--config", site.directory / "avseald.toml"]


def tokend(site):
    return [site.bin / "avseal-tokend", "--config", site.directory / WORKER]


def listens(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def check_life(process, manager, ready):
    """READY=1 when it can be reached, beats while it runs and only then, STOPPING=1 and exit code 0 on SIGTERM."""
    manager.wait_for("READY=1", process)
    assert ready()
    for _ in range(2):
        manager.wait_for("WATCHDOG=1", process)

    process.send_signal(signal.SIGSTOP)
    processes.wait_until(lambda: service_manager.is_stopped(process.pid), process, "", "the stopped service")
    manager.drop()
    assert manager.next(10 * manager.beat) == (None, None)
    process.send_signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG=1", process)

    process.terminate()
    manager.wait_for("STOPPING=1", process)
    assert process.wait(60) == 0


def test_avseald_tells_its_life(edited, manager, start):
    process = start(avseald(edited), {**edited.environment, **manager.environment})
    check_life(process, manager, lambda: processes.accepts(edited.port) and curl.nobody(edited).get("/livez").status == 200)


def test_tokend_tells_its_life(edited, directory, manager, start):
    path = directory / "worker.sock"
    process = start([*tokend(edited), "--socket", path], {**edited.environment, **manager.environment})
    check_life(process, manager, lambda: listens(path))


def test_no_ready_from_what_cannot_serve(edited, manager, start):
    edit(edited, WORKER, 'kind = "ledger"', 'kind = "nonsense"')
    for command in (avseald(edited), [*tokend(edited), "--socket", edited.directory / "sockets" / "x"]):
        process = start(command, {**edited.environment, **manager.environment})
        assert process.wait(60) != 0
        message = manager.next(0)[0]
        while message is not None:
            assert b"READY=1" not in message
            message = manager.next(0)[0]


@pytest.fixture
def credentials(edited, directory):
    """As systemd leaves LoadCredential=pin: one file in a directory that $CREDENTIALS_DIRECTORY names."""
    path = directory / "credentials"
    path.mkdir(mode=0o700)
    shutil.copy(edited.secret("pin"), path / "pin")
    edit(edited, WORKER, f'pin_file = "{edited.secret("pin")}"', 'pin_credential = "pin"')
    return {"CREDENTIALS_DIRECTORY": str(path)}


def test_socket_activation_with_the_pin_as_credential(edited, directory, credentials, start):
    """systemd's own socket activation starts the worker when avseald connects, and avseald signs through it."""
    path = directory / "activated.sock"
    passed = {**edited.environment, **credentials}
    if "ASAN_OPTIONS" in os.environ:
        passed["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]
    settings = [f"--setenv={name}={value}" for name, value in passed.items()]
    worker = start(["systemd-socket-activate", f"--listen={path}", *settings, *tokend(edited)], {})
    processes.wait_until(path.exists, worker, directory / "0.log", "systemd-socket-activate")

    edit(edited, "avseald.toml", f'spawn = 1\nworker_config = "{edited.worker_config(SITE_TOKENS[0])}"', f'sockets = ["{path}"]')
    edited.start_service()
    try:
        assert call.subscribe(edited).status in (200, 201)
        signed = call.sign(edited, call.signing_request(SoftwareUe(edited).fingerprint()))
        assert signed.status == 200, signed.text
        assert pathlib.Path(f"/proc/{worker.pid}/comm").read_text().strip() == "avseal-tokend"
    finally:
        assert edited.stop() == 0


def test_missing_credential(edited, credentials, directory, start):
    (directory / "credentials" / "pin").unlink()
    process = start([*tokend(edited), "--socket", directory / "worker.sock"], {**edited.environment, **credentials})
    assert process.wait(60) == 2
    assert "credential" in processes.last_line(directory / "0.log")


def test_more_than_one_inherited_socket(edited, directory, start):
    command = ["systemd-socket-activate", *(f"--listen={directory}/{name}" for name in "ab"),
               *(f"--setenv={name}={value}" for name, value in edited.environment.items()), *tokend(edited)]
    process = start(command, {})
    processes.wait_until((directory / "b").exists, process, directory / "0.log", "systemd-socket-activate")
    assert listens(directory / "a")
    assert process.wait(60) != 0
    assert "exactly one" in processes.last_line(directory / "0.log")


def test_journal_entries_are_structured(edited, directory, start):
    (directory / "journal").mkdir()
    journal = service_manager.Journal(directory / "journal" / "socket")
    edit(edited, "avseald.toml", 'target = "stderr"', 'target = "journal"')
    process = start(service_manager.with_journal(directory / "journal", avseald(edited)), edited.environment)
    log = directory / "0.log"
    try:
        processes.wait_until(lambda: processes.accepts(edited.port), process, log, "avseald in a mount namespace of its own")
        answer = curl.client_of(edited, "feeder").post("/stir/v1/signing", json_body={}, headers={"X-Request-Id": "journal-1"})
        assert answer.status == 403
        process.terminate()
        assert process.wait(60) == 0
    except processes.NotReady as e:
        pytest.fail(f"{e}; this test needs `unshare --mount` (`unshare -rm` where it is not root). {log.read_text()}")
    finally:
        entries = journal.close()
    assert all({"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"} <= entry.keys() and entry["SYSLOG_IDENTIFIER"] == "avseald" for entry in entries)
    assert {entry.get("AVSEAL_EVENT") for entry in entries} >= {"ready", "refused", "draining", "stopped"}
    refusal = next(entry for entry in entries if entry.get("AVSEAL_REQUEST_ID") == "journal-1")
    assert refusal["AVSEAL_EVENT"] == "refused" and refusal["AVSEAL_REASON"] == "client-role" and refusal["AVSEAL_STATUS"] == "403"
    assert refusal["AVSEAL_CLIENT"] == "feeder-1" and refusal["PRIORITY"] == "6"
    assert "reason=client-role" in refusal["MESSAGE"]
    pin = edited.secret("pin").read_text()
    assert not any(pin in value for entry in entries for value in entry.values())


def units(site, directory):
    """The units, naming the built programs."""
    for unit in (*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.target"), *SYSTEMD.glob("*.timer")):
        (directory / unit.name).write_text(unit.read_text().replace("/usr/bin/", f"{site.bin}/"))
    return sorted(directory.glob("*.[st]*"))


def test_units_are_valid(stopped_site, directory):
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", *units(stopped_site, directory)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["avseald.service", "avseal-tokend@.service", "avseal-ue-renew.service", "avseal-ledger-verify@.service", "avseal-witness.service"])
def test_units_are_hardened(stopped_site, directory, unit):
    units(stopped_site, directory)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", directory / unit], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_and_directories(directory):
    (directory / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={directory}", SYSTEMD / "sysusers.d" / "avseal.conf"], check=True, capture_output=True)
    groups = dict(line.split(":")[::3] for line in (directory / "etc" / "group").read_text().splitlines())
    assert set(groups["avseal-hsm"].split(",")) == {"avseald", "avseal-tokend"}
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={directory}", SYSTEMD / "tmpfiles.d" / "avseal.conf"], check=True, capture_output=True)
    assert (directory / "etc" / "avseal" / "credentials").stat().st_mode & 0o777 == 0o700
    assert (directory / "var" / "lib" / "avseal" / "ledger").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["avseal-auditor", "avseal-witness"])
def test_users_of_other_machines(directory, name):
    (directory / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={directory}", SYSTEMD / "sysusers.d" / f"{name}.conf"], check=True, capture_output=True)
    assert any(line.startswith(f"{name}:") for line in (directory / "etc" / "passwd").read_text().splitlines())
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={directory}", SYSTEMD / "tmpfiles.d" / f"{name}.conf"], check=True, capture_output=True)
    assert (directory / "etc" / name).stat().st_mode & 0o777 == 0o750
    assert (directory / "var" / "lib" / name).stat().st_mode & 0o777 == 0o700
