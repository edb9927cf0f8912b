"""A SoftHSM token directory of one's own, used through `avseal` and looked at with other people's tools."""

import os
import pathlib
import re
import secrets
import subprocess

from demo import softhsm

LABEL = "cli-test"
TOKEN = f"pkcs11:token={LABEL}"


class Hsm:
    def __init__(self, directory, build):
        self.directory, self.bin = pathlib.Path(directory), pathlib.Path(build) / "bin"
        self.module = softhsm.find_module()
        self.pin, self.so_pin = secrets.token_hex(8), secrets.token_hex(8)
        (self.directory / "tokens").mkdir()
        template = (pathlib.Path(__file__).parents[2] / "pkcs11-config" / "softhsm2.conf").read_text()
        (self.directory / "softhsm2.conf").write_text(template.replace("@TOKENDIR@", str(self.directory / "tokens")))
        self.environment = {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf")}
        self.pin_file = self.file("pin", self.pin)
        self.so_pin_file = self.file("so-pin", self.so_pin)

    def file(self, name, text, mode=0o600):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def avseal(self, *arguments, environment=None):
        """No terminal, no PIN in the arguments; and none may come out."""
        arguments = list(map(str, arguments))
        assert not any(secret in text for secret in (self.pin, self.so_pin) for text in arguments)
        done = subprocess.run([self.bin / "avseal", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                              start_new_session=True, env={**os.environ, **self.environment, **(environment or {})})
        assert self.pin not in done.stdout + done.stderr and self.so_pin not in done.stdout + done.stderr
        assert "Sanitizer" not in done.stderr, done.stderr
        return done

    def good(self, *arguments, **options):
        done = self.avseal(*arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def bad(self, *arguments, **options):
        """Exit code 1 and one line that says what to do; nothing on stdout."""
        done = self.avseal(*arguments, **options)
        assert (done.returncode, done.stdout) == (1, ""), (done.returncode, done.stdout, done.stderr)
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("avseal: "), done.stderr
        return lines[0]

    def init(self, label=LABEL):
        return self.good("token", "init", "--module", self.module, "--label", label, "--pin-file", self.pin_file,
                         "--so-pin-file", self.so_pin_file)

    def key(self, command, *arguments, token=TOKEN, pin_file=None):
        """The arguments of `avseal key command` on this token; acts are recorded in a ledger beside it."""
        acts = ("generate", "import-certificate", "destroy")
        record = ("--ledger", self.directory / "ledger", "--origin", "a.example/cli") if command in acts else ()
        return ("key", command, *record, "--module", self.module, "--token", token, "--pin-file", pin_file or self.pin_file, *arguments)

    def pkcs11_tool(self, *arguments, check=True):
        done = subprocess.run(["pkcs11-tool", "--module", self.module, "--token-label", LABEL, "--login", "--pin", "env:PIN", *map(str, arguments)],
                              capture_output=True, text=True, env={**os.environ, **self.environment, "PIN": self.pin})
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def objects(self, kind):
        """What OpenSC says of the token's objects: by label, its lines as a dictionary."""
        found = {}
        for block in re.split(r"(?m)^(?=\S+.* Object)", self.pkcs11_tool("--list-objects", "--type", kind)):
            fields = dict(re.findall(r"(?m)^\s+(\w+):\s+(.*)$", block))
            if "label" in fields:
                assert fields["label"] not in found, "two objects with one label"
                found[fields["label"]] = {"title": block.splitlines()[0], **fields}
        return found
