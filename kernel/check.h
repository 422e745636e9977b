// SPDX-License-Identifier: MIT
//
// Three levels of checking. ASSERT is always on and cheap: it guards what the next line relies
// on. CHECK names an invariant, is counted, and is compiled into dev builds. Neither is ever
// used on what user space supplies. SEEDED_BUG lets a test switch one planted bug on, to see
// that the checks report it. In a kernel for a machine it is a constant: false, but in one that was
// built with a planted bug of its own (`make kernel BUG=name`), which the stress must report.
#pragma once

#include <stdint.h>

#include <kernel/boot.h>

#include "counter.h"

enum invariant : uint8_t {
#define INVARIANT(name, text) INVARIANT_##name,
#include "invariants.def"
#undef INVARIANT
    INVARIANT_COUNT
};
static_assert(INVARIANT_COUNT <= ABI_INVARIANTS);

// Each is counted by every CPU, without an atomic addition: one that meets another may be lost.
extern struct counter invariant_evaluations[ABI_INVARIANTS];

[[noreturn]] void invariant_failed(enum invariant invariant, const char *condition,
                                   const char *file, unsigned line);

#define ASSERT(condition)                                                          \
    do {                                                                           \
        if (__builtin_expect(!(condition), 0))                                     \
            panic("assertion failed: %s (%s:%u)", #condition, __FILE__, __LINE__); \
    } while (0)

#ifdef SKERRY_DEV
#define CHECK(name, condition)                                                  \
    do {                                                                        \
        counter_add(&invariant_evaluations[INVARIANT_##name], 1);               \
        if (__builtin_expect(!(condition), 0))                                  \
            invariant_failed(INVARIANT_##name, #condition, __FILE__, __LINE__); \
    } while (0)
constexpr bool dev_build = true;
#else
#define CHECK(name, condition) ((void)sizeof(condition))
constexpr bool dev_build = false;
#endif

#ifdef SKERRY_SEEDS
extern const char *seeded_bug; // the planted bug that is switched on, or nullptr
bool seeded_bug_is(const char *name);
#define SEEDED_BUG(name) seeded_bug_is(name)
#elif defined(SKERRY_BUG)
#define SEEDED_BUG(name) (__builtin_strcmp(name, SKERRY_BUG) == 0)
#else
#define SEEDED_BUG(name) false
#endif

// In host tests, whether what can be used up is to be so now, whatever there is of it: every place where
// the kernel can run out of something asks (tests/unit/test_kernel_shortage.c). Elsewhere it is false.
#ifdef SKERRY_SEEDS
bool runs_out(const char *what);
#define RUNS_OUT(what) runs_out(what)
#else
#define RUNS_OUT(what) false
#endif

// A memory order that a planted bug weakens.
#define ORDER(bug, order) (SEEDED_BUG(bug) ? memory_order_relaxed : (order))
