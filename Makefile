# SPDX-License-Identifier: MIT
#
# Skerry's build. `make help` lists what it can do.
#
#   ARCH=x86_64|aarch64   the machine (default x86_64)
#   BUILD=dev|release     dev counts and checks invariants (default dev)
#   BUG=name              a kernel with a planted bug (kernel/check.h)
#   V=1                   print whole commands
#
# One make instance builds one ARCH and BUILD under build/ARCH-BUILD/, without
# recursion; targets that need several start a make for each. The rules are in
# tools/make/: flags.mk (tools, flags, include roots of each layer), kernel.mk,
# user.mk and host.mk. Sources are found by folder: a new file needs no line
# here. Nothing is ever written outside build/.

ARCH  ?= x86_64
BUILD ?= dev

ARCHES := x86_64 aarch64
ifeq ($(filter $(ARCH),$(ARCHES)),)
$(error ARCH=$(ARCH) is not known: choose one of $(ARCHES))
endif
ifeq ($(filter $(BUILD),dev release),)
$(error BUILD=$(BUILD) is not known: choose dev or release)
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
# A make that another one started shares its job slots.
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

Q := $(if $(V),,@)

# Every target but these needs the machine set up. It is done while this file
# is read, since later lines look at what it unpacks; when there is nothing to
# do it costs some 20 ms. Makes that were started by another make skip it.
ifneq ($(filter-out help clean distclean,$(or $(MAKECMDGOALS),all)),)
ifndef SKERRY_IS_SET_UP
ifneq ($(shell sh tools/setup.sh >&2 && echo yes),yes)
$(error the machine could not be set up; see above)
endif
export SKERRY_IS_SET_UP := yes
endif
endif

include tools/make/flags.mk
include tools/make/kernel.mk
include tools/make/user.mk
include tools/make/boot.mk
include tools/make/host.mk
include tools/make/explore.mk
include tools/make/worlds.mk
include tools/make/property.mk
include tools/make/mutants.mk
include tools/make/fuzz.mk

# --- building ---------------------------------------------------------------

.PHONY: all setup help clean distclean both
all: $(KERNEL_ELF) $(KERNEL_IMAGE) $(BUNDLE) $(LOADER) $(DEFAULT_DISK) $(GDB_TABLES)

setup:
	@:

# Both machines, in the chosen BUILD, with the programs that tests run in them.
both:
	$(Q)for a in $(ARCHES); do $(MAKE) ARCH=$$a all test-programs || exit 1; done

# Kernels with a planted bug each, which a test in QEMU must notice.
PLANTED_BUGS := "M6 one in 64" "S2 one in 31" "F1 restore"
.PHONY: planted
planted:
	$(Q)for a in $(ARCHES); do for b in $(PLANTED_BUGS); do \
	    $(MAKE) ARCH=$$a BUG="$$b" kernel || exit 1; done; done

# Release kernels, with what measures the longest stretches of them.
.PHONY: measured
measured: build/host/bench-entries_plugin.so build/host/bench-plugin.so
	$(Q)for a in $(ARCHES); do $(MAKE) ARCH=$$a BUILD=release kernel || exit 1; done

# --- running ----------------------------------------------------------------

# Values reach the tools through the environment, so that no character in them
# means anything to a shell.
export ARCH BUILD DISK CMD MEM SMP TIMEOUT MACHINE CPU GIC FIRMWARE THROTTLE QEMU10 T

.PHONY: run debug
run: all $(if $(filter uefi,$(FIRMWARE)),image)
	$(Q)$(PYTHON) tools/run.py

debug: all $(if $(filter uefi,$(FIRMWARE)),image)
	$(Q)$(PYTHON) tools/run.py --debug

# --- testing ----------------------------------------------------------------

.PHONY: test test-host test-qemu test-long lint size stress bench
test: both image planted measured host-tests worlds-program explore-programs mutant-programs fuzz-programs \
    $(HWTREE)
	$(Q)$(PYTHON) tests/run.py host worlds explore mutants fuzz hwtree lint qemu

# The hardware tree of real machines' tables; with LONG=1 of all boards that Debian knows.
.PHONY: test-hwtree
test-hwtree: $(HWTREE)
	$(Q)$(if $(LONG),sh tools/setup.sh +boards +acpi-tables)
	$(Q)$(PYTHON) tests/run.py $(if $(LONG),--long) hwtree

test-host: host-tests
	$(Q)$(PYTHON) tests/run.py host

# Which branches of the kernel the host's tests take.
.PHONY: coverage
coverage:
	$(Q)$(MAKE) COVERAGE=1 host-tests
	$(Q)$(PYTHON) tools/coverage.py

# What system calls answer in which states of their objects, and which test sees it.
.PHONY: table
table: host-tests
	$(Q)$(PYTHON) tools/calls.py --run

test-qemu: both image planted measured
	$(Q)$(PYTHON) tests/run.py qemu

test-long: both image planted measured host-tests worlds-program explore-programs mutant-programs fuzz-programs \
    $(HWTREE)
	$(Q)sh tools/setup.sh debootstrap +boards +acpi-tables
	$(Q)$(PYTHON) tests/run.py --long host worlds explore mutants fuzz hwtree lint qemu coverage fresh

lint: both
	$(Q)$(PYTHON) tools/lint.py

