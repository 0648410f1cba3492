GO ?= go
LINT_VERSION := v2.12.2
LINT := bin/golangci-lint-$(LINT_VERSION)/golangci-lint
# The linter's cache remembers where a file lay: one checkout, one cache.
export GOLANGCI_LINT_CACHE := $(CURDIR)/bin/lint-cache
FUZZTIME ?= 30s
# go vet is one of the checks of make test, and of no other target that runs tests: each
# would vet all packages of the standard library and of others again, with other flags.
TEST := $(GO) test -vet=off

.DEFAULT_GOAL := help
.PHONY: help run demo loop build sshd typescript cross test node-client race lint fmt golden golden-check crash clocks simulate-cluster fuzz determinism bench bench-long bench-queue bench-cluster bench-servers bench-check tidy-check cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: build ## start a node on the log in ./data; Ctrl-C stops it
	bin/rift serve --data ./data

demo: build ## a node and four workers close the training loop for a minute
	bin/rift demo

loop: build ## a node and two workers train Hex weights by CMA-ES until some are promoted: three minutes at most
	bin/rift demo loop

build: ## compile bin/rift
	$(GO) build -o bin/rift ./cmd/rift

sshd: ## install the OpenSSH server that tests run, where there is none
	@command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || { $$( [ "$$(id -u)" -eq 0 ] || echo sudo ) apt-get update -q && $$( [ "$$(id -u)" -eq 0 ] || echo sudo ) apt-get install -q -y --no-install-recommends openssh-server; }

typescript: ## install the packages of npm that the test of the TypeScript client needs, where npm works
	@mkdir -p bin/typescript && cp cmd/internal/endtoend/typescript/package*.json bin/typescript
	@cmp -s bin/typescript/package-lock.json bin/typescript/installed || \
	  { cd bin/typescript && command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --prefer-offline --fetch-retries=1 --fetch-timeout=60000 && cp package-lock.json installed; } || \
	  { rm -rf bin/typescript/node_modules; echo "npm is missing or cannot install: the TypeScript client is not tried"; }

SYSTEMS ?= windows darwin freebsd
cross: ## build for the other systems that rift runs on
	for system in $(SYSTEMS); do CGO_ENABLED=0 GOOS=$$system $(GO) build ./... || exit 1; done

test: sshd typescript ## run every test, and go vet
	$(GO) test -vet=all -timeout 15m ./...
	@$(MAKE) --no-print-directory node-client

