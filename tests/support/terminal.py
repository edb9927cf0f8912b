"""Runs a program on a terminal of its own and types into it."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time


def run(arguments, answers, environment=None, seconds=60):
    """Types each answer after the prompt that goes with it was shown; gives (exit code, all that the terminal showed)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(list(map(str, arguments)), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                               env={**os.environ, **(environment or {})}, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(theirs)
    shown, waiting, end = "", list(answers), time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if not select.select([ours], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the terminal's other side is closed
                break
            shown += piece.decode(errors="replace")
            if waiting and waiting[0][0] in shown:
                os.write(ours, waiting.pop(0)[1].encode() + b"\n")
        assert not waiting, f"was never asked for {waiting[0][0]!r}: {shown!r}"
        return process.wait(max(0.0, end - time.monotonic())), shown
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
