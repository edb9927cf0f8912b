"""Processes of a demo site: started, waited for, ended by pid."""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time


class NotReady(RuntimeError):
    """A process ended, or did not answer in time; the text says which and why."""


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start(arguments, log, environment=None, detached=False, directory=None):
    """Starts a process, in `directory`, whose output goes to the file `log`. A detached one outlives us, others end with us."""
    with open(log, "ab") as out:
        return subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory,
                                env={**os.environ, **(environment or {})}, start_new_session=detached,
                                preexec_fn=None if detached else _die_with_parent)


def wait_until(ready, process, log, what, seconds=30):
    """Polls `ready` until it is true; raises NotReady when the process ended or time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        if process is not None and process.poll() is not None:
            raise NotReady(f"{what} ended with exit code {process.returncode}: {last_line(log)}")
        time.sleep(0.01)
    raise NotReady(f"{what} was not ready after {seconds} s; its log is {log}")


def last_line(log):
    lines = pathlib.Path(log).read_text(errors="replace").strip().splitlines() if pathlib.Path(log).exists() else []
    return lines[-1] if lines else "no output"


def stop(process, seconds=20):
    """SIGTERM, then SIGKILL; gives the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def stop_pid(pid, name, seconds=20):
    """Ends a process that an earlier run of ours left running, if `pid` is still that program."""
    try:
        if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() != name[:15]:
            return
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while time.monotonic() < end and pathlib.Path(f"/proc/{pid}").exists():
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """A loopback port that nothing uses, below the kernel's own range so that no connection takes it meanwhile."""
    for _ in range(200):
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free loopback port found")
