"""Run alone: `python warm_client.py SOCKET FAULT FLAG…` is a node forked from the server's process.

Imports little, since its start is what a warm start costs.
"""

import json
import socket
import sys


def main() -> int:
    path, *words = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        request = json.dumps(words).encode()
        head = len(request).to_bytes(4, "big")
        socket.send_fds(server, [head], [0, 1, 2])
        server.sendall(request)
        sys.stdin.close()  # the node's alone now: their ends are to be seen
        sys.stdout.close()
        status = server.recv(8)
    return int(status or b"1")


if __name__ == "__main__":
    sys.exit(main())
