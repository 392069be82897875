# What a newcomer types. `make demo` first.

PROFILE ?= release
BINARY := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/chaperone
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help setup build demo demo-check test clinical twins versions transparency bench lint clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what this machine lacks (Debian, Ubuntu)
	@tests/setup/install

build: setup
	$(CARGO) build --locked --profile $(PROFILE) --workspace --bins

demo: build ## a clinic, an issuer and the gateway on loopback, until Ctrl-C
	@$(BINARY) demo

demo-check: build ## play the demo unattended and assert every step
	@$(BINARY) demo --check

test: setup ## everything that runs in minutes
	$(CARGO) test --locked --workspace
	$(CARGO) build --locked --workspace --bins
	QUICK=1 CHAPERONE=target/debug/chaperone tests/transparency/run

clinical: setup ## how many statements of clinical work are answered, and whether rightly
	$(CARGO) test --locked -p chaperone --test gateway -- clinical --nocapture

twins: setup ## can an agent tell two databases apart that differ in what is masked? half an hour; QUICK=1 a minute
	@tests/twins/run

versions: setup ## the tests that hang on the server, on PostgreSQL 14, 16, 17 and 18
	@tests/versions/run

transparency: build ## the suites of PostgreSQL and its drivers, direct and through the gateway
	@tests/setup/install suites
	@CHAPERONE=$(BINARY) tests/transparency/run $(SUITES)

bench: build ## direct, PgBouncer and Chaperone in one run, as ratios
	@tests/setup/install bench
	@CHAPERONE=$(BINARY) bench/run $(BENCH)

lint: setup ## format, clippy, the tree's own rules
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) xtask all

clean: ## remove what was built and fetched
	$(CARGO) clean
	rm -rf .parts
