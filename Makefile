# One command each; `make help` tells which. What they do stands in dev/ and can be called without make.
SHELL := /bin/bash
# What released programs have and `cargo build` by hand leaves out. Lints look at the programs both ways (only our own crates are looked at
# twice); of the tests those about traces and the units run with it as well, for all others would tell the same twice.
RELEASED := --features flowlift/traces,flowlift-consumer/traces
.DEFAULT_GOAL := help
.PHONY: help bench-cost demo up down test check fmt lint doc bench scale night pictures netns test-folders memory contract sim mutants chaos bench-standin cluster bench-scale deploy-check dist

help: ## says what there is
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## 13,000 flows through a private RabbitMQ and 3 consumers, read back, with a summary; AZKABAN_URL=... uses your Azkaban
	@dev/demo

up: ## starts a private RabbitMQ, a stand-in for Azkaban and 3 consumers to play with; prints what to export
	@dev/up

down: ## stops what `make up` started
	@dev/down

test: ## all tests, on a private RabbitMQ
	dev/broker run --plugins rabbitmq_prometheus -- cargo test --workspace
	dev/broker run -- cargo test --workspace $(RELEASED) --lib --test traces
	dev/broker-check
	dev/selftest

check: fmt lint ## formatting, lints, and the tests that need no RabbitMQ
	env -u FLOWLIFT_TEST_BROKER -u FLOWLIFT_AMQP_URL -u FLOWLIFT_USE_BROKER cargo test --workspace

fmt: ## is everything formatted?
	cargo fmt --all --check

lint: ## clippy, warnings are errors
	cargo clippy --workspace --all-targets $(RELEASED) -- -D warnings
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## the API documentation with its private parts, warnings are errors
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --workspace $(RELEASED) --no-deps --document-private-items

bench-cost: ## what metrics and outcomes cost, against a consumer without them
	@dev/bench-cost

bench: ## 10,000 flows into one project against one upload of the ready zip
	@dev/bench

scale: ## 1, 2, 4, 3 consumers under a full backlog
	@dev/scale

night: ## 1,000,000 flows queued while nobody consumes, then 3 consumers, one killed -9: rate, forecast, memory, report
	@dev/night

netns: ## four consumers on network namespaces of their own: cut off, lost with their host, and back
	@dev/netns

test-folders: ## FOLDERS=DIR: project folders of other people must list the same flows by flowlift, by hand and (AZKABAN_URL=...) on the stand-in
	@[[ -d "$$FOLDERS" ]] || { echo 'say where the project folders are: FOLDERS=DIR make test-folders' >&2; exit 64; }
	FOLDERS=$$(realpath "$$FOLDERS") dev/broker run -- cargo test -p flowlift --test folders -- --nocapture
	FOLDERS=$$(realpath "$$FOLDERS") cargo test -p azkaban-standin --test it folders:: -- --nocapture

chaos: ## consumers, RabbitMQ and Azkaban die, hang and lie under load; nothing may be lost or undone (ROUNDS=n, ONLY=name, AZKABAN_URL=...)
	@dev/chaos

pictures: ## the report and the live view, as pictures to look at
	@dev/pictures

memory: ## peak memory of producer and consumer with a million flows queued, and with large projects
	@dev/memory

sim: ## nights in simulated time: SEEDS=n of them (10,000), or SEED=s alone with its story
	@dev/sim

mutants: ## switches one safeguard off at a time: the simulation must notice
	@dev/sim mutants

contract: ## what the stand-in answers, asked of a real Azkaban: AZKABAN_URL=... (else of the stand-in)
	@dev/contract

bench-standin: ## memory for a million flows and the time of an upload of 10,000, against the stand-in's limits
	@dev/bench-standin

cluster: ## consumers and a publishing at work on three RabbitMQ nodes, which die one after the other
	@dev/cluster

bench-scale: ## 1 to 32 consumers, each upload a second of waiting, against what the connections allow
	@dev/bench-scale

deploy-check: ## is what brings Flowlift onto machines (compose file, image, units, Kubernetes) as those who read it want? ONLY=words
	@dev/deploy-check

dist: ## static programs, Debian packages, what is in them and checksums, in target/dist; installed in a bare Debian (as root)
	@dev/dist
	@[[ $$EUID -ne 0 ]] || dev/dist-check
