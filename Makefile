# The commands of this project. `make help` lists them.
SHELL := bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
DEMO_PORT ?= 8080
DEMO_ADMIN_PORT ?= 8081
# Where the labelled prompts are that docs/classifier.md describes.
DATA ?= $(or $(TURNPIKE_SHARED_DATA),../shared/data)

.PHONY: help demo test fuzz bench routing-report build plugins classifier-report classifier-weights check fmt clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# Policies are made by a tool that shares its crates with what is built after it.
demo: export TURNPIKE_TOOL_PROFILE := demo
build bench: export TURNPIKE_TOOL_PROFILE := release
demo: plugins ## Gateway, simulated providers, credit and a key: ready to try (Ctrl-C stops)
	cargo build --profile demo --locked -p turnpike
	@exec $(TARGET)/demo/turnpike demo --port $(DEMO_PORT) --admin-port $(DEMO_ADMIN_PORT)

test: plugins ## Every test, installing what they need
	@tests/run.sh

fuzz: ## The protocol crate's fuzz targets, a minute each (FUZZ_SECONDS, FUZZ_TARGETS)
	@tests/fuzz.sh

bench: build ## CPU per request beside nginx; writes the table of docs/performance.md
	@tests/bench/run.sh

routing-report: plugins ## What auto costs and is worth, in a simulation; writes docs/routing-report.md
	cargo run --locked -p turnpike-routing-report -- --out docs/routing-report.md $(REPORT_FLAGS)

build: plugins ## The release binary
	cargo build --release --locked -p turnpike

plugins: ## The built-in policies as WebAssembly components, in plugins/dist
	@plugins/build.sh

classifier-report: ## The built-in classifier's figures by cross-validation (DATA=folder of the dev sets)
	@plugins/classify-default/train/run.sh report "$(DATA)"

classifier-weights: ## Trains the built-in classifier and writes its weights (DATA=…)
	@plugins/classify-default/train/run.sh write "$(DATA)"

check: plugins ## Format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format the code
	cargo fmt --all
	cd plugins && cargo fmt --all

clean: ## Remove what was built
	cargo clean
	rm -rf plugins/dist plugins/target plugins/.toolchain
