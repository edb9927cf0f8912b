"""Steps the time of day as one process sees it (tests/faults/clock/shifted_clock.cpp)."""

import os
import pathlib
import struct


class ShiftedClock:
    def __init__(self, directory, build):
        self.path = pathlib.Path(directory) / "clock"
        self.path.write_bytes(bytes(8))
        # The sanitizers' runtime wants to be first among the loaded libraries; it need not.
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment = {"LD_PRELOAD": str(pathlib.Path(build) / "lib" / "avseal-shifted-clock.so"), "AVSEAL_SHIFTED_CLOCK": str(self.path),
                            "ASAN_OPTIONS": options}

    @classmethod
    def of(cls, site):
        """That of a site whose processes are still to be started."""
        clock = cls(site.directory, site.bin.parent)
        site.environment = {**site.environment, **clock.environment}
        return clock

    def shift(self, seconds):
        """The process's time of day is the machine's plus `seconds` from now on."""
        with open(self.path, "r+b") as file:
            file.write(struct.pack("<q", round(seconds * 1e9)))
