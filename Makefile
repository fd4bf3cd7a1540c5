# Everything is run from here; .ci/run calls `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
LOCAL_EXAMPLES := cell png16 jpeg tiff raw volume zarr

.PHONY: help demo test check simulate fuzz mutants lint doc check-changed deny workflows audit examples faults test-browser test-cluster cluster cluster-env cluster-down images crds openapi dashboard screenshots bench bench-blog bench-overlap bench-disk bench-network bench-readers bench-watched bench-scaling bench-operator bench-kernels clean fmt

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## a movie, a job over it with 4 servers, pictures in demo-out/ (SERVE=1 keeps serving)
	$(CARGO) build --release --locked -p cli --no-default-features
	target/release/arrayjob demo --out demo-out $(if $(SERVE),--serve)

test: ## all tests, the demo and the examples; installs what it needs; ends with a line of counts
	@tests/run

fuzz: ## coverage-guided fuzzing of all that comes from outside, for FUZZ_SECONDS (an hour if unset)
	fuzz/run

mutants: ## counts the changes of planner, steps, selections and URL policy that tests find; SHARD=0/10 tries a tenth; hours in all
	@$(CARGO) mutants --version >/dev/null 2>&1 || { echo "make mutants needs cargo-mutants: cargo install --locked cargo-mutants" >&2; exit 1; }
	$(CARGO) mutants --package api --output target $(if $(SHARD),--sharding round-robin --shard $(SHARD))

check: ## the fast part: formatting, lints, unit and local tests
	$(CARGO) fmt --all --check
	@$(MAKE) --no-print-directory lint doc deny
	$(CARGO) build --locked --quiet -p cli
	SEEDS=$${SEEDS:-200} $(CARGO) test --workspace --locked --quiet
	$(CARGO) test -p store --features loom --locked --quiet

# SEEDS=20000 runs more seeds, FIRST=1000 other seeds.
simulate: ## servers and the loop over a network and a clock in memory, with faults from 1,000 seeds; SEED=17 replays one
	$(CARGO) test --locked -p simulation

# `test = false` keeps the tests on a cluster and the faults out of --all-targets. The third line has the features of `make demo`.
lint: ## clippy, for all targets, with and without the features of the command
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(CARGO) clippy -p tests --test cluster --test faults --locked --quiet -- -D warnings
	$(CARGO) clippy -p cli --no-default-features --locked --quiet -- -D warnings

doc: ## the documentation of all crates; a broken link is an error
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --workspace --no-deps --document-private-items --locked --quiet

check-changed: ## formatting, lints and tests of the crates that have changes; SINCE=COMMIT also counts later commits
	@tests/check-changed $(SINCE)

deny: ## licences, sources and advisories of all dependencies
	tests/deny

workflows: ## checks the workflows of GitHub Actions; needs Go
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 .github/workflows/*.yml

audit: ## checkers of other projects: charts, objects of a job, routes of a served job; needs helm and Go
	tests/audit/run

examples: ## every example whose source is local
	$(CARGO) build --release --locked -p cli
	for name in $(LOCAL_EXAMPLES); do target/release/arrayjob run crds/examples/$$name.yaml; done

test-cluster: ## the tests on a Kubernetes cluster, which is made if there is none; TEST=name runs some of them
	tests/with-cluster tests/cluster/run $(TEST)

cluster: ## a cluster on this machine with the operator and the demo's job on it, to be played with
	tests/with-cluster --keep tests/cluster/demo

cluster-env: ## prints the line that a shell evaluates to use that cluster
	@source tests/kind-node/env; \
	echo "export KUBECONFIG=$$cache/$${ARRAYJOB_CLUSTER:-arrayjob-test}.kubeconfig PATH=$$bin:$$(realpath -m "$${CARGO_TARGET_DIR:-target}")/kubectl:\$$PATH"

cluster-down: ## deletes that cluster
	tests/with-cluster --down

images: ## the image of all programs, by this machine's Docker engine
	images/build

crds: ## writes the CustomResourceDefinition as the types give it
	$(CARGO) build --locked --quiet -p cli
	target/debug/arrayjob crd > crds/arrayjobs.yaml
	cp crds/arrayjobs.yaml charts/arrayjob-crds/files/arrayjobs.yaml

openapi: ## writes docs/openapi.json as the routes give it
	$(CARGO) build --locked --quiet -p cli
	target/debug/arrayjob openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

dashboard: ## bundles the page into dashboard/dist, which is committed
	tests/browser/prepare dashboard
	cd dashboard && npm run --silent check && npm run --silent build

test-browser: ## the page's tests in headless Chromium
	$(CARGO) build --locked --quiet -p cli
	tests/browser/run

screenshots: ## creates the README's pictures of the page, from a job that the target runs
	$(CARGO) build --release --locked -p cli
	ARRAYJOB=target/release/arrayjob tests/browser/run --pictures target/browser
	cp target/browser/dashboard.png target/browser/dashboard-pictures.png docs/images/

faults: ## faults at random moments of 300 jobs, and their table in docs/operations.md; FAULTS=n, SEED=n, TRIAL=n, CLUSTER=1
	tests/faults/run

bench: ## the whole job beside Dask and an expert's script, on the same frames; results in benches/runs/
	$(CARGO) build --release --locked -p cli -p benches --bin arrayjob --example phases
	python3 benches/whole_job.py

bench-blog: ## the blog's job at full size: 10,000 frames of 2000x2000, power of every pixel on disk
	$(CARGO) build --release --locked -p cli
	python3 benches/blog_job.py

bench-overlap: ## a job whose source is behind 100 Mbit/s, beside the transfer alone; needs root and iproute2
	$(CARGO) build --release --locked -p cli
	python3 benches/overlap.py

bench-disk: ## the blog's whole job in a tenth of the memory that its stack has; needs root and control groups
	$(CARGO) build --release --locked -p cli
	python3 benches/larger_than_memory.py

# With the package of the command, the dependencies have the same features as for the other targets, and are compiled once.
bench-network: ## the exchange between 4 servers over limited links, with TLS and without; needs root, iproute2 and openssl
	$(CARGO) build --release --locked -p cli -p chunkserver -p benches --bin chunkserver --example fixed_servers
	python3 benches/network.py

bench-readers: ## reading a job's arrays over HTTP beside reading them from a local Zarr folder
	$(CARGO) build --release --locked -p cli
	python3 benches/readers.py

bench-watched: ## the same job with ten pages open, beside no page
	$(CARGO) build --release --locked -p cli
	python3 benches/watched.py

bench-scaling: ## 1 to 1,000 servers in a model, whose constants this target measures; needs root and iproute2
	$(CARGO) build --release --locked -p cli
	python3 benches/scaling.py --measure

bench-operator: ## the operator with 200 jobs and 5,000 fake pods on a real API server; needs Go, openssl, and root or user namespaces
	$(CARGO) build --release --locked -p operator
	python3 benches/operator_scale/run.py

bench-kernels: ## the kernels alone
	$(CARGO) bench --locked -p benches

fmt: ## formats all code
	$(CARGO) fmt --all

clean: ## removes what was built, the demo's results and caches
	$(CARGO) clean
	rm -rf demo-out .cache
