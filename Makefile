# berth. `make` says what there is to make.
.DEFAULT_GOAL := help

# What the end-to-end tests run on: engines, newest first, and runtimes behind one; and an upgrade of berth.
engines := containerd-2.3 containerd-2.2 containerd-2.1 containerd-1.7 containerd-1.6 crio-1.36 podman \
	docker-next docker-20.10 nerdctl gvisor userns vm upgrade
engine_tests := $(engines:%=test-engine-%)

.PHONY: help build image provision test $(engine_tests) test-faults test-churn test-engines test-prometheus test-image \
	test-kubernetes test-kind test-release test-arm64 demo lint fuzz bench prove clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the release binary, statically linked; prints its path
	@scripts/build

image: ## the image, by docker or buildah; prints the path of an archive for ctr, docker, podman and kind to load
	@scripts/image

provision: ## what demo and tests run against: containerd, runc, CNI plugins, an image (root, apt)
	@scripts/provision

test: ## all tests, those on a real containerd included (root)
	@scripts/provision basics containerd image kustomize >/dev/null
	cargo test --locked

test-faults: ## killed, and failed, at every system call that changes something; at each one with BERTH_FAULTS=all (root)
	@scripts/provision basics containerd >/dev/null
	cargo test --locked --test faults -- --nocapture

test-churn: ## pods by the thousand that come and go while everything is killed, under the static binary (root)
	@scripts/provision basics containerd image >/dev/null
	BERTH_BIN=$$(scripts/build) BERTH_CHURN=$${BERTH_CHURN:-10000} BERTH_CHURN_REAL=$${BERTH_CHURN_REAL:-500} \
		cargo test --locked --test churn -- --test-threads=1 --nocapture

$(engine_tests): test-engine-%:
	@scripts/test-engine $*

test-engines: ## the end-to-end tests on every engine; on one of them: make test-engine-containerd-2.2, test-engine-vm, ... (root)
	@scripts/test-engine $(engines)

test-prometheus: ## what promtool and a real Prometheus make of metrics, alerts and dashboard (root)
	@scripts/provision prometheus >/dev/null
	cargo test --locked --test prometheus

test-image: ## the image: what is in it, for both processors, built twice, and run by a real containerd (root)
	@scripts/provision basics containerd image berth_image >/dev/null
	cargo test --locked --test image

test-kubernetes: ## berth in a cluster from plain binaries (root; the first time builds Kubernetes, ten minutes)
	@scripts/provision basics containerd image berth_image berth_previous kubernetes prometheus-crds >/dev/null
	cargo test --locked --test e2e_kubernetes -- --test-threads=1

test-kind: ## the same on a cluster that kind makes and that is deleted again (root, docker or podman)
	@scripts/test-kind

test-arm64: ## what the daemon calls, and what its filter refuses, on a kernel for arm64 that QEMU boots (root, rustup)
	@scripts/test-arm64

test-release: ## the scripts of a release, and the steps of the workflow around them (root)
	@scripts/provision kustomize registry >/dev/null
	cargo test --locked --test release

demo: ## berth at work on a real containerd (root)
	@scripts/demo

lint: ## format, clippy and documentation with warnings denied, shellcheck, actionlint, cargo-deny
	cargo fmt --check
	cargo clippy --locked --all-targets --test '*' -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --quiet
	@scripts/lint-scripts
	@scripts/deny

fuzz: ## the fuzzers, 20 s each (root); for figures BERTH_FUZZ_SECONDS=1800
	@scripts/fuzz

bench: ## the figures of docs/benchmarks.md, beside the peers in Go; BERTH_BENCH=short for a quick look (root, Go)
	@scripts/bench

prove: ## what docs/reliability.md and benchmarks.md rest on, in its long form: hours; scripts/prove --short is of minutes (root, Go)
	@scripts/prove

clean: ## remove what was built here; the cache of the provisioning stays
	cargo clean
