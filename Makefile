# berth. `make` says what there is to make.
.DEFAULT_GOAL := help
.PHONY: help build provision test demo lint bench clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the release binary, statically linked; prints its path
	@scripts/build

provision: ## what demo and tests run against: containerd, runc, CNI plugins, an image (root, apt)
	@scripts/provision

test: ## all tests, those on a real containerd included (root)
	@scripts/provision >/dev/null
	cargo test --locked

demo: ## berth at work on a real containerd (root)
	@scripts/demo

lint: ## format, clippy and documentation with warnings denied, cargo-deny
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --quiet
	@scripts/deny

bench: ## the figures of docs/benchmarks.md, of the static binary (root)
	BERTH_BIN=$$(scripts/build) cargo bench --locked

clean: ## remove what was built here; the cache of the provisioning stays
	cargo clean
