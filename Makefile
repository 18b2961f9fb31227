# `make run` and `make test` need only python3 (3.11 or newer), make and pip. `make help` lists the rest.
PYTHON ?= python3
export CHAMMAL_MODELS_DIR ?= models
SECONDS ?= 120
MINUTES ?= 30
CALLS ?= 1000
SERVICE ?= pypi

bin := .venv/bin
installed := .venv/.installed
packages := packages/contracts packages/kit services/stt services/llm-gateway services/tts services/api packages/cli

.DEFAULT_GOAL := help

run: $(installed) ## start the mesh on this machine, fetching models that are missing; Ctrl-C stops it
	@exec $(bin)/chammal up

demo: $(installed) ## analyse a sample call; starts the mesh when it is not running
	@exec $(bin)/chammal demo

demo-healing: $(installed) ## a call that heals: sent while there is no language model, whole when there is one
	@exec $(bin)/chammal demo-healing

models: $(installed) ## fetch and verify all default models, for use without a network
	$(bin)/chammal models fetch

test: $(installed) ## all tests but those that need Docker, and the fault matrix
	$(bin)/chammal models fetch
	$(bin)/chammal models fetch whisper-tiny.en
	$(bin)/pytest -m "not compose and not faults"

test-faults: $(installed) ## the fault matrix over real processes: all of it by hand (half an hour), a subset where CI=true
	$(bin)/chammal models fetch kokoro
	$(bin)/chammal models fetch whisper-tiny.en
	$(bin)/python -m tests.faults --table
	$(bin)/pytest -m faults tests/faults

test-compose: $(installed) ## the mesh in containers; needs a Docker engine
	$(bin)/pytest -m compose

check: $(installed) ## format, lint, types, architecture
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports

bench: $(installed) ## side-by-side benchmarks of processor time and memory
	$(bin)/python bench

bench-stt: $(installed) ## speech-to-text beside faster-whisper and other servers (an hour; peers go into .bench/)
	$(bin)/chammal models fetch whisper-base
	$(bin)/python -m bench.stt

soak: $(installed) ## CALLS=1000 while services are killed, then MINUTES=30 of random faults; none is lost, nothing grows
	$(bin)/chammal models fetch whisper-tiny.en kokoro
	$(bin)/python -m bench.calls_storm --calls $(CALLS)
	$(bin)/python -m bench.soak --minutes $(MINUTES)

bench-compliance: $(installed) ## the mis-selling check, rules alone, on labelled calls (seconds)
	$(bin)/python -m bench.compliance

bench-conversation: $(installed) ## from the last word to the first audio, beside pipecat (20 minutes, on a machine that does nothing else)
	$(bin)/python -m bench.conversation

bench-faults: $(installed) ## the mesh at five times its capacity, and with a service down (15 minutes)
	$(bin)/python -m bench.overload --out bench/results/overload.md
	$(bin)/python -m bench.outage --out bench/results/outage.md

fuzz: $(installed) ## broken media and frames against stt, for SECONDS=120 in all
	@set -- fuzz/*.py; for script; do $(bin)/python $$script --seconds $$(($(SECONDS) / $$#)) || exit 1; done

audit: $(installed) ## known faults and licences of all pinned dependencies; asks SERVICE=pypi or osv over the network
	$(bin)/pytest tests/docs/test_licences.py
	$(bin)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes --vulnerability-service $(SERVICE) -r requirements/dev.txt -r requirements/build.txt

test-contract: $(installed) ## the OpenAPI documents and live messages against real processes, for long
	CHAMMAL_TEST_EXAMPLES=150 $(bin)/pytest tests/contract

lock: ## renew requirements/*.txt (needs uv)
	requirements/lock.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(installed): requirements/dev.txt pyproject.toml $(packages:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Chammal needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make PYTHON=python3.13")'
	$(PYTHON) -m venv .venv
	$(bin)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(packages))
	@touch $@

.PHONY: run demo demo-healing models test test-faults test-contract test-compose audit check bench bench-stt bench-compliance bench-conversation bench-faults soak lock help
