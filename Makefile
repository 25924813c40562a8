# Every target bootstraps what it needs from Python 3.11 and pip; `make help` lists them.
SHELL := /bin/sh
PY := .venv/bin/python
# Many tests wait for a daemon: one worker more than cores keeps the cores busy.
WORKERS ?= $(shell expr $$(nproc) + 1)

.PHONY: help venv demo test check fmt docs lock bench faults conformance long nightly wheel deb

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: ## make .venv from the pinned, hashed requirements
	@tools/bootstrap.sh

demo: venv ## run the daemon, a real upstream and a real client; print what was decided
	@.venv/bin/wicketd demo $(ARGS)

test: venv ## house, unit, end-to-end and fault smoke tests
	@tools/packages.sh npm browser proxies
	@$(PY) -m compileall -q wicketd wicket_tui # else each daemon compiles anew under PYTHONDONTWRITEBYTECODE
	$(PY) -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not long" tests $(ARGS)

check: venv ## format, lint, types, import contracts, generated docs, sizes, unit exposure
	@tools/packages.sh systemd
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) tools/docs.py --check
	$(PY) tools/sizes.py
	$(PY) tools/units.py

fmt: venv ## format and fix what can be fixed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: venv ## write the generated pages of docs/
	$(PY) tools/docs.py

wheel: venv ## write the wheel that pip and pipx install into dist/
	$(PY) -m build --wheel --no-isolation --outdir dist

deb: venv ## write the Debian package for this machine's Python and architecture into dist/
	$(PY) -m tools.deb dist

lock: venv ## write requirements/*.txt with the hashes of all wheels
	$(PY) tools/lock.py

bench: venv ## latency, throughput and memory: direct against through wicketd, one interleaved run
	$(PY) -m benchmarks $(ARGS)

faults: venv ## kill -9 under load, 200 rounds; 10,000 random policy sets
	$(PY) -m pytest -q tests/faults tests/promises --faults-full $(ARGS)

conformance: venv ## the MCP conformance suite in both revisions, direct against through wicketd
	@tools/packages.sh conformance
	$(PY) -m tests.conformance.run $(ARGS)

long: venv ## the tests that are too long for every run
	@tools/packages.sh npm browser proxies debian
	$(PY) -m pytest -q -m long tests $(ARGS)

nightly: test long faults conformance ## every long suite
	$(PY) -m tests.conformance.run --eras legacy
	$(PY) -m tests.conformance.run --eras modern
