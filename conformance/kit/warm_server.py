"""`python -m gossipsub.conformance.kit.warm_server SOCKET`: forks a node for each client.

Ends with its standard input, and ends its nodes then; a node whose client is gone is killed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress

from gossipsub.conformance.faults.fault import load_faults
from gossipsub.peer.command import main as run_peer

_HEAD_BYTES = 4
_REQUEST_BYTES = 1 << 20


class Server:
    """One loop: clients, their nodes' ends, the end of the input."""

    def __init__(self, path: str) -> None:
        self._faults = load_faults()
        self._nodes: dict[int, socket.socket | None] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._wakeup, self._wakeup_sender = socket.socketpair()
        for end in (self._wakeup, self._wakeup_sender):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        for source in (0, self._listener, self._wakeup):
            self._selector.register(source, selectors.EVENT_READ)

    def run(self) -> None:
        """Until standard input ends."""
        signal.set_wakeup_fd(self._wakeup_sender.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the starter's matter
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    return self._end()
                if key.fileobj is self._listener:
                    self._serve(self._listener.accept()[0])
                elif key.fileobj is self._wakeup:
                    self._reap()
                else:
                    self._kill_node_of(key.fileobj)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(5.0)
        streams: list[int] = []
        try:
            head, streams, _, _ = socket.recv_fds(client, _HEAD_BYTES, 3)
            size = min(int.from_bytes(head, "big"), _REQUEST_BYTES)
            fault, *flags = json.loads(_read(client, size))
        except (OSError, ValueError):
            client.close()
        else:
            node = os.fork()
            if node == 0:
                self._become_node(streams, fault, flags)
            self._nodes[node] = client
            self._selector.register(client, selectors.EVENT_READ)
        for stream in streams:
            os.close(stream)

    def _become_node(self, streams: list[int], fault: str, flags: list[str]) -> None:
        """In the fork: never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._selector.close()
            for other in (self._listener, self._wakeup, self._wakeup_sender):
                other.close()
            for client in self._nodes.values():
                if client is not None:
                    client.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            if fault:
                self._faults[fault]()
            status = run_peer(flags)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except KeyError:
            print(f"there is no fault {fault}", file=sys.stderr)
        finally:
            if (error := sys.exc_info()[1]) is not None:
                traceback.print_exception(error)
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup.recv(4096)
        while self._nodes:
            node, state = os.waitpid(-1, os.WNOHANG)
            if node == 0:
                return
            client = self._nodes.pop(node, None)
            if client is not None:
                status = os.waitstatus_to_exitcode(state)
                with suppress(OSError):
                    client.sendall(b"%d" % (status if status >= 0 else 128 - status))
                self._selector.unregister(client)
                client.close()

    def _kill_node_of(self, client: object) -> None:
        """It is gone, since a client says nothing more."""
        for node, of in self._nodes.items():
            if of is not None and of is client:
                os.kill(node, signal.SIGKILL)
                self._nodes[node] = None
                self._selector.unregister(of)
                of.close()
                return

    def _end(self) -> None:
        for node in self._nodes:
            os.kill(node, signal.SIGKILL)


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise OSError("the client is gone")
        data += piece
    return data


if __name__ == "__main__":
    server = Server(sys.argv[1])
    print("ready", flush=True)
    server.run()
