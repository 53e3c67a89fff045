"""Neo4j itself, from Maven: jars are downloaded once into ``.cache/neo4j`` (about 140 MB a version).

Needs ``mvn`` and a JDK: 17 or 21 for 5.26, 25 for 2026.x.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from aiohelp import free_port
from server_process import ServerProcess

__all__ = ["VERSIONS", "Neo4j"]

VERSIONS = ("5.26.30", "2026.08.1")

HERE = Path(__file__).with_name("neo4j")
CACHE = Path(__file__).parents[2] / ".cache" / "neo4j"

JVM_OPTIONS = (
    "-Xms256m",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-Dfile.encoding=UTF-8",
    "-Dlog4j2.disable.jmx=true",
    "-Djava.awt.headless=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-modules=jdk.incubator.vector",
)


def _javas() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if found := shutil.which("java"):
        yield Path(found)
    yield from sorted(Path("/usr/lib/jvm").glob("*/bin/java"))


def java(version: str) -> Path:
    """The ``java`` that runs this version of Neo4j.

    Raises:
        LookupError: there is none on this machine.
    """
    wanted = (25,) if version.startswith("20") else (17, 21)
    for candidate in _javas():
        if candidate.exists():
            told = subprocess.run([candidate, "-version"], capture_output=True, text=True).stderr
            match = re.search(r'version "(\d+)', told)
            if match and int(match[1]) in wanted:
                return candidate
    raise LookupError(f"Neo4j {version} needs a JDK {' or '.join(map(str, wanted))}: set JAVA_HOME")


def jars(version: str) -> Path:
    """The folder with the jars of this version, downloaded if it is not there yet."""
    lib = CACHE / version / "lib"
    done = CACHE / version / "complete"
    if not done.exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise LookupError("the jars of Neo4j are downloaded by Maven, and there is no mvn on the PATH")
        subprocess.run(
            [
                maven, "-B", "-q", "dependency:copy-dependencies", "-f", str(HERE / "pom.xml"),
                f"-Dneo4j.version={version}", f"-DoutputDirectory={lib}", "-DincludeScope=runtime",
            ],
            check=True,
        )  # fmt: skip
        done.touch()
    return lib


class Neo4j(ServerProcess):
    """Neo4j of one version on the loopback interface, with a fresh empty database ``neo4j``.

    Args:
        version: one of `VERSIONS`.
        auth: whether it asks for ``user`` and ``password``.
    """

    user = "neo4j"
    database = "neo4j"

    def __init__(self, version: str, *, auth: bool = True) -> None:
        super().__init__(f"Neo4j {version}", ready_timeout=180)
        self.version = version
        self.password = "playwithdata" if auth else ""

    @property
    def auth(self) -> tuple[str, str] | None:
        return (self.user, self.password) if self.password else None

    def command(self, home: Path) -> Sequence[str]:
        self.port = self.port or free_port()  # the same one after `kill` and `restart`
        classpath = f"{jars(self.version)}{os.sep}*"
        launcher = str(HERE / "BoltServer.java")
        options = [*JVM_OPTIONS, "-cp", classpath]
        return [str(java(self.version)), *options, launcher, str(home), str(self.port), self.password]
