# Two commands on a fresh Debian 12 machine: `make demo` and `make test`. Each installs what it needs and
# does nothing twice. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
JOBS ?= $(shell nproc)
STAMPS := build/stamps
# Of the chosen Python, cp311 say; empty as long as there is none on the machine.
TAG := $(shell $(PYTHON) -c 'import sys; print("cp%d%d" % sys.version_info[:2])' 2> /dev/null)
TOOLS := build/tools-$(TAG)
WHEEL := $(STAMPS)/wheel-$(TAG)
WHEEL_SOURCES := $(shell find bindings cmake collectives controller core -type f -not -name '*.pyc') \
	CMakeLists.txt LICENSE README.md VERSION pyproject.toml
# Fails with one line where there is no torch for the chosen Python.
DEMO_NEEDS := 'import importlib.util, sys; importlib.util.find_spec("torch") or sys.exit("farandole: the demo needs torch, \
	and there is none for Python %d.%d: choose another with make demo PYTHON=" % sys.version_info[:2])'
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup build test demo bench timeline-cost lint format wheel clean contract test-large sim mutants soak hosts chaos chaos-idle failpoints forms asan tsan \
	build-fuzz fuzz fuzz-coverage FORCE

help: ## list the targets
	@echo "make TARGET [PYTHON=python3] [JOBS=$(JOBS)]"
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

clean: ## remove what was built; .venv stays
	rm -rf build dist

$(STAMPS)/packages: .ci/debian-packages.txt
	@mkdir -p $(@D)
	@.ci/install_packages.sh $<
	@touch $@

$(STAMPS)/bench-packages: .ci/bench-packages.txt
	@mkdir -p $(@D)
	@.ci/install_packages.sh $<
	@touch $@

ifeq ($(TAG),)
# No such Python: perhaps the packages bring it.
setup build test demo bench lint format wheel contract test-large sim mutants soak hosts chaos chaos-idle failpoints forms asan tsan build-fuzz fuzz fuzz-coverage: $(STAMPS)/packages
	@command -v "$(PYTHON)" > /dev/null || { echo "farandole: there is no $(PYTHON); choose with PYTHON=" >&2; exit 1; }
	@$(MAKE) --no-print-directory $@
else

setup: $(STAMPS)/packages .venv/.ready ## install Debian packages and .venv, where they are not there

build: $(STAMPS)/packages ## build library, launcher and C++ tests (preset dev)
	@echo "==> build: preset dev"
	@cmake --preset dev > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset dev -j $(JOBS)

test: $(STAMPS)/packages ## every test: C++, Python, several processes, examples, docs, lint
	@$(MAKE) --no-print-directory -j2 setup build build-fuzz .venv/.installed # downloads beside compilers
	@$(IN_VENV) JOBS=$(JOBS) .ci/run_tests.sh

demo: setup .venv/.installed ## train a small GPT with two ranks on this machine
	@.venv/bin/python -c $(DEMO_NEEDS)
	@echo "==> demo: farandolerun -np 2 python examples/torch/train_gpt.py"
	@$(IN_VENV) farandolerun -np 2 python examples/torch/train_gpt.py

bench: setup $(STAMPS)/bench-packages .venv/.installed ## measure beside Open MPI and Gloo
	@$(IN_VENV) python tests/bench/run.py

timeline-cost: setup .venv/.installed ## what recording a timeline costs; fails from 3 % of training on
	@$(IN_VENV) farandolerun -np 2 python tests/bench/timeline_cost.py

lint: setup build ## formats, types, layers, docs in step with code
	@$(IN_VENV) python -m pytest tests/lint

format: setup ## format C++ and Python in place
	@git ls-files '*.h' '*.hpp' '*.cc' '*.c' | xargs --no-run-if-empty clang-format -i
	@$(IN_VENV) ruff format --quiet .

wheel: $(STAMPS)/packages $(WHEEL) ## one repaired wheel in dist/ for PYTHON; its path is the last line
	@ls -1 "$(CURDIR)"/dist/farandole-*-$(TAG)-*.whl

contract: build ## the contract suite's full product of cases
	@cmake --build --preset dev --target contract

test-large: build ## collectives of more than 2^31 elements
	@cmake --build --preset dev --target test-large

sim: $(STAMPS)/packages ## simulated jobs, SEEDS=100000 from FIRST=1 on all cores, or SEED= alone with its trace
	@cmake --preset dev > /dev/null
	@cmake --build --preset dev -j $(JOBS) --target sim > build/sim.log || { cat build/sim.log; exit 1; }
	@build/dev/tests/sim/sim --commit=$(shell git describe --always --dirty 2> /dev/null) $(if $(SEED),--seed=$(SEED), \
		--seeds=$(or $(SEEDS),100000) --first=$(or $(FIRST),1) --jobs=$(JOBS))

