# Everything a newcomer or CI runs. The first use of any target but `clean` creates .venv and installs into it
# (about 2 minutes and 6 GB, most of it PyTorch); after that a target starts at once.
# Another interpreter: make test PYTHON=python3.12. To start over, or to get the disk space back: rm -rf .venv

PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: install demo report web test check clean

install: $(STAMP)

# Train, distil, measure, upscale and export in a few minutes, without a download; writes to srkd_demo/.
demo: $(STAMP)
	$(BIN)/srkd demo

# The measured results as a page with charts, and pictures where Set5 and Urban100 are below datasets/.
report: $(STAMP)
	$(BIN)/srkd report docs/results/switchable_x4/benchmark.json \
	  docs/results/distillation_x4_cpu-evening/benchmark.json -o results/report.html

# Pages that upscale in the browser with the networks that come with the package: results/web-x2/ and so on.
web: $(STAMP)
	for scale in 2 3 4; do $(BIN)/srkd export switchable-x$$scale --web results/web-x$$scale --overwrite || exit; done

# One thread each: the workers share the cores.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache

# Keeps .venv (rm -rf .venv removes it) and what runs produced: experiments/, results/, datasets/.
clean:
	rm -rf build dist srkd_demo .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# BasicSR comes as a source package whose build imports torch: in pip's isolated build environment that would fetch
# torch a second time. So torch and the build tools come first, and then everything else builds with them.
$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'srkd needs Python 3.11 or newer and make found "$(PYTHON)" ($(shell $(PYTHON) --version 2>&1)): try make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '"$(PYTHON)" cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)' >&2; exit 1; }
	@echo 'Installing into .venv: about 2 minutes and 6 GB the first time, seconds after a change of pyproject.toml.'
	@$(PYTHON) -m venv .venv
	@$(PIP_INSTALL) torch torchvision numpy cython setuptools wheel hatchling editables
	@$(PIP_INSTALL) --no-build-isolation --editable '.[dev,export,heic,plot,spandrel]'
	@touch $@
