"""Workers that avseald does not start, somebody between it and one of them, and a client of a worker (tokend/protocol.hpp)."""

import contextlib
import selectors
import socket
import struct
import threading

from demo import processes
from support import jose

VERSION = 3
CLIENT_HELLO, SERVER_HELLO, SIGN, RESULT = 0x01, 0x02, 0x10, 0x20


class SeparateWorkers:
    """The production form: one worker for each token of a site that is stopped, each with a Wire before it."""

    def __init__(self, site):
        self.site, self.running, self.wires = site, {}, {}
        for name in ("sockets", "state"):
            (site.directory / name).mkdir(mode=0o700, exist_ok=True)
        path = site.directory / "avseald.toml"
        text = path.read_text()
        for token in site.tokens:
            spawned = f'spawn = 1\nworker_config = "{site.worker_config(token)}"'
            assert spawned in text
            self.wires[token] = Wire(site.directory / "sockets" / f"{token}-wire", self.socket(token))
            text = text.replace(spawned, f'sockets = ["{self.wires[token].path}"]')
        path.write_text(text)

    def socket(self, token):
        return self.site.directory / "sockets" / token

    def start(self):
        for token in self.site.tokens:
            log = self.site.log / f"{token}.log"
            process = processes.start([self.site.bin / "avseal-tokend", "--config", self.site.worker_config(token), "--socket", self.socket(token)],
                                      log, self.site.environment)
            self.running[token] = process
            processes.wait_until(self.socket(token).exists, process, log, f"the worker of {token}")

    def stop(self):
        for process in self.running.values():
            assert processes.stop(process) == 0

    def close(self):
        self.stop()
        for wire in self.wires.values():
            wire.close()


class Wire:
    """Passes on what the node and the worker say, as long as it is asked to."""

    def __init__(self, path, to):
        self.path, self.to, self.held = path, to, threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.ends, self.lock = set(), threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    @contextlib.contextmanager
    def hold(self):
        """While the block runs, nothing that the worker says arrives; then the connections end, and it never will."""
        self.held.set()
        try:
            yield
        finally:
            self.cut()

    def cut(self):
        with self.lock:
            for end in self.ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self.held.clear()

    def close(self):
        self.listener.close()
        self.cut()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                node, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(node,), daemon=True).start()

    def carry(self, node):
        worker = socket.socket(socket.AF_UNIX)
        with node, worker, selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
            worker.connect(str(self.to))
            with self.lock:
                self.ends |= {node, worker}
            ready.register(node, selectors.EVENT_READ, worker)
            ready.register(worker, selectors.EVENT_READ, node)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        raise ConnectionError
                    if key.fileobj is node or not self.held.is_set():
                        key.data.sendall(data)
        with self.lock:
            self.ends -= {node, worker}


class Client:
    """Whoever may connect to a worker."""

    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(str(path))
        self.reader = self.stream.makefile("rb")
        hello = self.receive()
        assert hello[0] == SERVER_HELLO and hello[1:3] == struct.pack(">H", VERSION)
        self.send(struct.pack(">BH", CLIENT_HELLO, VERSION))

    def send(self, body):
        self.stream.sendall(struct.pack(">I", len(body)) + body)

    def receive(self):
        size, = struct.unpack(">I", self.reader.read(4))
        return self.reader.read(size)

    def sign(self, key, data):
        """Gives the number of the signature."""
        name = key.encode()
        self.send(struct.pack(">BQB", SIGN, 1, len(name)) + name + struct.pack(">I", len(data)) + data + struct.pack(">H", 0))
        answer = self.receive()
        assert answer[0] == RESULT, answer
        return struct.unpack_from(">QQ", answer, 1)[1]

    def close(self):
        self.reader.close()
        self.stream.close()


def access_token():
    """A signing input that a worker's access-token key signs."""
    return f'{jose.b64url(b"""{"alg":"ES256","kid":"k","typ":"at+jwt"}""")}.{jose.b64url(b"""{"iat":1}""")}'.encode()
