# Understudy. `make demo` is the first minute, `make test` checks everything, `make help` lists the rest.
#
# Everything is installed into .venv, nothing outside it is touched. What has been done leaves a stamp there, so a second
# call starts at once. pip's own settings (PIP_FIND_LINKS, PIP_INDEX_URL, ...) are honoured by pip itself.

VENV := .venv
BIN := $(VENV)/bin
PYTHONS := python3 python3.12 python3.11 python3.10 python
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Processes that test at once; a file's tests stay together. 0: one, in which prints and breakpoints are seen.
WORKERS ?= 2
say = @printf '\n-- %s\n'

# Two threads are slower than one where another program keeps a core busy; a larger machine may say otherwise.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test lint slow plain site dist pins python clean

help:
	@echo 'make demo    make films and a sheet to look at; says where they are'
	@echo 'make test    ruff, mypy and pytest; a part of it: make test ARGS="-k clip"'
	@echo 'make lint    ruff and mypy alone'
	@echo 'make slow    the tests that take long'
	@echo 'make plain   the tests with what plain pip installs, before a release'
	@echo 'make site    build the documents into site/, without warnings'
	@echo 'make dist    build the wheel into dist/'
	@echo 'make pins    resolve constraints.txt anew (needs uv)'
	@echo 'make python  say which Python is used, or what is missing'
	@echo 'make clean   remove .venv and what the tools left behind'
	@echo
	@echo 'Another Python than the first that fits: make demo PYTHON=/path/to/python3.12'
	@echo 'Without PyTorch, and so without the film by diffusion: make demo TORCH=no'

# PyTorch is for the film by diffusion alone; where it cannot be had, there are the other two, and the demo says so.
demo: $(VENV)/run.done
ifneq ($(TORCH),no)
	@$(MAKE) --no-print-directory --silent $(VENV)/torch.done || \
	    echo '-- PyTorch could not be installed (see above): the demo goes on without it' >&2
endif
	$(say) 'The demo'
	@$(BIN)/understudy demo

test: lint
	$(say) 'pytest (some minutes)'
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lint: $(VENV)/test.done
	$(say) 'ruff and mypy'
	@$(BIN)/ruff check .
	@$(BIN)/mypy

slow: $(VENV)/test.done
	$(say) 'pytest, the slow tests'
	@$(BIN)/python -m pytest -m slow --timeout 3600 $(ARGS)

# What pip brings by itself (numpy 1.26, an OpenCV that needs libGL) in the place of the lists: see pyproject.toml.
plain: $(BIN)/python
	$(say) 'The tests again, in an environment of plain pip (2 GB; minutes)'
	@$(BIN)/python -m venv $(VENV)-plain
	@$(VENV)-plain/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt --editable '.[test]'
	@$(VENV)-plain/bin/python -m pytest $(ARGS)

site: $(BIN)/python
	$(say) 'The documents'
	@$(PIP) -c constraints.txt mkdocs-material
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(VENV)/run.done
	$(say) 'The wheel'
	@$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist

pins:
	@python3 requirements/pin.py

# The first Python that fits (or the one that was asked for); where none does, say what was seen and what to do.
python:
	@found=; for one in $(or $(PYTHON),$(PYTHONS)); do \
	    if "$$one" requirements/fits.py >/dev/null 2>&1; then found="$$one"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'No Python here fits. Understudy needs Python 3.10, 3.11 or 3.12 (64 bit) with venv.' >&2; \
	    for one in $(or $(PYTHON),$(PYTHONS)); do \
	        printf '  %s: ' "$$one" >&2; \
	        if command -v "$$one" >/dev/null 2>&1; then "$$one" requirements/fits.py 2>&1 | sed -n 1p >&2; \
	        else echo 'not found' >&2; fi; \
	    done; \
	    echo 'To get one:  Debian, Ubuntu  sudo apt install python3 python3-venv' >&2; \
	    echo '             Fedora          sudo dnf install python3.12' >&2; \
	    echo '             macOS           brew install python@3.12' >&2; \
	    echo '             anywhere        pyenv install 3.12, or uv python install 3.12' >&2; \
	    echo 'Then:        make $(or $(firstword $(MAKECMDGOALS)),demo), or the same with PYTHON=/path/to/python3.12' >&2; \
	    exit 1; \
	fi; \
	mkdir -p $(VENV); echo "$$found" > $(VENV)/chosen; \
	printf -- '-- Python: %s (%s)\n' "$$(command -v "$$found")" "$$("$$found" -V 2>&1)"

$(BIN)/python:
	@$(MAKE) --no-print-directory python MAKECMDGOALS='$(MAKECMDGOALS)'
	$(say) 'A private environment in $(VENV) (once)'
	@"$$(cat $(VENV)/chosen)" -m venv $(VENV)

$(VENV)/run.done: requirements/run.txt constraints.txt pyproject.toml | $(BIN)/python
	$(say) 'Installing what drawing needs: MediaPipe, OpenCV, PyAV, ... (0.2 GB to fetch, 0.6 GB on disk; a minute)'
	@$(PIP) --no-deps -r requirements/run.txt
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/torch.done: requirements/torch.txt constraints.txt | $(BIN)/python
	$(say) 'Installing PyTorch (0.2 GB to fetch if it is a CPU build, 3 GB with CUDA; minutes)'
	@$(PIP) -r requirements/torch.txt
	@touch $@

$(VENV)/test.done: requirements/test.txt $(VENV)/run.done $(VENV)/torch.done
	$(say) 'Installing what the tests need (0.1 GB to fetch, 0.4 GB on disk)'
	@$(PIP) --no-deps -r requirements/test.txt
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-plain build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find understudy tests requirements -name __pycache__ -type d -prune -exec rm -rf {} +
