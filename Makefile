# Everything a developer runs. The first call makes .venv and builds the extension; nothing else is needed but a
# CPython with its headers, a C compiler and an index that pip can reach.
#
#   make demo       loads real flight data into a real graph database over Bolt, and reads it back (Python >= 3.11)
#   make test       all tests: the pure twin under the upper floors, then everything on the compiled one
#   make help       the rest

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?=
export PYTHON

BIN := $(VENV)/bin
# -I: tests import the installed package, and never what lies in the current directory. -bb: bytes are not text.
PYTEST := $(BIN)/python -I -bb -m pytest
# Tests run in this many processes; each has a database server of its own.
WORKERS ?= 2
PARALLEL := -p no:benchmark -n $(WORKERS)
BUILD_INPUTS := pyproject.toml setup.py $(wildcard asyncbolt/*.pyx asyncbolt/*.pxd)
# What the compiled run covers on both twins already, and what does not depend on the twin.
PURE_SKIPS := $(addprefix --ignore=tests/,codec values chaos property/test_differential.py \
	property/test_fuzz_writer.py test_layers.py test_build.py $(addprefix client/test_,waits.py addresses.py \
	loops.py) $(addprefix driver/test_driver_,waits.py loops.py))

# Stops when the compiled codec is not what `import asyncbolt` finds.
CHECK_BUILD := ASYNCBOLT_IMPL=c $(BIN)/python -I -c "import asyncbolt"

.PHONY: help demo test test-c test-pure test-neo4j chaos chaos-silent chaos-eager testkit dist-test bench bench-driver bench-micro bench-smoke bench-languages bench-servers memory growth instructions lint docs debug coverage clean

help:
	@echo "make demo | test | test-c | test-pure | test-neo4j | testkit | dist-test | lint | docs | debug | coverage | clean"
	@echo "make chaos | chaos-silent | chaos-eager"
	@echo "make bench | bench-driver | bench-micro | bench-smoke | bench-languages | bench-servers | memory | growth | instructions"
	@echo "variables: PYTHON=<interpreter for a new $(VENV)>  VENV=<folder>  WORKERS=<processes>  ARGS=<more arguments>"

$(VENV)/.created:
	@python=$$(tools/find_python.sh 11 2>/dev/null || tools/find_python.sh 10) || exit 1; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv --clear $(VENV) && $(BIN)/python -m pip install -q --upgrade pip && touch $@

# What `make demo` needs is less than what tests need, so that it starts sooner.
$(VENV)/.demo: $(VENV)/.created $(BUILD_INPUTS)
	ASYNCBOLT_REQUIRE_EXTENSIONS=1 $(BIN)/python -m pip install -q -e '.[demo]'
	$(CHECK_BUILD)
	@touch $@

$(VENV)/.dev: $(VENV)/.created $(BUILD_INPUTS)
	ASYNCBOLT_REQUIRE_EXTENSIONS=1 $(BIN)/python -m pip install -q -e '.[demo,uvloop,test,lint,docs]'
	$(CHECK_BUILD)
	@touch $(VENV)/.demo $@

# asyncbolt is there, so this installs what the extra asks for and builds nothing.
$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install -q 'asyncbolt[bench]'
	@touch $@

demo:
	@if [ -e $(VENV)/.created ]; then PYTHON=$(BIN)/python tools/find_python.sh 11 >/dev/null; \
	else tools/find_python.sh 11 >/dev/null; fi
	@$(MAKE) --no-print-directory $(VENV)/.demo
	$(BIN)/python examples/flights_demo.py $(ARGS)

# The compiled run comes last: its summary is the one that counts every test.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory test-pure
	@$(MAKE) --no-print-directory test-c

test-c: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(PYTEST) $(PARALLEL) $(ARGS)

test-pure: $(VENV)/.dev
	ASYNCBOLT_IMPL=python $(PYTEST) --impl python $(PARALLEL) $(PURE_SKIPS) $(ARGS)

# Needs Maven and JDKs 17 and 25; downloads Neo4j into .cache on the first run.
test-neo4j: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(PYTEST) -m neo4j $(ARGS)

# Rounds of faults between client, driver and a server, for as long as is wanted: ARGS="--minutes 60", --backend own,
# arcadedb, neo4j-5 or neo4j-2026, --seed N for a round that failed.
CHAOS := $(BIN)/python -X dev -bb tests/helpers
chaos: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(CHAOS)/chaos_rounds.py $(ARGS)

# Every operation with a peer that is silent from a byte on: ARGS="--every --minutes 600" has every byte and await.
chaos-silent: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(CHAOS)/silent_peer.py $(ARGS)

# The whole of tests/chaos with tasks that begin at once too, which a Python from 3.12 on has, in an environment of
# its own: PYTHON=/path/to/python3.13 names that.
chaos-eager:
	PYTHON="$${PYTHON:-$$(tools/find_python.sh 12)}" $(MAKE) --no-print-directory VENV=.venv-eager .venv-eager/.dev
	ASYNCBOLT_IMPL=c .venv-eager/bin/python -I -X dev -bb -m pytest -p no:benchmark tests/chaos $(ARGS)

$(VENV)/.testkit: $(VENV)/.dev
	$(BIN)/python -m pip install -q 'asyncbolt[testkit]'
	@touch $@

# The driver under the suite of the official drivers (neo4j-drivers/testkit): its stub tests, without Docker.
testkit: $(VENV)/.testkit
	@test -n "$(TESTKIT_DIR)" || { echo "make testkit TESTKIT_DIR=<checkout of neo4j-drivers/testkit>"; exit 1; }
	$(BIN)/python tests/testkit_backend/run.py --testkit "$(TESTKIT_DIR)" $(ARGS)

# sdist -> wheels -> empty environments -> the suite from outside the checkout, for each Python in PYTHONS.
dist-test:
	tools/dist_test.sh $(PYTHONS)

# The twins, the official driver with and without Rust, msgspec and ormsgpack. ARGS=--write renews README's table.
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/compare.py $(ARGS)

# The codec, the connection, the client and the server, each by itself.
bench-micro: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(PYTEST) benchmarks --benchmark-only -p no:randomly $(ARGS)

# Both run, and right things come out of them; the times say nothing.
bench-smoke: $(VENV)/.bench
	ASYNCBOLT_IMPL=c $(PYTEST) benchmarks --benchmark-disable -q
	$(BIN)/python benchmarks/compare.py --quick

# What memory kept rows take, and that it is bounded while much passes through. Minutes; ARGS=--quick is shorter.
memory: $(VENV)/.dev
	$(BIN)/python benchmarks/memory.py $(ARGS)

# How the time of a unit changes from one to very many: columns, rows, tasks, connections, sizes, streams. Minutes.
growth: $(VENV)/.dev
	$(BIN)/python benchmarks/growth.py $(ARGS)

# Fails when a hot path takes over 5 % more instructions than stored; needs valgrind. ARGS=--store stores anew.
instructions: $(VENV)/.dev
	$(BIN)/python -I benchmarks/instructions.py --check $(ARGS)

# The driver beside the official async driver, with ratios and targets.
bench-driver: $(VENV)/.bench
	$(BIN)/python benchmarks/compare.py --only driver: $(ARGS)

# Drivers of other languages on the same bytes: those whose toolchains are here (go, cargo, node and npm, mvn and
# a JDK), built into .cache/languages.
bench-languages: $(VENV)/.dev
	$(BIN)/python benchmarks/languages/run.py build
	ASYNCBOLT_IMPL=c $(BIN)/python benchmarks/languages/run.py measure $(ARGS)

# Beside a raw socket on a real server: ARGS="--server arcadedb", or neo4j-5 or neo4j-2026 (see test-neo4j).
bench-servers: $(VENV)/.dev
	ASYNCBOLT_IMPL=c $(BIN)/python benchmarks/real_servers.py $(ARGS)

lint: $(VENV)/.dev
	@if [ -n "$$(find tests benchmarks -name __init__.py 2>/dev/null)" ]; then echo "no __init__.py in tests, please"; exit 1; fi
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/cython-lint asyncbolt/*.pyx asyncbolt/*.pxd
	$(BIN)/python -m mypy.stubtest asyncbolt._packstream asyncbolt._chunking

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W --keep-going -n -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Bounds checks, line tracing, annotated HTML beside the sources; the next `make test` builds the fast one again.
debug: $(VENV)/.dev
	ASYNCBOLT_REQUIRE_EXTENSIONS=1 ASYNCBOLT_DEBUG=1 $(BIN)/python -m pip install -q -e .
	@rm -f $(VENV)/.dev $(VENV)/.demo $(VENV)/.bench $(VENV)/.testkit
	$(CHECK_BUILD)

coverage: debug
	ASYNCBOLT_IMPL=c $(BIN)/python -I -m coverage run -m pytest -m "not neo4j and not build" $(ARGS)
	$(BIN)/coverage report

clean:
	rm -rf build dist wheelhouse *.egg-info docs/_build htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache
	rm -f asyncbolt/*.c asyncbolt/*.html asyncbolt/*.so $(VENV)/.dev $(VENV)/.demo $(VENV)/.bench $(VENV)/.testkit
	find asyncbolt tests benchmarks examples docs -name __pycache__ -prune -exec rm -rf {} +