mutants: $(STAMPS)/packages ## deliberate bugs of the protocol, and what each net needs to catch it: docs/mutations.md
	@cmake --preset dev > /dev/null
	@cmake --build --preset dev -j $(JOBS) --target mutants > build/mutants.log || { cat build/mutants.log; exit 1; }
	@build/dev/tests/mutation/mutants $(JOBS) > build/mutations.md || { cat build/mutations.md; exit 1; }
	@cp build/mutations.md docs/mutations.md

soak: setup .venv/.installed ## random jobs with random failures for MINUTES=60; nothing may grow or stay
	@$(IN_VENV) python tests/soak/soak.py --minutes $(or $(MINUTES),60)

hosts: setup build .venv/.installed ## jobs on several hosts through ssh, with those that wait for time-outs
	@$(IN_VENV) python -m pytest --patient tests/hosts tests/failpoints/test_several_hosts.py

chaos: setup .venv/.installed ## real failures, TRIALS=20 of each (deaths 100), measured: build/chaos/table.md
	@$(IN_VENV) python tests/chaos/chaos.py --trials $(or $(TRIALS),20)

failpoints: setup build ## something happens at every failpoint: every action, scene and role
	@$(IN_VENV) python tests/failpoints/sweep.py

chaos-idle: setup .venv/.installed ## jobs on cores loaded twofold for MINUTES=30: nobody may raise an alarm
	@$(IN_VENV) python tests/chaos/chaos_idle.py --minutes $(or $(MINUTES),30)

forms: setup .venv/.installed ## drawn collectives of torch, CASES=10000 from SEED=1, by 2, 3 and 4 ranks over each communicator
	@$(IN_VENV) python tests/multiprocess/sweep_forms.py $(or $(SEED),1) $(or $(CASES),10000)

asan tsan: setup ## C++ and Python tests under address, undefined or thread sanitizer
	@$(IN_VENV) JOBS=$(JOBS) .ci/run_sanitized.sh $@

# Each target is fuzzed for MINUTES, two at once; MERGE=1 keeps what covers more (tests/fuzz/corpus).
build-fuzz: $(STAMPS)/packages ## build the fuzzers (preset fuzz; clang)
	@echo "==> build: preset fuzz"
	@cmake --preset fuzz > build/configure-fuzz.log 2>&1 || { cat build/configure-fuzz.log; exit 1; }
	@cmake --build --preset fuzz -j $(JOBS)

fuzz: build-fuzz ## fuzz every decoder for MINUTES=5 each; MERGE=1 keeps new inputs
	@$(PYTHON) tests/fuzz/fuzz.py --seconds $$(($(or $(MINUTES),5) * 60)) --jobs $(JOBS) --seed 0 --progress 60 \
		$(if $(MERGE),--merge) $(TARGETS)

fuzz-coverage: $(STAMPS)/packages ## lines of the decoders that the kept inputs reach; fails below 95 %
	@echo "==> build: preset fuzz-coverage"
	@cmake --preset fuzz-coverage > build/configure-fuzz.log 2>&1 || { cat build/configure-fuzz.log; exit 1; }
	@cmake --build --preset fuzz-coverage -j $(JOBS)
	@$(PYTHON) tests/fuzz/decoder_coverage.py

# Which Python was chosen; these change only when that changes.
$(STAMPS)/python $(STAMPS)/python-$(TAG): FORCE | $(STAMPS)/packages
	@$(PYTHON) .ci/describe_python.py .venv > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.venv/.ready: $(STAMPS)/python requirements-build.txt requirements-dev.txt requirements-torch.txt
	@.ci/make_venv.sh .venv $< requirements-dev.txt requirements-torch.txt
	@touch $@

$(TOOLS)/.ready: $(STAMPS)/python-$(TAG) requirements-build.txt
	@.ci/make_venv.sh $(TOOLS) $< requirements-build.txt
	@touch $@

$(WHEEL): $(TOOLS)/.ready .ci/add_licenses.py .ci/build_wheel.sh $(WHEEL_SOURCES)
	@.ci/build_wheel.sh $(TOOLS)
	@touch $@

.venv/.installed: .venv/.ready $(WHEEL)
	@echo "==> .venv: installing the wheel"
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --force-reinstall \
		dist/farandole-*-$(TAG)-*.whl
	@touch $@
endif
