# Each target installs what it needs on its first run.
.PHONY: install demo test check docs browser test-cuda bench clean
VENV := .venv
STAMP := $(VENV)/.installed

install: $(STAMP)

$(STAMP): pyproject.toml tools/install.sh
	bash tools/install.sh $(VENV)

demo: $(STAMP)
	$(VENV)/bin/lidarpan demo --out out/demo

check: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

browser:
	bash tools/install_browser.sh

test: check browser
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist loadgroup -q

docs: $(STAMP)
	$(VENV)/bin/python -c "import mkdocs, mkdocstrings" 2>/dev/null || $(VENV)/bin/pip install -q -e '.[docs]'
	$(VENV)/bin/mkdocs build -q

test-cuda: $(STAMP)
	LIDARPAN_REQUIRE_CUDA=1 $(VENV)/bin/python -m pytest -m cuda

bench: $(STAMP)
	$(VENV)/bin/lidarpan bench

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache
