// SPDX-License-Identifier: MIT
//
// Monotonic nanoseconds since boot, and deadlines. T1: time never goes backwards. T2: a deadline
// never fires early, and a timer never after its cancel returned.
#pragma once

#include <lib/tree.h>

#include "object.h"

enum deadline_kind : uint8_t { DEADLINE_THREAD, DEADLINE_TIMER, DEADLINE_BUDGET, DEADLINE_STORM };

// A place in the deadlines of one CPU. Guarded by that CPU's timers_lock.
struct deadline {
    struct tree_node node; // key: nanoseconds
    struct cpu *cpu;
    uint64_t wait_word; // of a thread: the wait that it belongs to
    enum deadline_kind kind;
};

void time_init(void);
uint64_t time_now_ns(void);

// The conversion that user code applies to the counter it can read (clock_info).
struct time_conversion {
    uint64_t base_ns, base_ticks, multiplier;
    uint32_t shift;
};
extern struct time_conversion time_conversion;

void deadline_set(struct deadline *deadline, struct cpu *cpu, uint64_t ns);
void deadline_clear(struct deadline *deadline);

// Fires what is due, at most CPU_BATCH. For what is left the timer comes again.
void time_expire(struct cpu *cpu);

// Programs the CPU's hardware timer for the next deadline, the end of the slice or of the budget.
void time_arm(struct cpu *cpu);

struct timer {
    struct object object;
    struct deadline deadline;
    bool armed GUARDED_BY(&object.lock);
    uint64_t when_ns GUARDED_BY(&object.lock);
};
OBJECT_BODY(timer);

enum step timer_teardown(struct object *object);
void timer_inspect(struct object *object, struct abi_inspect *out);
