# Each target sets up all it needs: an environment in .venv from requirements.lock, whose hashes
# are checked. Nothing but make and Python 3.11 or newer is needed; uv is used where present.
#
#   make test                      lint, types and tests
#   make test ARGS='-k yamux'      the same with fewer tests
#   make demo ARGS=...             the demonstration
#   make docs                      the pages of the public API, in .build/docs
#   make payload-tables            the tables of docs/chorus-payloads.md
#   make counts                    what a message takes of every node, as the tests hold it
#   make where-time-goes           CPU of a message by layer: the tables of docs/where-time-goes.md
#   make rules ARGS='--area YMX'   the numbered rules and the tests that show them
#   make conformance ARGS='--target go'   numbered cases on any implementation
#   make conformance-all           all targets (builds them: minutes), and the tables in docs/
#   make bench ARGS=--quick        rates, latencies and costs, beside go's
#   make matrix                    every pair of them, and docs/interop-matrix.md
#   make package-check             wheel and sdist: what is in them, and the tests against them
#   make lock ARGS=--upgrade       writes requirements.lock anew from pyproject.toml
#   make crates                    writes the Rust peer's crates.lock anew from its Cargo.toml
#   make lock-js                   the same for the js peer's package-lock.json; needs npm

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TARGETS ?= python go go-old rust js py-libp2p
# "ci" draws the same examples in each run; "default" explores.
HYPOTHESIS_PROFILE ?= ci

# Tests start hundreds of processes: compiled modules are kept, outside the tree, even where the
# environment asks for none.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.build/pycache

READY := $(VENV)/.ok
RUN := $(VENV)/bin/python -m
UV := $(shell command -v uv 2>/dev/null)
UV_VENV := .build/uv
PY_LIBP2P := conformance/peers/py_libp2p
LOCK = $(if $(UV),"$(UV)",$(UV_VENV)/bin/uv) pip compile --quiet --no-config --universal \
	--python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'

ifdef UV
CREATE := "$(UV)" venv --quiet --clear --python "$(PYTHON)" $(VENV)
INSTALL := "$(UV)" pip install --quiet --python $(VENV)/bin/python
PROBE := import sys
else
CREATE := "$(PYTHON)" -m venv --clear $(VENV)
INSTALL := $(RUN) pip install --quiet --disable-pip-version-check
PROBE := import sys, pip
endif

.DEFAULT_GOAL := test
.PHONY: test lint demo docs payload-tables counts where-time-goes rules conformance \
	conformance-all matrix bench package-check lock crates lock-js clean

# All three run, so that one failure does not hide the next.
test: $(READY)
	@failed=; \
	$(RUN) ruff check . || failed="$$failed ruff"; \
	$(RUN) ruff format --check --quiet . || failed="$$failed format"; \
	$(RUN) mypy || failed="$$failed mypy"; \
	$(RUN) pytest -n auto --dist worksteal --durations=15 \
		--hypothesis-profile=$(HYPOTHESIS_PROFILE) $(ARGS) \
		|| failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed" >&2; exit 1; fi

lint: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

demo: $(READY)
	@$(RUN) gossipsub demo $(ARGS)

docs: $(READY)
	@$(VENV)/bin/python docs/api_pages.py .build/docs
	@echo "wrote .build/docs/index.html"

payload-tables: $(READY)
	$(VENV)/bin/python docs/payload_tables.py

counts: $(READY)
	@$(RUN) tests.benchmarks.census
	$(VENV)/bin/python docs/where_time_goes.py

# With more nodes than cores the machine should have nothing else to do.
where-time-goes: $(READY)
	@mkdir -p .build/bench
	@$(RUN) gossipsub bench --profile --only pair,relay --loads flood --sizes 1024 \
		--peers python,python+fast --repeats 5 --json .build/bench/profile.json $(ARGS)
	$(VENV)/bin/python docs/where_time_goes.py .build/bench/profile.json

