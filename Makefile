# `make` prints the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/package.json \
	web/package-lock.json web/tsconfig.json web/vite.config.ts
FUZZ_SECONDS ?= 60
# Of the hour in `make soak`; empty is all of it.
SYNC_SECONDS ?=

.PHONY: help run dev build fmt lint test test-unit test-web test-e2e test-split soak test-services test-api test-deploy fuzz bench generate docs docker release up down logs clean

help: ## Print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: build ## Build and run the server
	exec $(TARGET_DIR)/release/millrace serve

dev: setup-build web/node_modules/.package-lock.json ## Run the server unoptimised, and the web app with hot reload on port 5173
	trap 'kill 0' EXIT; (cd web && npm run dev) & cargo build && cargo run -- serve

build: setup-build web/dist/index.html ## Build the server with the web app in it
	cargo build --release --locked

fmt: web/node_modules/.package-lock.json ## Format everything
	cargo fmt --all
	cd web && npm run --if-present format

lint: setup-build web/dist/index.html tests/browser/node_modules/.package-lock.json ## Formatting, clippy, types, eslint, licences and advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd web && npm run lint
	scripts/deny.sh

# All is built once, with both processors. Then the black-box tests, which mostly wait, run beside the others, which mostly
# compute. What two of these would make at once is made before.
test: setup-test web/dist/index.html tests/browser/node_modules/.package-lock.json ## All tests
	cargo test --workspace --locked --no-run
	scripts/services.sh s3 >/dev/null
	scripts/side-by-side.sh test-e2e 'test-web test-api test-unit test-services test-deploy'

# Always the whole workspace: another choice of packages is another set of features, and builds the dependencies again.
# Tests that need real servers have names that begin with e2e, and no others with e.
test-unit: setup-build web/dist/index.html ## Unit, property and corpus tests of the Rust crates
	cargo test --workspace --locked --lib --bins --test '[!e]*'

test-web: web/node_modules/.package-lock.json ## Tests of the web app
	cd web && npm test

# More at once than there are processors: they wait for media most of the time, and take turns where they do not.
test-e2e: setup-test web/dist/index.html tests/browser/node_modules/.package-lock.json ## Black-box tests: the real binary, ffmpeg, OBS, Chromium, nginx, MongoDB, Kafka, S3
	cargo test --workspace --locked --test e2e -- --test-threads=6

test-split: setup-test web/dist/index.html tests/browser/node_modules/.package-lock.json ## The black-box tests with a process for each role, on MongoDB and Kafka
	MILLRACE_TEST_TOPOLOGY=split cargo test --workspace --locked --test e2e -- --test-threads=3 --skip cluster::

soak: setup-test web/dist/index.html tests/browser/node_modules/.package-lock.json ## What dies in tests/cluster, with real windows, 20 broadcasts and 200 viewers, and an hour of rungs (75 minutes, SYNC_SECONDS=300: 20; nothing else should run)
	MILLRACE_TEST_WINDOWS=real MILLRACE_TEST_SYNC_SECONDS=$(SYNC_SECONDS) cargo test --workspace --locked --test e2e -- \
		--test-threads=1 --nocapture cluster:: sync::

test-services: setup-test ## Tests of what talks to MongoDB, Kafka and S3, with real ones
	cargo test --workspace --locked --test 'e2e_*'
	MILLRACE_TEST_STORE=mongodb cargo test --workspace --locked --lib -- $(ON_MONGODB)

# The tests of what is kept, which hold on either store. Not the table of who may do what: it makes a site for every row.
ON_MONGODB := accounts:: auth:: channels:: mail:: notices:: oauth:: playback:: publish:: push:: reports:: routes:: \
	schedule:: site:: studio:: --skip matrix_tests

test-api: setup-test web/dist/index.html ## The real binary beside its OpenAPI description, as an admin, a viewer and nobody
	cargo test --workspace --locked --test e2e --no-run
	scripts/test-api.sh $(TARGET_DIR)/debug/millrace

test-deploy: setup-test web/dist/index.html ## What people deploy: Compose, nginx, alerts and dashboards beside the real binary
	cargo test --workspace --locked --test e2e --no-run
	python3 tests/deploy/run.py $(TARGET_DIR)/debug/millrace "$$(scripts/services.sh prometheus)" "$$(scripts/services.sh hadolint)"

fuzz: setup-build ## Run every fuzz target for FUZZ_SECONDS (needs nightly Rust and cargo-fuzz)
	scripts/fuzz.sh $(FUZZ_SECONDS)

bench: setup-bench web/dist/index.html tests/browser/node_modules/.package-lock.json ## Measure, beside a peer or a floor in the same run
	scripts/bench.sh

generate: web/node_modules/.package-lock.json ## Write the OpenAPI description, the web client's types and the schema of chat anew
	UPDATE_OPENAPI=1 cargo test -p millrace-api --lib the_description_in_the_tree
	UPDATE_CHAT_SCHEMA=1 cargo test -p millrace-chat --lib the_schema_in_the_tree
	cd web && npm run generate

docs: ## Build the Rust documentation
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --document-private-items --locked

docker: ## Build the container image (needs a Docker engine)
	docker build -f docker_compose/Dockerfile --build-arg BUILD_COMMIT=$$(git rev-parse --short=12 HEAD) -t millrace:local .

COMPOSE_FILE ?= all-in-one.yaml
COMPOSE := docker compose -f docker_compose/$(COMPOSE_FILE)

release: build ## Debian package, archive, bill of materials and checksums into dist/ (RELEASE_DIR)
	scripts/setup.sh release
	scripts/release.sh $(TARGET_DIR)/release/millrace $(or $(RELEASE_DIR),dist)
	python3 tests/deploy/release.py $(or $(RELEASE_DIR),dist)

up: ## Build and start what docker_compose/all-in-one.yaml has (COMPOSE_FILE=split.yaml: the other), with the profiles of docker_compose/.env
	scripts/compose-secrets.sh
	BUILD_COMMIT=$$(git rev-parse --short=12 HEAD) $(COMPOSE) up --build --detach --wait
	$(COMPOSE) logs --no-log-prefix | grep -A2 'Make your account' | tail -3 || true

down: ## Stop it; what it keeps stays
	$(COMPOSE) --profile '*' down

logs: ## Follow its logs
	$(COMPOSE) --profile '*' logs --follow --tail 100

clean: ## Remove what was built
	cargo clean
	rm -rf web/dist web/node_modules tests/browser/node_modules

.PHONY: setup-build setup-test setup-bench
setup-build setup-test setup-bench: setup-%:
	@scripts/setup.sh $*

%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build
	@touch $@
