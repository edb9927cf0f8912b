"""avseal-ue and a software TPM, as tests use them."""

import base64
import ctypes
import json
import os
import signal
import socket
import subprocess
import time

PROGRAM = os.path.join(os.environ["AVSEAL_BUILD"], "bin", "avseal-ue")
UE_EKU = "2.25.181263912817466153470291734926715501337"


def die_with_parent():
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)


class Swtpm:
    def __init__(self, directory):
        self.directory = directory
        self.socket = os.path.join(directory, "s")
        os.makedirs(os.path.join(directory, "state"), exist_ok=True)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.directory}/state",
             "--server", f"type=unixio,path={self.socket},mode=0600",
             "--ctrl", f"type=unixio,path={self.socket}.ctrl,mode=0600",
             "--flags", "startup-clear", "--log", f"file={self.directory}/log"],
            preexec_fn=die_with_parent)
        deadline = time.monotonic() + 20
        while not self.answers():
            assert time.monotonic() < deadline and self.process.poll() is None, "swtpm did not start"
            time.sleep(0.005)

    def answers(self):
        for path in (self.socket, self.socket + ".ctrl"):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(path) != 0:
                    return False
        return True

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            for path in (self.socket, self.socket + ".ctrl"):
                if os.path.exists(path):
                    os.unlink(path)

    @property
    def tcti(self):
        return f"swtpm:path={self.socket}"

    def tool(self, *command):
        return subprocess.run(command, env=dict(os.environ, TPM2TOOLS_TCTI=self.tcti), cwd=self.directory,
                              capture_output=True, text=True, check=True, timeout=60).stdout


class Device:
    def __init__(self, tpm, state):
        self.tpm = tpm
        self.state = state

    def run(self, *arguments, stdin=None, tcti=None):
        return subprocess.run([PROGRAM, "--tcti", tcti or self.tpm.tcti, "--state", self.state, *arguments],
                              input=stdin, capture_output=True, text=True, timeout=60)

    def ok(self, *arguments, **more):
        result = self.run(*arguments, **more)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def fails(self, *arguments, reason, **more):
        result = self.run(*arguments, **more)
        assert result.returncode == 1, (result.stdout, result.stderr)
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("avseal-ue: ") and last.endswith(f"[{reason}]"), last
        assert result.stdout == "" or arguments[0] == "status"
        return last


def segment(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
