"""Rules for the fault-injecting PKCS#11 module, and what it notes. tests/faults/module/rules.hpp describes the rules, facts.hpp
the facts.

    faults = Faults(directory)                 # AVSEAL_FAULTS of the workers
    with faults.rule("removed token=hsm-a"):   # while the block runs
        ...
    faults.once("C_Sign", "CKR_DEVICE_ERROR")
    faults.clear()
    faults.total("C_Login")                    # calls in all processes so far
"""

import contextlib
import itertools
import os
import pathlib
import re
import struct
import time

_HEADER = pathlib.Path(__file__).parents[1] / "faults" / "module" / "functions.hpp"
FUNCTIONS = re.findall(r"^  X\((C_\w+),", _HEADER.read_text(), re.MULTILINE)
_MAGIC = b"avfact01"
_HEAD = struct.Struct("=8s32s8Q")
_FUNCTION = struct.Struct("=31Q")

_numbers = itertools.count(1)

OK, PIN_INCORRECT, USER_ALREADY_LOGGED_IN = 0, 0xa0, 0x100


class Facts:
    """What happened in one process."""

    def __init__(self, path):
        data = path.read_bytes()
        magic, token, *numbers = _HEAD.unpack_from(data)
        assert magic == _MAGIC, path
        self.pid = int(path.stem)
        self.token = token.rstrip(b"\0").decode()
        (self.rules_read, self.injected, self.calls_now, self.calls_at_once, self.overlaps, self.sessions,
         self.sessions_at_once, self.forks) = numbers
        self.calls, self.codes = {}, {}  # by function; by function and CKR
        for i, name in enumerate(FUNCTIONS):
            calls, *pairs = _FUNCTION.unpack_from(data, _HEAD.size + i * _FUNCTION.size)
            self.calls[name] = calls
            self.codes[name] = {pairs[j] - 1: pairs[j + 1] for j in range(0, 30, 2) if pairs[j]}

    @property
    def alive(self):
        return pathlib.Path(f"/proc/{self.pid}").exists()


class Faults:
    def __init__(self, directory, module=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.lines = {}
        if module:
            (self.directory / "module").write_text(f"{module}\n")

    # --- rules ---

    def add(self, text):
        """Puts a rule in force; gives its name, which no other rule has had."""
        name = f"r{os.getpid()}-{next(_numbers)}"
        self.lines[name] = text
        self.write()
        return name

    def remove(self, name):
        del self.lines[name]
        self.write()

    def clear(self):
        self.lines.clear()
        self.write()

    @contextlib.contextmanager
    def rule(self, text):
        name = self.add(text)
        try:
            yield name
        finally:
            self.lines.pop(name, None)
            self.write()

    def write(self):
        new = self.directory / "rules.new"
        new.write_text("".join(f"{name} {text}\n" for name, text in self.lines.items()))
        os.utime(new, ns=(time.time_ns(), time.time_ns()))  # finer than the kernel's own
        new.rename(self.directory / "rules")

    def once(self, function, code, token=None, times=1):
        return self.add(f"return function={function} code={code} times={times}" + (f" token={token}" if token else ""))

    def struck(self, name):
        """How often a rule with `times` struck, in all processes."""
        return len(list((self.directory / "spent").glob(f"{name}.*")))

    def check(self):
        """Asserts that the module could read its rules."""
        error = self.directory / "rules.error"
        assert not error.exists(), error.read_text()

    # --- facts ---

    def processes(self, token=None):
        """Facts of every process that loaded the module, dead ones too; of those that used the token only, if one is given."""
        found = [Facts(path) for path in sorted(self.directory.glob("*.facts")) if path.read_bytes().startswith(_MAGIC)]  # not one just begun
        return [facts for facts in found if token is None or facts.token == token]

    def total(self, function, code=None, token=None):
        """Calls of a function in all processes so far; those that returned the code, if one is given."""
        return sum(facts.calls[function] if code is None else facts.codes[function].get(code, 0)
                   for facts in self.processes(token))

    def injected(self):
        return sum(facts.injected for facts in self.processes())

    def worker(self, token):
        """The process that uses the token now, or none."""
        return next((facts for facts in self.processes(token) if facts.alive), None)

    def failed_logins(self):
        return self.total("C_Login") - self.total("C_Login", OK) - self.total("C_Login", USER_ALREADY_LOGGED_IN)
