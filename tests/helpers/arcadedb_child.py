"""Serves ArcadeDB until standard input ends: ``arcadedb_child.py ROOT_DIR PASSWORD BOLT_PORT HTTP_PORT``."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(root: str, password: str, bolt_port: str, http_port: str) -> None:
    import arcadedb

    signal.signal(signal.SIGTERM, terminate)
    config = {
        "host": "127.0.0.1",
        "http_port": int(http_port),
        "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt_host": "127.0.0.1",
        "bolt_port": int(bolt_port),
    }
    server = arcadedb.create_server(root, password, config=config)
    try:
        server.start()
        server.create_database("neo4j")
        print("READY", flush=True)
        sys.stdin.read()
    finally:
        server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
