"""Random faults on two replica tokens for a while: nothing lost or doubled, ledger and answers agree one to one, and nothing
grows: memory, file descriptors, PKCS#11 sessions.

usage: python3 tests/faults/soak.py [--seconds N] [--seed N] (with AVSEAL_BUILD and PYTHONPATH=tools:tests)
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

from demo import call, site as demo_site
from support.blink import wait_until_signing
from support.faults import Faults
from support.load import Load, wait_until
from support.processes import worker_pids
from support.software_ue import SoftwareUe

FAULTS = [
    "invalidate-sessions",
    "logout",
    "renumber-objects",
    "swap-objects",
    "removed",
    "removed code=CKR_TOKEN_NOT_PRESENT",
    "return function=C_SignInit,C_Sign code=CKR_DEVICE_ERROR probability=0.2 seed={seed}",
    "return function=C_Sign code=CKR_FUNCTION_FAILED probability=0.3 seed={seed}",
    "return function=C_SignInit code=CKR_SESSION_HANDLE_INVALID times=3",
    "return function=C_Sign code=CKR_GENERAL_ERROR times=3",
    "return function=C_Sign code=CKR_DEVICE_REMOVED forwarded=yes times=2",
    "return function=C_OpenSession code=CKR_SESSION_COUNT times=2",
    "delay function=C_Sign ms=300 times=5",
    "crash function=C_Sign times=1",
    "crash function=C_SignInit signal=ABRT times=1",
    "signature form=flipped times=3",
    "signature form=short times=2",
    "signature form=other-key times=2",
    "hang function=C_Sign times=1",
    "slots shift=77",
    "latency function=C_Sign ms=3 parallel=2",
]
DEADLINE_MS = 10000


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


class Usage:
    """What avseald and its workers hold."""

    def __init__(self, site, faults):
        service = site.running["avseald"].pid
        self.memory, self.descriptors = resident_kib(service), descriptors(service)
        self.workers = len(worker_pids(site))
        self.worker_descriptors = {token: descriptors(faults.worker(token).pid) for token in site.tokens}
        self.sessions = {token: faults.worker(token).sessions for token in site.tokens}

    def __str__(self):
        return f"avseald {self.memory // 1024} MiB, {self.descriptors} descriptors; {self.workers} workers with {self.worker_descriptors}, sessions {self.sessions}"


def settle(site, faults):
    faults.clear()
    for token in site.tokens:
        wait_until_signing(faults, token, more=20)


def soak(site, seconds, seed):
    faults, random_source = Faults(site.faults), random.Random(seed)
    alice = SoftwareUe(site)
    with Load(site, alice) as load:
        load.wait_for(20)
        end = time.monotonic() + seconds
        before, struck = None, 0
        while time.monotonic() < end:
            token = random_source.choice(site.tokens)
            rule = random_source.choice(FAULTS).format(seed=random_source.randrange(1000))
            faults.add(f"{rule} token={token}")
            time.sleep(random_source.uniform(0.1, 0.8))
            settle(site, faults)
            struck += 1
            if before is None and time.monotonic() > end - seconds * 3 / 4:
                before = Usage(site, faults)  # warm by now
                print("warm: ", before, flush=True)
        settle(site, faults)
        after = Usage(site, faults)
    print("after:", after)
    print(f"{struck} faults in {seconds} s (seed {seed}): {load.account()}")
    faults.check()
    assert load.refused == [] and load.broken == []
    assert sum(facts.forks for facts in faults.processes()) == 0
    assert after.workers == len(site.tokens)
    assert after.sessions == before.sessions, "sessions leaked"
    assert after.descriptors <= before.descriptors + 4, "descriptors leaked"
    for token, open_now in after.worker_descriptors.items():
        assert open_now <= before.worker_descriptors[token] + 2, f"descriptors leaked in the worker of {token}"
    assert after.memory <= before.memory * 1.25, "memory grew"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    path = pathlib.Path(tempfile.mkdtemp(prefix="avs", dir="/tmp"))
    site = demo_site.Site(path, os.environ["AVSEAL_BUILD"], faults=True)
    site.environment["ASAN_OPTIONS"] = "quarantine_size_mb=4"  # else freed memory looks like a leak
    site.make()
    config = path / "avseald.toml"
    config.write_text(config.read_text().replace("threads = 2\n", f"threads = 2\nrequest_deadline_ms = {DEADLINE_MS}\n", 1))
    site.start()
    try:
        assert call.subscribe(site).status == 201
        soak(site, options.seconds, options.seed)
        assert site.stop() == 0
    finally:
        site.stop()
    shutil.rmtree(path)


if __name__ == "__main__":
    sys.exit(main())
