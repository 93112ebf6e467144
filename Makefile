# What a person types, and what CI runs. `make help` lists it.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run run-cluster demo web build test compose-test lint audit fmt openapi reference bench bench-quick

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE := $(TARGET)/release
VENV := $(TARGET)/venv
CARGO_DENY_VERSION := 0.20.2
PYTHON_PACKAGES := cryptography==50.0.2 schemathesis==4.32.5

help: ## Say what there is (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build .env ## Run AppA on port 8001 and AppB on 8002 until Ctrl-C
	@scripts/run

run-cluster: build ## Run two replicas of each app, with their own PostgreSQL and Redis, until Ctrl-C
	@scripts/run-cluster

demo: ## Show two people writing to each other, and what the databases hold (needs make run)
	@node scripts/demo.mjs

web: ## Build the web interface, which the apps embed
	@scripts/web build

build: web ## Build both apps with the interface, optimised
	cargo build --release --bins -p app-a -p app-b

test: lint web $(VENV)/ready ## Run all checks and all tests
	scripts/try-alerts
	scripts/web check
	cargo build --workspace --bins
	scripts/with-apps scripts/web try
	@if [ -x $(VENV)/bin/schemathesis ]; then \
		SCHEMATHESIS=$(VENV)/bin/schemathesis scripts/with-apps scripts/contract-test; \
	fi
	scripts/with-apps scripts/postman
	@export CARGO_TERM_PROGRESS_WHEN=never; \
	if [ -x $(VENV)/bin/python ]; then export TEST_PYTHON=$(VENV)/bin/python; fi; \
	scripts/with-faketime scripts/with-redis scripts/with-postgres cargo test --workspace

compose-test: ## Try the containers for real (needs a Docker engine, and half an hour; make test does not do it)
	@scripts/compose-test --cluster

lint: ## Check format, lints, licences and sources
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@$(cargo-deny)
	cargo deny --log-level error check bans licenses sources

audit: ## Look the dependencies up in the advisory database (needs the network)
	@$(cargo-deny)
	cargo deny check advisories

fmt: ## Format the code
	cargo fmt --all

openapi: ## Write the description of the API to openapi/messaging.json, and the client of the interface from it
	cargo run -q -p app-a -- openapi > openapi/messaging.json.new && mv openapi/messaging.json.new openapi/messaging.json
	@scripts/web client

reference: ## Write docs/CONFIGURATION.md and .env.example from the table of variables in the code
	cargo run -q -p app-a -- config docs > docs/CONFIGURATION.md.new && mv docs/CONFIGURATION.md.new docs/CONFIGURATION.md
	cargo run -q -p app-a -- config docs --env > .env.example.new && mv .env.example.new .env.example

bench: build ## Measure everything and compare it, in half an hour; BENCH='sends --rounds 9' measures less
	cargo build --release -p bench
	@$(bench) $(BENCH)

bench-quick: build ## The same with fewer and shorter measurements, in some minutes
	cargo build --release -p bench
	@$(bench) --quick $(BENCH)

# PostgreSQL syncs to disk here. What cannot be had is left out, and the report says so.
bench = CI=false POSTGRES_SYNC=on scripts/with-redis scripts/with-postgres $(RELEASE)/bench

# Unoptimised: it is needed once, and compiles sooner so.
cargo-deny = cargo deny --version >/dev/null 2>&1 || { \
	echo 'cargo-deny is not installed; installing it, which takes some minutes'; \
	CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --debug --quiet; }

# Secrets for both apps, for their owner alone, written whole or not at all.
.env: | build
	@umask 077 && $(RELEASE)/app-a keygen --env > .env.new && mv .env.new .env || { rm -f .env.new; exit 1; }
	@echo 'Made .env with fresh keys and secrets; keep it, or stored messages cannot be opened any more.'

# One test opens our tokens with another Fernet library, that of Python; another asks whatever the description allows.
$(VENV)/ready:
	@if python3 -m venv $(VENV) && $(VENV)/bin/python -m pip install -q --disable-pip-version-check $(PYTHON_PACKAGES); then \
		touch $@; \
	else \
		rm -rf $(VENV); \
		printf '\n%s\n' '!!! Python 3 with venv and its packages $(PYTHON_PACKAGES) CANNOT BE HAD HERE.' >&2; \
		printf '%s\n\n' '!!! The test of our tokens with another Fernet library, and that of the API by its description, are NOT RUN.' >&2; \
		[ "$$CI" != true ]; \
	fi