# What lint compiles kernel/ with, for another kind of analysis.
.PHONY: print-kernel-flags format
print-kernel-flags:
	@echo '$(KERNEL_FLAGS) $(WARNINGS) $(ROOTS_kernel)'

format:
	$(Q)git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | xargs clang-format-22 -i

size:
	$(Q)for a in $(ARCHES); do for b in dev release; do \
	    $(MAKE) ARCH=$$a BUILD=$$b kernel || exit 1; done; done
	$(Q)$(PYTHON) tools/size.py

# The stress of many CPUs, RUNS times in a row on each machine and number of CPUs: a table.
export RUNS SEED
stress: both
	$(Q)$(PYTHON) tests/stress.py

# They count instructions in the emulator; a plugin for it is a library of the host.
BENCH_PLUGINS := $(patsubst %,build/host/bench-%.so,plugin cpus_plugin entries_plugin)
$(BENCH_PLUGINS): build/host/bench-%.so: tests/bench/%.c tests/bench/plugin.h $(RULES)
	@mkdir -p $(@D)
	@echo >&2 "  CC    $<"
	$(Q)$(CC) -std=c23 -O2 $(WARNINGS) -fvisibility=hidden -shared -fPIC -fuse-ld=lld $< -o $@

bench: $(BENCH_PLUGINS)
	$(Q)for a in $(ARCHES); do for b in release dev; do \
	    $(MAKE) ARCH=$$a BUILD=$$b all test-programs || exit 1; done; done
	$(Q)$(PYTHON) tests/bench/run.py

# The longest stretches in which the kernel does not look for interrupts.
export SEEDS
.PHONY: entries
entries: $(BENCH_PLUGINS)
	$(Q)for a in $(ARCHES); do $(MAKE) ARCH=$$a BUILD=release all test-programs || exit 1; done
	$(Q)$(PYTHON) tests/bench/entries.py

# Looks for plans in which the kernel is busy longest, and writes them where `entries` finds them.
export PLANS
.PHONY: climb
climb: build/climb/bin/climb
	$(Q)$< $(or $(PLANS),12000) $(or $(SEED),1) > build/climb/plans
	$(Q)(head -2 tests/programs/found/plans.inc; cat build/climb/plans) > build/climb/plans.inc
	$(Q)cp build/climb/plans.inc tests/programs/found/plans.inc

# Who can talk to whom, as a graphviz drawing on stdout.
.PHONY: graph
graph:
	$(Q)$(PYTHON) tools/manifest.py --graph user/system.toml

# --- the rest ---------------------------------------------------------------

# What was fetched stays; distclean removes that too.
clean:
	$(Q)for f in build/*; do case $$f in build/deps|build/apt|build/setup.stamp) ;; \
	    *) rm -rf "$$f" ;; esac; done

distclean:
	$(Q)rm -rf build

define HELP
make run                          build, boot, and talk to the shell (Ctrl-A x quits)
make run ARCH=aarch64             the same on the other machine
make run DISK=file.tar            with a tar archive as the disk, read-only
make run MEM=512M SMP=1 CPU=max   the machine's memory, CPUs and CPU model
make run MACHINE=q35|pc|microvm   which PC; QEMU10=1: by a newer emulator (docs/machines.md)
make run ARCH=aarch64 GIC=3       with a GICv3 instead of a GICv2
make run MACHINE=virt,its=off,... further options of QEMU's -M behind the machine's name
make run ARCH=aarch64 MACHINE=raspi4b QEMU10=1   a Raspberry Pi 4B
make run FIRMWARE=uefi            by a UEFI, from a disk (MACHINE=virt,acpi=off: AArch64 by its device tree)
make image                        that disk, for both machines: to be written to a stick
make run CMD='ls /disk; ps'       run commands, print their output, power off (TIMEOUT=60)
make debug                        QEMU waits for gdb-multiarch; prints the line to type
make test                         everything below in its short form
make test-host  make test-qemu  make test-long    T=pattern chooses tests
make worlds                       every call in every state of small worlds (T=; docs/testing.md)
make explore                      the kernel's interleavings (T= BUDGET= REPLAY=; docs/explore.md)
make stress                       many CPUs under load (T= SMP= RUNS=10 SEED=), a table
make mutants                      which small changes of the kernel no test sees (T=; docs/testing.md)
make fuzz                         inputs that reach new code (TARGET= SECONDS=60; docs/testing.md)
make fuzz-planted                 whether each target finds the bugs that are planted for it
make clauses                      whether each clause of the contracts is borne by a test
make lint       make format     make size       make bench      make graph
make table                        what calls answer, in which states, and a test that sees it
make hwtree DTB=file | ACPI=folder        a machine's hardware tree, from its firmware's tables
                                  (DIFF= VARIANT= SUMMARY=1; docs/hwtree.md)
make test-hwtree [LONG=1]         that of machines that are known; LONG: 577 boards
make coverage                     which branches of the kernel the host's tests take, and which not
make climb                        looks for inputs of which they are longer (PLANS=12000 SEED=1)
make entries                      the longest stretches of the kernel, by instructions (SEEDS=3)
make invariants                   the table of invariants and the planted bugs they catch
make clean      make distclean
Variables: ARCH=x86_64|aarch64  BUILD=dev|release  V=1
endef
export HELP
help:
	@echo "$$HELP"
