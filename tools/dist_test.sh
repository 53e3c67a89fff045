#!/usr/bin/env bash
# Proves what would be published: sdist, wheels built from the sdist (compiled and pure), each installed into an
# empty environment, and the sdist's own suite run there from outside the checkout.
#
#   tools/dist_test.sh [python ...]      by default the Python that find_python.sh finds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pythons=("$@")
[ ${#pythons[@]} -gt 0 ] || pythons=("$(tools/find_python.sh 10)")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=()
step() { printf '\n== %s\n' "$*"; }

step "sdist"
"${pythons[0]}" -m venv "$work/build"
"$work/build/bin/python" -m pip install -q --upgrade pip build
"$work/build/bin/python" -m build -q --sdist --outdir "$work/dist" .
sdist=$(echo "$work"/dist/asyncbolt-*.tar.gz)
mkdir "$work/sdist" "$work/elsewhere"
tar -xzf "$sdist" -C "$work/sdist" --strip-components=1

for python in "${pythons[@]}"; do
    tag=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}")')
    for impl in c python; do
        step "$tag $impl: wheel from the sdist, installed into an empty environment"
        venv=$work/venv-$tag-$impl
        wheels=$work/wheels-$tag-$impl
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install -q --upgrade pip
        if [ $impl = c ]; then switch=ASYNCBOLT_REQUIRE_EXTENSIONS; else switch=ASYNCBOLT_NO_EXTENSIONS; fi
        env $switch=1 "$venv/bin/python" -m pip wheel -q --no-deps -w "$wheels" "$sdist"
        wheel=$(echo "$wheels"/asyncbolt-*.whl)
        echo "$(basename "$wheel")"
        extras=test
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && extras=test,demo
        "$venv/bin/python" -m pip install -q "$wheel"
        (cd "$work/elsewhere" && ASYNCBOLT_IMPL=$impl "$venv/bin/python" -I -W error -c \
            "import asyncbolt; print(asyncbolt.__file__, asyncbolt.IMPLEMENTATION)")
        "$venv/bin/python" -m pip install -q "$wheel[$extras]"
        twins=both
        [ $impl = c ] || twins=python
        (cd "$work/elsewhere" && ASYNCBOLT_IMPL=$impl "$venv/bin/python" -I -bb -m pytest -q --durations=5 --impl $twins \
            -m "not neo4j and not build" "$work/sdist/tests") || failed+=("$tag $impl")
    done
done
if [ ${#failed[@]} -gt 0 ]; then
    step "tests failed with: $(printf '%s; ' "${failed[@]}")"
    exit 1
fi
step "all passed: ${pythons[*]}"
