"""What systemd is to a service: the socket that it notifies, and the journal's."""

import os
import socket
import struct
import threading

PASS_CREDENTIALS = 16  # SO_PASSCRED


class Datagrams:
    """A datagram socket at a path; takes what is sent to it."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, PASS_CREDENTIALS, 1)
        self.socket.bind(self.path)

    def close(self):
        self.socket.close()

    def next(self, seconds=60):
        """The next datagram and the process that sent it; nothing, if none came in time."""
        self.socket.settimeout(seconds)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(struct.calcsize("3i")))
        except (TimeoutError, BlockingIOError):
            return None, None
        pid = next(struct.unpack("3i", value)[0] for level, kind, value in ancillary
                   if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS)
        return data, pid

    def drop(self):
        while self.next(0)[0] is not None:
            pass


class Manager(Datagrams):
    """Gives a service $NOTIFY_SOCKET and $WATCHDOG_USEC."""

    beat = 0.1  # the service's period: a third of the limit

    @property
    def environment(self):
        return {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": str(int(3e6 * self.beat))}

    def wait_for(self, expected, process):
        """Takes messages until the expected one; every one comes from the service's main process. Gives what came before."""
        before = []
        while True:
            message, pid = self.next()
            assert message is not None, f"no {expected} from the service; it sent {before}"
            assert pid == process.pid, f"{message} came from process {pid}, which is not the service's main process"
            lines = message.decode().splitlines()
            if expected in lines:
                return before
            before += lines


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as status:
        return status.read().rsplit(")", 1)[1].split()[0] == "T"


class Journal(Datagrams):
    """Reads what is written to the journal, for a writer waits when nobody does."""

    def __init__(self, path):
        super().__init__(path)
        self.entries = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        data, _ = self.next(None)
        while data:
            self.entries.append(journal_entry(data))
            data, _ = self.next(None)

    def close(self):
        """Everything that was written."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"", self.path)
        self.reader.join()
        super().close()
        return self.entries


def journal_entry(data):
    """The fields of one datagram of the journal's native protocol."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8:8 + size], data[9 + size:]
        fields[name.decode()] = value.decode()
    return fields


def with_journal(directory, command):
    """The command in a mount namespace of its own where `directory`/socket is the journal's socket. The process stays the same."""
    script = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"'
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*unshare, "sh", "-c", script, directory, *command]