rules: $(READY)
	@$(RUN) gossipsub.conformance.rules $(ARGS)

conformance: $(READY)
	@$(RUN) gossipsub conformance $(ARGS)

# The peers themselves, then one target after the other: what cannot be had or fails does not stop the
# next, but is an error.
conformance-all: $(READY)
	@mkdir -p .build/conformance; failed=; \
	GOSSIPSUB_PEERS=all $(RUN) pytest -q tests/conformance/test_*_peer.py || failed=" peers"; \
	for target in $(TARGETS); do rm -f .build/conformance/$$target.json; done; \
	for target in $(TARGETS); do \
		$(RUN) gossipsub conformance --target $$target \
			--json .build/conformance/$$target.json $(ARGS) || failed="$$failed $$target"; \
	done; \
	reports=; for target in $(TARGETS); do \
		[ ! -f .build/conformance/$$target.json ] \
			|| reports="$$reports .build/conformance/$$target.json"; \
	done; \
	$(RUN) gossipsub conformance --compare $$reports --html .build/conformance/all.html > /dev/null; \
	$(VENV)/bin/python docs/conformance_results.py $$reports; \
	echo "wrote .build/conformance/all.html and docs/conformance-results.md"; \
	if [ -n "$$failed" ]; then echo "not as they are known to be:$$failed" >&2; exit 1; fi

comma := ,
empty :=
matrix: $(READY)
	@mkdir -p .build/conformance
	@$(RUN) gossipsub conformance matrix --targets $(subst $(empty) $(empty),$(comma),$(TARGETS)) \
		--json .build/conformance/matrix.json --markdown .build/conformance/matrix.md $(ARGS); \
	status=$$?; [ $$status -gt 1 ] \
		|| $(VENV)/bin/python docs/interop_matrix.py .build/conformance/matrix.md; exit $$status

bench: $(READY)
	@$(RUN) gossipsub bench $(ARGS)

package-check: $(READY)
	$(VENV)/bin/python tests/packaging/package_check.py

# An environment is made anew only where there is none or its Python is unfit. Two requirements come
# as source only; setuptools from the lock builds them, so that nothing unhashed is fetched for it.
$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gossipsub needs Python 3.11 or newer, and $(PYTHON) is not:" \
			"make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(VENV)/bin/python -c '$(PROBE); sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "making $(VENV)"; $(CREATE); }
	@echo "installing requirements.lock into $(VENV)"
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock > $(VENV)/setuptools.lock
	@$(INSTALL) --require-hashes -r $(VENV)/setuptools.lock
	@$(INSTALL) --require-hashes --no-build-isolation -r requirements.lock
	@$(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

# One lock for every supported Python and system, and one for the peer made of py-libp2p. No address
# of an index is written to them.
lock:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'
	@[ -n "$(UV)" ] || [ -x $(UV_VENV)/bin/uv ] \
		|| { "$(PYTHON)" -m venv $(UV_VENV) && $(UV_VENV)/bin/python -m pip install --quiet uv; }
	$(LOCK) --extra dev --extra cli --output-file requirements.lock $(ARGS) pyproject.toml
	$(LOCK) --output-file $(PY_LIBP2P)/requirements.txt $(ARGS) $(PY_LIBP2P)/requirements.in

# Cargo knows where its registry is; the file does not say.
crates:
	cd conformance/peers/rust && cargo generate-lockfile \
		&& sed '/^source = /d' Cargo.lock > crates.lock && rm Cargo.lock

# Hashes, and no addresses: neither a registry's nor those of people who want funding.
lock-js:
	npm install --prefix conformance/peers/js --package-lock-only --ignore-scripts \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	cd conformance/peers/js && node -e "const lock = JSON.parse(fs.readFileSync('package-lock.json')); \
		for (const entry of Object.values(lock.packages)) delete entry.funding; \
		fs.writeFileSync('package-lock.json', JSON.stringify(lock, null, 2) + '\n')"

clean:
	rm -rf $(VENV) .build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
