# The project's commands; `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export CELEBCAM_DATA ?= ../shared
PYTHON := .venv/bin/python
CARGO_FLAGS := --locked

# Training: DATA is a folder of people, OUT the model to write.
PRESET ?= default
export PRESET TRAIN_USAGE
define TRAIN_USAGE
usage: make train DATA=folder OUT=model.onnx
  DATA      a folder with a folder of pictures for each person, and unknown/ for strangers
  OUT       the model file to write
  CHECK=1   only look at the pictures: what is left out, and why (needs no OUT)
  RESUME=1  go on with a run that was stopped
  TRUST=1   the folders are right: leave out nothing but copies
  PRESET    default, mobilenet_v1, original, or a .toml file
  BACKBONE  mobilefacenet, mobilenet_v1, or a MobileNet of timm
  WEIGHTS   faces, vggface2, imagenet, a .safetensors file, or hub (timm's)
endef
TRAIN_ARGUMENTS = "$$DATA" $(if $(CHECK),--check,"$$OUT") --preset "$$PRESET" \
	$(if $(BACKBONE),--backbone "$$BACKBONE") $(if $(WEIGHTS),--weights "$$WEIGHTS") \
	$(if $(TRUST),--trust) $(if $(RESUME),--resume)
# Cross-building and emulation.
TARGET ?= aarch64-unknown-linux-gnu
CPUS ?= cortex-a72 cortex-a76
# How long to try each target of the fuzzer, and how long in `make check`.
SECONDS_TO_FUZZ ?= 180
SECONDS_TO_CHECK_FUZZ ?= 20
# With the fuzzer among the packages, all checks share one build of the libraries.
CHECKED := --workspace
# Stands before what `make check` tells the time of at its end, with the name of the stage.
STAGE := tools/repo/stages.sh one
# How many frames the soak takes, and the seed of what goes wrong.
FRAMES ?= 200000
SEED ?= 1

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## build the release binary, target/release/celebcam
	tools/repo/system-packages.sh build
	cargo build --release $(CARGO_FLAGS)

.PHONY: demo
demo: build sample ## name the people on a sample photo and draw what was found
	@echo
	@target/release/celebcam --quiet identify build/demo/six-people.jpg --annotate build/demo/annotated
	@echo
	@echo "The picture with boxes and names: $(CURDIR)/build/demo/annotated/six-people.jpg"

.PHONY: sample
sample: build/demo/six-people.jpg ## fetch the sample photo

build/demo/six-people.jpg:
	$(STAGE) packages tools/repo/system-packages.sh pip
	$(STAGE) sample python3 tools/repo/sample_photo.py $@

.PHONY: check
check: ## everything that guards the project; tells at its end how long each stage took
	@tools/repo/stages.sh all $(MAKE) --no-print-directory check-format check-rust check-fuzz check-tools check-boards

.PHONY: quick
quick: ## form, lints and unit tests: what to run after each change
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) $(CHECKED) --all-targets -- -D warnings
	cargo test $(CARGO_FLAGS) $(CHECKED) --lib

.PHONY: check-format
check-format: .venv check-scripts ## form of the code, and lints of scripts and tools
	$(STAGE) format cargo fmt --check
	$(STAGE) format .venv/bin/ruff check tools
	$(STAGE) format .venv/bin/ruff format --check tools
	$(STAGE) format .venv/bin/ruff check --config tools/ruff.toml tests/vm
	$(STAGE) format .venv/bin/ruff format --config tools/ruff.toml --check tests/vm

.PHONY: check-scripts
check-scripts: ## lints of the shell scripts
	$(STAGE) packages tools/repo/system-packages.sh lint
	$(STAGE) scripts tools/repo/check-scripts.sh

.PHONY: check-rust
check-rust: sample libraries ## lints, docs and tests of the binary on this machine
	$(STAGE) packages tools/repo/system-packages.sh build fuzz
	$(STAGE) clippy cargo clippy $(CARGO_FLAGS) $(CHECKED) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(STAGE) doc cargo doc $(CARGO_FLAGS) $(CHECKED) --no-deps
	$(STAGE) test cargo test $(CARGO_FLAGS) $(CHECKED)

.PHONY: check-tools
check-tools: .venv ## tests of the tools
	$(STAGE) tools cargo build $(CARGO_FLAGS) $(CHECKED) --bin celebcam
	$(STAGE) tools $(PYTHON) -m pytest -q tools/tests

.PHONY: libraries
libraries: ## check the libraries by deny.toml: make libraries [ADVISORIES=copy of rustsec/advisory-db]
	$(STAGE) libraries python3 tools/repo/libraries.py $(if $(ADVISORIES),"$(ADVISORIES)")
	@! command -v cargo-deny >/dev/null || $(STAGE) libraries cargo deny --offline check licenses bans sources

