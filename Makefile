# Parley's commands. `make help` lists them.
GO       ?= go
TAGS     := opus,nolibopusfile
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X parley/internal/app.Version=$(VERSION)
# libopus is linked into the binary, so that it runs where no libopus is installed.
export CGO_LDFLAGS ?= -lm
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help run build test check bench soak web generate deps test-deps fuzz clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: deps build ## install what is missing, build, and start the demo on http://localhost:8080
	bin/parley dev

build: web ## build the web parts and bin/parley
	$(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/parley ./cmd/parley

web: web/node_modules/.parley-installed ## build the demo, the console and the browser SDK into web/dist
	cd web && npm run --silent build

web/node_modules/.parley-installed: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test: test-deps build ## install what the tests need and run all of them
	scripts/test

check: web/node_modules/.parley-installed ## formatting, vet, lint, generated files, known vulnerabilities
	scripts/check

generate: ## write the files that are made from code (docs/configuration.md, web types, state diagrams)
	scripts/generate

bench: build ## Go benchmarks and the load figures of this machine
	scripts/bench

soak: build ## long runs: fuzzing and power cuts
	scripts/soak

fuzz: ## each fuzz target for FUZZTIME (default 10s)
	scripts/fuzz

deps: ## install the system packages that a build needs
	scripts/deps build

test-deps: ## install the system packages that the tests need
	scripts/deps test

clean: ## remove what was built
	rm -rf bin web/dist/demo web/dist/console web/dist/sdk
