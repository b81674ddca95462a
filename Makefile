# Every target needs only Go (go.mod names the version) and git; test-independent and test-metrics say what more they need. `make help` lists them.
include scripts/versions
GO          := CGO_ENABLED=0 go
PACKAGES    := ./...
ARGS        ?=

.PHONY: help run build test race lint vulncheck notices fmt fmt-web golden demo demo-fast bench bench-parts bench-compare bench-peers bench-reports bench-aws bench-cold limits docs fuzz \
	test-crashes test-independent test-litestream test-metrics test-monitoring test-packaging test-newcomer release test-reports test-aws test-aws-chaos test-browser test-upgrade clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: build ## start Tocsin: Console at http://localhost:8080, events at :8081, state under var/ (flags: make run ARGS="-listen localhost:9090")
	@bin/tocsin $(ARGS)

build: ## build bin/tocsin
	@$(GO) build -trimpath -o bin/tocsin ./functions/local

test: ## run all tests that need nothing but Go; say which were skipped, and what all of them cover
	@mkdir -p bin
	@$(GO) run $(GOTESTSUM) --format pkgname -- -timeout 30m -coverprofile bin/coverage.all $(PACKAGES)
	@grep -v -e ^tocsin/scripts/ -e test/[a-z_]*.go: bin/coverage.all >bin/coverage
	@printf 'covered, without the tests of make test-aws: '; $(GO) tool cover -func bin/coverage | awk 'END {print $$NF}'
	@echo "Not among them, because they need more: make test-aws, test-browser, test-crashes, test-independent, test-litestream, test-metrics, test-monitoring, test-reports, test-upgrade."

test-crashes: ## run the embedded engine over a disk that loses power, fills up and fails, seed by seed (ARGS="-seeds 20000 -first 1000")
	$(GO) test -count=1 -timeout 0 ./shared/engine/sqlite/crashtest -run UnderFaults -seeds 500 $(ARGS)

test-independent: ## decode what is sent with libraries and parsers that are not ours (installs them; minutes the first time)
	@scripts/independent/install
	$(GO) -C scripts/independent test ./... ./datadog/...
	TOCSIN_TOOLS=required TOCSIN_PYTHON=$(CURDIR)/bin/python/bin/python $(GO) test ./shared/destination/fluentd/... ./shared/destination/logstash/...
	@scripts/test-independent

race: ## run the tests of what has goroutines under the race detector (needs a C compiler)
	@scripts/test-race $(ARGS)

lint: ## check the format, the code and the arrows between folders (.golangci.yml), and each go.mod, THIRD_PARTY_NOTICES
	@unformatted=$$(gofmt -l functions shared scripts infra); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run make fmt):"; echo "$$unformatted"; exit 1; fi
	$(GO) run $(GOLANGCI_LINT) run
	$(GO) -C infra run $(GOLANGCI_LINT) run
	$(GO) -C scripts/browser run $(GOLANGCI_LINT) run
	$(GO) run ./scripts/arrows $(GOLANGCI_LINT)
	$(GO) run ./scripts/notices -check
	$(GO) mod tidy -diff
	$(GO) -C infra mod tidy -diff
	$(GO) -C scripts/browser mod tidy -diff
	$(GO) -C scripts/bench/drivers vet .
	$(GO) -C scripts/bench/drivers mod tidy -diff
	GOWORK=off $(GO) -C scripts/independent mod tidy -diff
	GOWORK=off $(GO) -C scripts/independent/datadog mod tidy -diff

vulncheck: ## look for known vulnerabilities that the code reaches (needs vuln.go.dev or the Go module proxy)
	@$(GO) run ./scripts/vulncheck -govulncheck $(GOVULNCHECK) $(ARGS)

notices: ## write THIRD_PARTY_NOTICES: the licences of what is in the binaries, checked against those allowed
	$(GO) run ./scripts/notices

fmt: ## format the code
	gofmt -w functions shared scripts infra

fmt-web: ## format the JavaScript and CSS of the pages with Prettier (needs npm)
	npx --yes $(PRETTIER) --write .

