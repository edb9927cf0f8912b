"""`avseal witness` beside a site, and a site that asks it."""

import re
import signal
import subprocess
import time

from demo import site as demo_site
from support import notes


class Witness:
    """A witness of its own, as `avseal witness` runs it."""

    def __init__(self, site, name):
        self.site, self.directory = site, site.directory / name
        self.key = notes.Key.parse(site.avseal("witness", "init", "--directory", self.directory, "--name", f"{name}.example").stdout)
        self.port, self.process = 0, None

    def start(self, *logs):
        lines = "".join(f"log {vkey}\n" for vkey in logs) + "quorum none\n"
        (self.directory / "logs").write_text(lines)
        p = self.site.pki
        self.process = subprocess.Popen(
            [self.site.bin / "avseal", "witness", "run", "--directory", self.directory, "--logs", self.directory / "logs",
             "--port", str(self.port), "--cert", p.pem("server"), "--key", p.key("server")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.port = int(re.search(r"https://127.0.0.1:(\d+)", self.process.stdout.readline())[1])
        return self

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=20) == 0

    def ask(self, body):
        answer = subprocess.run(
            ["curl", "-sS", "--cacert", self.site.pki.pem("tls-ca"), "--data-binary", "@-", "-w", "\n%{http_code} %{content_type}",
             self.url + "/add-checkpoint"], input=body, capture_output=True, text=True, check=True).stdout
        text, _, last = answer.rpartition("\n")
        status, _, content_type = last.partition(" ")
        return int(status), content_type, text


def configure(site, *witnesses):
    path = site.directory / "avseald.toml"
    text = path.read_text().replace("[ledger]\n", "[ledger]\nwitness_alarm_seconds = 1\n")
    for witness in witnesses:
        text += f'\n[[witnesses]]\nurl = "{witness.url}"\nvkey = "{witness.key.vkey()}"\ncacert = "{site.pki.pem("tls-ca")}"\n'
    path.write_text(text)


def log_key(site, year=None):
    """The verifier key of the site's log of a year."""
    return notes.Key.of_certificate(f"{demo_site.ORIGIN}/{year or time.gmtime().tm_year}", site.pki.pem("ledger"))
