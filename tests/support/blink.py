"""An HSM that blinks under load: what tests/faults/test_*.py have in common."""

import time

from support.load import Load, wait_until


def signatures(faults, token):
    """Signatures that the token's running worker has made."""
    worker = faults.worker(token)
    return worker.codes["C_Sign"].get(0, 0) if worker else 0


def wait_until_signing(faults, token, more=5, seconds=60):
    """Waits until the token's worker, this one or a next one, makes signatures."""
    worker = faults.worker(token)
    pid, before = (worker.pid, signatures(faults, token)) if worker else (None, 0)

    def signs():
        now = faults.worker(token)
        return now is not None and now.codes["C_Sign"].get(0, 0) >= (before if now.pid == pid else 0) + more

    wait_until(signs, seconds, lambda: f"{token} does not sign again")


def wait_until_replaced(faults, token, pid, seconds=60):
    """Waits until another process than that uses the token."""
    wait_until(lambda: getattr(faults.worker(token), "pid", pid) != pid, seconds, lambda: f"{token} got no other worker")


def blink(site, faults, alice, token, begin, end=lambda: None, row="", stands=lambda load: load.wait_for(20)):
    """Under load: `begin` starts a fault of the token, which must strike; when `stands` returns, some signatures later, `end` ends
    it; the token's worker must sign again. Gives the load, stopped and accounted for."""
    with Load(site, alice) as load:
        load.wait_for(10)
        injected, at = faults.injected(), time.monotonic()
        begin()
        wait_until(lambda: faults.injected() > injected, 60, lambda: "the fault never struck")
        stands(load)
        end()
        over = time.monotonic()
        wait_until_signing(faults, token)
        recovery = time.monotonic() - over
        load.wait_for(10)
    faults.check()
    print(f"\n{row}: {load.account()}; longest pause {load.pause_after(at) * 1000:.0f} ms, {token} back {recovery * 1000:.0f} ms after the fault")
    return load
