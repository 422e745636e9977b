// SPDX-License-Identifier: MIT
//
// Plans: short programs of system calls with everything that can be created at its largest. A search
// on the simulated machine (tests/bench/climb.c) looks for those in which the kernel is busy longest
// without looking for interrupts; the best stand in plans.inc, and `found` carries them out on a machine
// where instructions are counted. Both do it with plan.c, so that a plan means the same in both.
//
// One thread carries a plan out, with WORKERS others that wait where it may not. All is paid by an
// account of the plan's own, which is destroyed at its end.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr unsigned PLAN_WORKERS = 40, PLAN_STEPS_MAX = 24;
constexpr uint64_t PLAN_PAGES = 7000, PLAN_OBJECTS = 2500; // that a plan's account gets

struct plan_step {
    uint8_t op;     // mod PLAN_OPS
    uint8_t object; // which of those that the plan has made
    uint8_t amount; // one of a few sizes
    uint8_t times;  // 1 + it mod 64
};

extern const unsigned plan_ops;
extern const char *const plan_op_names[];

// Called for each step before it is made.
void plan_begins(unsigned step);
void plan_run(const struct plan_step *steps, size_t count);

// ---- what the runner provides

struct plan_result {
    uint64_t status, value[4]; // status: PLAN_WAITS, it has not returned yet
};
constexpr uint64_t PLAN_WAITS = UINT64_MAX;

// Makes a call as thread `who`: 0, or a worker, 1 to PLAN_WORKERS. Only workers may have to wait.
struct plan_result plan_syscall(unsigned who, uint64_t number, uint64_t a0, uint64_t a1,
                                uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
bool plan_waits(unsigned worker); // in its last call
uint64_t *plan_buffer_handles(unsigned who);
uint64_t plan_now_ns(void);
void plan_sleep(uint64_t until_ns);           // thread 0
uint64_t plan_worker_thread(unsigned worker); // a handle

extern struct plan_world {
    uint64_t account, aspace, machine, log;
} plan_world;
