// SPDX-License-Identifier: MIT
//
// The hostile program: what its parts share.
//
//   main.c       the supervisor: starts each attacker in an account of its own, and compares the
//                figures of its own account before and after
//   crash.c, ARCH/crashes.c   one process for each way to fault
//   ARCH/sweep.c every instruction of a kind, patched away as it faults
//   guess.c      handles that were never given
//   fill.c       each kind of object until the account is full
//   calls.c      calls and counts results; recipes.c: how each call succeeds
//   errors.c     each error that a call lists; storm.c: random calls
//   watch.c      the watcher, whose ping must never be missed
//
// words[0] of a child says which of these it is.
#pragma once

#include <kit/kit.h>

enum mode : uint64_t { MODE_CRASH, MODE_SWEEP, MODE_GUESS, MODE_FILL, MODE_CALLS, MODE_WATCH };

// ---- crashes

// Exit code of a case that was not stopped.
constexpr uint64_t SURVIVED = 77;

constexpr uint32_t HARMLESS = 1u << 31; // besides bits of enum abi_fault_cause
#define CAUSE(name) (1u << FAULT_##name)

struct crash_case {
    const char *name;
    void (*run)(void);
    uint32_t allowed; // causes
    uint64_t address; // what the report must say; ANY_ADDRESS
};
constexpr uint64_t ANY_ADDRESS = UINT64_MAX - 1;

extern const struct crash_case common_crashes[], machine_crashes[];
extern const uint32_t common_crash_count, machine_crash_count;

// Addresses that belong to the kernel, or to nobody.
extern const uint64_t kernel_addresses[];
extern const uint32_t kernel_address_count;

void crash_phase(void);
void crash_child(void);

// ---- sweep: per architecture

void sweep_phase(void);
void sweep_child(void);

// ---- others

void guess_child(void);
void fill_child(void);
void calls_child(void);

void watch_start(void); // by the supervisor
void watch_stop(void);
void watch_child(void);

// ---- facts of QEMU's machines (ARCH/facts.c)

extern const bool machine_has_ports;
extern const uint64_t spare_line;   // an interrupt line without a device
extern const uint64_t vector_table; // where an MSI-X table could be: writes there do nothing
extern const uint64_t spare_ports;  // the first of 4096 ports without a device
extern const uint64_t spare_memory; // physical addresses without a device