.PHONY: check-boards
check-boards: sample ## the tests on emulated boards
	tools/repo/check-boards.sh $(CPUS)

.PHONY: bench
bench: build ## measure how fast this machine runs the models, and the single kernels
	target/release/celebcam bench --layers
	cargo bench $(CARGO_FLAGS) --package celebcam-engine --bench kernels

.PHONY: bench-peers
bench-peers: .venv .venv-bench build ## compare with onnxruntime, OpenVINO and LiteRT on a MobileNet V1: [MODEL=int8.onnx] [ISA=avx2]
	$(PYTHON) tools/peers/compare.py $(if $(MODEL),--model "$(MODEL)") $(if $(ISA),--isa "$(ISA)")

.PHONY: bench-arm
bench-arm: ## count instructions and estimate cycles on emulated boards: make bench-arm [MODEL=file.onnx]
	tools/repo/system-packages.sh aarch64 emulator bench-arm
	tools/repo/cross.sh aarch64-unknown-linux-gnu build --release $(CARGO_FLAGS)
	python3 tools/boards/bench.py --cpus $(CPUS) $(if $(MODEL),--model "$(MODEL)")

.PHONY: bench-idle
bench-idle: .venv ## count the instructions of a second before an empty room on emulated boards
	tools/repo/system-packages.sh aarch64 emulator bench-arm
	tools/repo/cross.sh aarch64-unknown-linux-gnu build --release $(CARGO_FLAGS)
	$(PYTHON) tools/boards/idle.py --cpus $(CPUS)

.PHONY: vm-check
vm-check: .venv sample ## run the service on an emulated board with a camera that fails: [CASES="unplug service"]
	tools/repo/system-packages.sh aarch64
	$(MAKE) deb ARCH=arm64
	tests/vm/check.sh target/boards/aarch64-unknown-linux-gnu/release/celebcam \
		"$$(ls -t target/debian/celebcam_*_arm64.deb | head -1)" build/demo/six-people.jpg $(PYTHON) $(CASES)

.PHONY: check-fuzz
check-fuzz: ## build every target of the fuzzer, replay its kept inputs and run each for a moment
	$(STAGE) packages tools/repo/system-packages.sh build fuzz
	FUZZ_SEED=1 $(STAGE) fuzz tools/repo/fuzz.sh $(SECONDS_TO_CHECK_FUZZ)

.PHONY: fuzz
fuzz: ## try models, pictures, streams and kernels with inputs that a fuzzer chooses: [SECONDS_TO_FUZZ=180]
	tools/repo/system-packages.sh build fuzz
	tools/repo/fuzz.sh $(SECONDS_TO_FUZZ)

.PHONY: measure
measure: .venv build ## measure what is promised of strangers and of people who are added, on CELEBCAM_DATA
	$(PYTHON) tools/recognizer/measure.py "$$CELEBCAM_DATA/data"

.PHONY: cases
cases: build ## try the inputs in CELEBCAM_DATA on which celebcam failed once
	tests/cases.sh

.PHONY: soak
soak: ## people come and go while everything goes wrong: make soak [FRAMES=200000] [SEED=1]
	tools/repo/system-packages.sh build
	CELEBCAM_SOAK_FRAMES=$(FRAMES) CELEBCAM_SOAK_SEED=$(SEED) \
	  cargo test --release $(CARGO_FLAGS) --test soak -- --nocapture

.PHONY: cross
cross: ## build for a board: make cross TARGET=aarch64-unknown-linux-gnu
	tools/repo/cross.sh $(TARGET) build --release $(CARGO_FLAGS)

.PHONY: deb
deb: ## build Debian packages into target/debian: make deb [ARCH=arm64|armhf|amd64]
	tools/repo/deb.sh $(ARCH)

.venv: tools/requirements.txt tools/repo/uv.txt
	$(STAGE) packages tools/repo/system-packages.sh python
	$(STAGE) environment tools/repo/python-environment.sh

.venv-bench: tools/peers/requirements.txt tools/repo/uv.txt
	tools/repo/system-packages.sh python
	tools/repo/python-environment.sh .venv-bench tools/peers/requirements.txt

.PHONY: train
train: ## train a model: make train DATA=folder OUT=model.onnx; alone it tells its options
	@test -n "$$DATA" -a -n "$$OUT$$CHECK" || { echo "$$TRAIN_USAGE"; exit 2; }
	@python3 tools/recognizer/pipeline.py $(TRAIN_ARGUMENTS) --only-arguments
	@$(MAKE) --no-print-directory .venv build
	@$(PYTHON) tools/recognizer/pipeline.py $(TRAIN_ARGUMENTS)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf target build .venv .venv-bench
