// SPDX-License-Identifier: MIT
//
// A figure that one CPU writes, and that others may read at any time: never torn, maybe old.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value;
};

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

// By its one writer, like the next: not a read-modify-write.
static inline void counter_set(struct counter *counter, uint64_t value)
{
    atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}

static inline void counter_add(struct counter *counter, uint64_t amount)
{
    counter_set(counter, counter_read(counter) + amount);
}
