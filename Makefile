# What a person does here: `make demo`, `make test`. Both set up all they need, in this folder.
PYTHON ?= $(shell for each in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
DEMO := .venvs/demo
SITE := .venvs/site
TOGETHER := -n 3 --dist loadfile
MEASURED := tests/unit tests/contract tests/registry
REST := tests/properties tests/golden tests/house
unexport PYTHONDONTWRITEBYTECODE # tests start some thousand processes, each of which would compile all that it imports
export MODELCRATE_TEST_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelcrate-tests
ANYWHERE = $(shell find builder/modelcrate layers/modelcrate_layers -name '*.py' -not -path '*/containers/*' -not -path '*/scripts/*')
SOURCES := $(shell find builder layers -name '*.py' -o -name '*.asc' 2>/dev/null)

.PHONY: help demo test check measured lint judges bench fuzz mutations docs site image pex deb clean

help:
	@echo 'make demo   build the image of a real model, start it without any engine, ask it for predictions'
	@echo 'make test   everything: style, types, all tests; as root on Debian it installs the tools that judge us'
	@echo 'make check  what every commit has to pass: style, types, the fast tests'
	@echo 'make bench  measure, against other tools where they are installed'
	@echo 'make fuzz   hostile bytes, steered by coverage, into every parser: SECONDS for each of them, or FUZZ="NAME ..."'
	@echo 'make mutations   2,000 variants of every known hostile pickle, or COUNT; what passes the gate is loaded in children that may not act'
	@echo 'make image  modelcrate itself as an image, made by modelcrate: IMAGE="-t NAME" or IMAGE="--push REF"'
	@echo 'make pex    modelcrate as one file that runs without a network and an installation: OUT=build/modelcrate.pex'
	@echo 'make deb    modelcrate as a Debian package: OUT=build ARCH=amd64'
	@echo 'make docs   write the generated pages anew'
	@echo 'make site   the documentation as a website, in build/site; a link that leads nowhere is an error'

demo: $(DEMO)/.done
	@$(DEMO)/bin/python tools/demo.py

test: judges measured
	$(BIN)/python -m pytest $(REST) tests/interop tests/e2e $(TOGETHER) $(PYTEST)

check: measured
	$(BIN)/python -m pytest $(REST) -m 'not network and not slow' $(TOGETHER) $(PYTEST)

# Only these tests are measured: coverage costs two thirds of a test's time. What they do not reach, no other test makes up for.
measured: lint
	$(BIN)/python -m pytest $(MEASURED) --cov --cov-report= $(TOGETHER) $(PYTEST)
	$(BIN)/python -m coverage report --fail-under=90 --skip-covered
	$(BIN)/python -m coverage report --fail-under=95 --include='*/modelcrate_layers/*' --format=total

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@echo "mypy once more, as on Windows"
	@$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 --follow-imports silent $(ANYWHERE)

judges: $(VENV)/.done
	@sh tools/install-judges.sh

bench: $(VENV)/.done
	PYTHONPATH=builder:layers:tests $(BIN)/python -m bench $(BENCH)

fuzz: $(VENV)/.fuzz
	PYTHONPATH=builder:layers:tests $(BIN)/python -m fuzz --seconds $(or $(SECONDS),120) --kept $(MODELCRATE_TEST_CACHE)/fuzz $(FUZZ)

mutations: judges
	MODELCRATE_MUTATIONS=$(or $(COUNT),2000) $(BIN)/python -m pytest tests/interop/test_pickle_mutations.py -q -s

docs: $(VENV)/.done
	$(BIN)/python tools/write_schema.py
	$(BIN)/python tools/write_reference.py
	$(BIN)/python tools/write_llms.py

image: $(VENV)/.done
	@$(BIN)/python tools/build_image.py $(IMAGE)

pex: $(VENV)/.done
	@$(BIN)/python tools/build_pex.py $(or $(OUT),build/modelcrate.pex) $(PEX)

deb: $(VENV)/.done
	@$(BIN)/python tools/build_deb.py $(or $(OUT),build) $(or $(ARCH),amd64)

site: $(SITE)/.done
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict

$(VENV)/.done: pyproject.toml
	@sh tools/install.sh $(PYTHON) $(VENV) --editable '.[dev]'
	@touch $@

$(VENV)/.fuzz: $(VENV)/.done
	@sh tools/install.sh $(PYTHON) $(VENV) --editable '.[dev,fuzz]'
	@touch $@

$(DEMO)/.done: pyproject.toml $(SOURCES)
	@echo 'make demo: modelcrate and its dependencies go into $(DEMO); the first time takes about half a minute'
	@sh tools/install.sh $(PYTHON) $(DEMO) .
	@touch $@

$(SITE)/.done: tools/site.txt
	@sh tools/install.sh $(PYTHON) $(SITE) --requirement tools/site.txt
	@touch $@

clean:
	rm -rf .venv .venvs build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
