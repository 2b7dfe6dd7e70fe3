# A thin front: Meson builds (meson.build), tests/check.py tests, packaging/install-deps installs.

BUILD ?= build
PREFIX ?= /usr/local

.DEFAULT_GOAL := all
.PHONY: all demo check check-quick asan fuzz format lint install clean deps help check-exhaustive check-ct check-neon bench-idea bench soak

all: $(BUILD)/build.ninja ## build the program and the library in build/
	meson compile -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' first" >&2; exit 1; }
	meson setup $(BUILD)

demo: deps ## install what is missing, build, and watch two stations talk
	@$(MAKE) --no-print-directory all
	$(BUILD)/src/cli/helio demo

check: deps ## install what is missing, build three ways (gcc, sanitizers, clang), run every test
	@/usr/bin/python3 tests/check.py

check-quick: deps ## install what is missing, build with gcc and run every test once
	@/usr/bin/python3 tests/check.py gcc

asan: deps ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@/usr/bin/python3 tests/check.py sanitizers

fuzz: ## build the fuzz targets (tests/fuzz) with clang and run each for a minute
	@test -e build-fuzz/build.ninja || \
	    CC=clang CXX=clang++ meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	meson test -C build-fuzz --suite fuzz --print-errorlogs

check-exhaustive: $(BUILD)/build.ninja ## IDEA's kernels: every product, every inverse, 10^8 blocks, every place; minutes
	meson compile -C $(BUILD) test_exhaustive test_kernels
	$(BUILD)/tests/test_exhaustive
	HELIO_TEST_FULL=1 $(BUILD)/tests/test_kernels

# Static, so that it needs no libraries of the other kind beside the compiler's own.
NEON_SOURCES = src/base/wipe.c src/cpu/cpu.c $(addprefix src/idea/, dispatch.c idea.c idea_portable.c idea_neon.c)
check-neon: ## the NEON kernel, cross-compiled and run under qemu-user
	packaging/install-deps packaging/debian-packages-neon.txt
	mkdir -p $(BUILD)
	aarch64-linux-gnu-gcc -std=gnu17 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -D_GNU_SOURCE -DWITHOUT_LIBGCRYPT \
	    -static -Iinclude -Isrc -Itests $(NEON_SOURCES) tests/kernel/test_exhaustive.c -o $(BUILD)/test_exhaustive_neon
	qemu-aarch64 $(BUILD)/test_exhaustive_neon sample

check-ct: deps ## constant time, on what two compilers make of it at four levels of optimisation; a minute
	packaging/install-deps packaging/debian-packages-ct.txt
	@tests/ct/check.py

bench-idea: deps ## IDEA against libgcrypt, Botan, Crypto++ and OpenSSL's AEADs, with a plot, in bench/results/
	packaging/install-deps packaging/debian-packages-bench.txt
	@bench/run

bench: deps ## lines and servers against socat, ncat, ssh, stunnel and spiped, with charts, in bench/results/; ROUNDS=1 SIZE=64M is quick
	packaging/install-deps packaging/debian-packages-bench.txt
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) bench/lines $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SIZE),--size $(SIZE)) $(if $(ONLY),--only $(ONLY))

SECONDS ?= 3600
soak: all ## an hour (SECONDS) of 1,000 stations that come and go: flat memory, no descriptor leaked; in bench/results/
	@BUILD=$(BUILD) bench/soak $(SECONDS)

format: ## clang-format every C file
	git ls-files -z '*.c' '*.h' '*.cc' | xargs -0 clang-format -i

lint: $(BUILD)/build.ninja ## clang-tidy over src/ and examples/
	run-clang-tidy -quiet -p $(BUILD) '/(src|examples)/.*\.c$$'

# When root installs out of another's checkout, only the copying is root's: files of root's in $(BUILD) would stop the owner's next make.
AS_ROOT = $(filter 0,$(shell id -u))
AS_OWNER = $(if $(AS_ROOT),$(shell stat -c 'env -u HOME setpriv --reuid=%u --regid=%g --clear-groups' .))

install: ## install below PREFIX, /usr/local unless said (DESTDIR is honoured)
	@$(AS_OWNER) $(MAKE) --no-print-directory $(BUILD)/build.ninja
	$(AS_OWNER) meson configure $(BUILD) '-Dprefix=$(PREFIX)'
	@$(AS_OWNER) $(MAKE) --no-print-directory all
	meson install -C $(BUILD) --no-rebuild
	@$(if $(AS_ROOT),chown --reference=. $(BUILD)/meson-logs/install-log.txt)
	@$(if $(AS_ROOT),test -n "$(DESTDIR)" || ldconfig)

clean: ## remove all that was built
	rm -rf $(BUILD) build-asan build-clang build-fuzz

deps: ## install the Debian packages of packaging/debian-packages.txt that are missing
	@packaging/install-deps

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
