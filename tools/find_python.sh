#!/bin/sh
# Prints a Python that is at least 3.$1, makes virtual environments and has the headers that extensions need.
# PYTHON=... in the environment names the only candidate.
least=$1

fits() {
    "$1" - "$least" 2>/dev/null <<'EOF'
import ensurepip, os, sys, sysconfig, venv
fits = sys.version_info >= (3, int(sys.argv[1])) and sys.implementation.name == "cpython"
sys.exit(not (fits and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))
EOF
}

if [ -n "$PYTHON" ]; then
    candidates=$PYTHON
else
    candidates="python3 python3.14 python3.13 python3.12 python3.11 python3.10"
    candidates="$candidates $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3 2>/dev/null | sort -rV)"
fi
for candidate in $candidates; do
    if fits "$candidate"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "asyncbolt: this needs CPython >= 3.$least with venv and its headers (python3-venv, python3-dev)." >&2
echo "None was found among: $candidates" >&2
echo "Install one, or name it: make ... PYTHON=/path/to/python3" >&2
exit 1