NODE_CLIENT := $(CURDIR)/bin/nodeclient
node-client: ## run EventStoreDB's official Node client against a node, where npm can install it
	@mkdir -p $(NODE_CLIENT) && cp transport/esdbserver/nodeclient/* $(NODE_CLIENT)
	@if cd $(NODE_CLIENT) && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1 --fetch-timeout=60000 >install.log 2>&1; \
	then cd $(CURDIR) && RIFT_NODE_CLIENT=$(NODE_CLIENT) $(TEST) -count=1 -timeout 15m -run '^TestNodeClient$$' ./transport/esdbserver; \
	else echo "node-client is skipped: npm cannot install @eventstore/db-client (see $(NODE_CLIENT)/install.log)"; fi

# endtoend runs a binary that is built without the race detector.
race: sshd ## run the tests under the race detector, long ones in part (needs a C compiler)
	RAPID_CHECKS=10 CGO_ENABLED=1 $(TEST) -race -timeout 30m $$($(GO) list ./... | grep -v /endtoend$$)

lint: $(LINT) ## golangci-lint, with go vet's analyzers among others, and the purity guard
	$(LINT) run ./...
	$(TEST) -count=1 -run 'Pure|Purity' ./domain

$(LINT):
	GOBIN=$(CURDIR)/$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fmt: $(LINT) ## format the source
	$(LINT) fmt ./...

golden: ## rewrite the expected output of scripts and listings; read the diff
	$(TEST) -count=1 ./cmd/internal/script -run '^TestScripts$$' -rewrite
	$(TEST) -count=1 ./cmd/internal/script -run '^TestObservations$$' -rewrite
	RIFT_REWRITE=1 $(TEST) -count=1 ./cmd/internal/wiring -run '^TestSixtyFailures$$'
	$(TEST) -count=1 ./cmd/rift -run '^TestListings$$' -rewrite
	$(TEST) -count=1 ./cmd/internal/wiring -run '^TestRolesOfRoutes$$' -rewrite
	$(TEST) -count=1 ./transport -run '^TestTheListingIsGolden$$' -rewrite

golden-check: ## fail when the recorded output differs from what golden would write
	@rm -rf bin/recorded && mkdir -p bin && cp -r testdata bin/recorded
	@$(MAKE) --no-print-directory golden
	diff -ru bin/recorded testdata

crash: ## damage a log at 2,000 places; lose power and fail the disk, of a log and a hundred times of a loaded node; kill such a node fifty times, one whose reactors have work at 400 of its steps, and a third of sixteen workers for two minutes; check what is left; so for 200 rounds of three nodes that are killed, paused, cut off, starved of disk and whose wall clocks are stepped
	RIFT_DAMAGE_PLACES=2000 $(TEST) -count=1 -timeout 60m -run 'TestDamageAnywhere$$' -v ./eventlog/pebblelog
	$(TEST) -count=1 -timeout 20m -run 'TestCrash$$|TestAppendManyCrash$$|TestProcessDeath$$|TestRandomWriteErrors$$|TestFullDisk$$' ./eventlog/pebblelog
	$(TEST) -count=25 -timeout 60m -run 'TestPowerIsLostUnderLoad$$' ./cmd/internal/node
	$(TEST) -count=10 -timeout 20m -run 'TestWritesFailUnderLoad$$' ./cmd/internal/node
	RIFT_CRASH_ROUNDS=50 $(TEST) -count=1 -timeout 20m -run 'TestKill$$' -v ./cmd/internal/endtoend
	RIFT_KILL_ROUNDS=400 $(TEST) -count=1 -timeout 20m -run 'TestReactorsCommandsAreDoneOnceAcrossKills$$' -v ./cmd/internal/script
	RIFT_CHAOS_SECONDS=120 $(TEST) -count=1 -timeout 20m -run 'TestChaos$$' -v ./cmd/internal/endtoend
	RIFT_CLOCK_STEPS=1 RIFT_CLUSTER_ROUNDS=200 $(TEST) -count=1 -timeout 60m -run 'TestClusterRounds$$' -v ./cmd/internal/endtoend

clocks: ## step the wall clocks of nodes that lead, follow and start; and among other troubles in twelve rounds
	RIFT_CLOCK_STEPS=1 RIFT_CLUSTER_ROUNDS=12 $(TEST) -count=1 -timeout 15m -run 'TestClusterRounds$$|TestClusterGoesOnWithoutAWrongClock$$|TestLeasesOfLeadersWhoseTimesDiffer$$' ./cmd/internal/endtoend

simulate-cluster: build ## play 200 clusters of 40 nodes through a month of faults each, in virtual time; ARGS="--seeds 10000 --from 1"
	bin/rift simulate cluster --seeds 200 $(ARGS)

determinism: ## replay a generated log of a million events in every way it may be replayed
	RIFT_LONG=1000000 $(TEST) -count=1 -timeout 60m -run 'TestAGeneratedLogIsDeterministic$$' -v ./cmd/internal/script -datadriven-quiet

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's|/[^/]*:func | |' | sort | while read -r dir target; do echo "$$dir $$target" && $(TEST) "$$dir" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; done

bench: build ## one table of ratios against bounds measured in the same run
	bin/rift bench

bench-long: build ## the same, and append latency after ten million events
	bin/rift bench --long

bench-queue: build ## the queue against PostgreSQL in the same run, where that is installed; ARGS="-rounds 2 -o json"
	cd cmd/benchpeers && $(GO) run . queue -rift $(CURDIR)/bin/rift $(ARGS)

bench-cluster: build ## three nodes against etcd and NATS JetStream in the same run, where these are installed; fail-over, idle nodes, relayed calls; ARGS="-kills 50 -only failover"
	cd cmd/benchpeers && $(GO) run . cluster -rift $(CURDIR)/bin/rift -peers $(CURDIR)/bin/peers $(ARGS)

bench-servers: ## build the etcd and the NATS server that bench-cluster takes before installed ones
	cd cmd/benchpeers/servers && $(GO) build -o $(CURDIR)/bin/peers/etcd go.etcd.io/etcd/server/v3 && $(GO) build -o $(CURDIR)/bin/peers/nats-server github.com/nats-io/nats-server/v2

bench-check: ## vet and test the driver of bench-queue and bench-cluster, a module of its own
	cd cmd/benchpeers && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) test ./...

tidy-check: ## fail when go.mod or go.sum is not tidy
	$(GO) mod tidy -diff

cover: ## print the share of statements that tests reach
	@mkdir -p bin
	$(TEST) -timeout 15m -coverpkg=./... -coverprofile=bin/cover.out ./...
	$(GO) tool cover -func=bin/cover.out | tail -n 1

clean: ## remove what make built; the log in ./data stays
	rm -rf bin