golden: ## write the golden files anew, to be read before they are committed
	$(GO) test ./shared/destination/*/ ./shared/console -update

demo: build ## show two retry cycles in real time, an outage and the recovery from it, a weekly report in bin/weekly-report.pdf (about 90 s)
	$(GO) run ./scripts/demo -binary bin/tocsin

demo-fast: build ## show all three cycles 120 times as fast (about a minute)
	$(GO) run ./scripts/demo -binary bin/tocsin -faster 120

bench: build ## measure deliveries against a bare HTTP client
	$(GO) run ./scripts/bench -binary bin/tocsin $(ARGS)

bench-parts: ## print what each part of a single delivery costs, from a CPU profile (ARGS="-only 2": of batches)
	@$(GO) build -trimpath -tags profile -o bin/tocsin-profile ./functions/local
	@mkdir -p var
	@$(GO) run ./scripts/bench -binary bin/tocsin-profile -profile var/bench.pprof -only 1 -events 60000 $(ARGS)

bench-compare: ## compare the hot path's benchmarks with those of another commit: make bench-compare BASE=main (minutes)
	@scripts/bench-compare $(BASE) $(ARGS)

bench-peers: build ## measure Tocsin beside syslog-ng, which it installs on Debian (minutes; ARGS=-tls, ARGS="-growth 10000000")
	@scripts/bench-peers $(ARGS)

bench-reports: ## record a million hits and measure the monthly report on them (target: 5 s, 256 MiB)
	@mkdir -p bin
	@$(GO) build -trimpath -o bin/bench-reports ./scripts/bench/reports
	@bin/bench-reports $(ARGS)

test-reports: ## read the reports' PDFs with poppler, which it installs on Debian when it is missing
	@scripts/poppler
	TOCSIN_NEED_POPPLER=1 $(GO) test -count=1 ./shared/report/...

test-browser: build ## use the Console in Chromium, axe-core on every view (installs both on Debian; screenshots in var/browser)
	@scripts/test-browser $(ARGS)

test-aws: ## prove the AWS stack without an account (installs DynamoDB Local and others under var/)
	@scripts/test-aws

test-aws-chaos: ## run the AWS engine under faults, seed by seed (more by hand: make test-aws-chaos ARGS="-seeds=2000 -bound=0")
	@scripts/test-aws chaos $(ARGS)

bench-aws: ## measure the AWS engine in virtual time: events a second by functions and tenants, capacity units (minutes)
	@scripts/test-aws bench $(ARGS)

bench-cold: ## measure the functions' cold start and size
	$(GO) run ./scripts/coldstart

limits: build ## try a full and a slow disk, little memory, and much of everything (an hour; ARGS="-only full-disk"; Linux, root, strace)
	$(GO) run ./scripts/limits -binary bin/tocsin $(ARGS)

docs: ## write the documents as a site with a search into bin/site; it needs no server
	@$(GO) run ./scripts/site

fuzz: ## run every fuzz target for a few seconds
	@scripts/fuzz 5s

release: ## build the archives of a release in bin/release, twice, and compare (ARGS="-only linux/amd64")
	@$(GO) run ./scripts/release -check -sbom $(CYCLONEDX) $(ARGS)

test-packaging: build ## judge the container, the systemd unit and the Kubernetes example with tools that are not ours (installs them)
	@scripts/test-packaging

test-newcomer: ## follow the pages as a newcomer does: install, first message, backup, loss, restore, upgrade
	@scripts/test-newcomer

test-litestream: ## restore what Litestream copied of a program under load into an S3 server (installs both; a minute after that)
	@scripts/test-litestream

test-metrics: ## test docs/node-metrics with collectd, InfluxDB, Graphite, Nagios and Zabbix (Debian; about 90 s once installed)
	@scripts/test-metrics

test-upgrade: ## have programs of earlier commits leave a state, and the current one take it over (builds them; minutes the first time)
	@scripts/test-upgrade

test-monitoring: ## scrape the program with Prometheus and judge alerts and dashboard (installs it on Debian)
	@scripts/test-monitoring

# What `sam build` and the CDK app call for each function of template.yaml (BuildMethod: makefile).
build-%Function:
	GOOS=linux GOARCH=$(or $(LAMBDA_GOARCH),arm64) $(GO) build -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w" \
		-o $(ARTIFACTS_DIR)/bootstrap ./functions/$(shell echo $* | tr A-Z a-z)

clean: ## remove what was built; var/ (the state) stays
	rm -rf bin
