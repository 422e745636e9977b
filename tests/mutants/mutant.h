// SPDX-License-Identifier: MIT
//
// Included before each source that mutate.py wrote. At most one mutant is on, chosen when the
// program starts (switch.c). Constants are not seen by the thread sanitizer's instrumentation, so
// that asking is no event of the explorer's.
#pragma once

#include <stdint.h>

extern const uint32_t mutants_first, mutants_count; // those that are on, or all while they are met
bool mutant_met(uint32_t number);

#define MUTANT(number) \
    (__builtin_expect((uint32_t)(number) - mutants_first < mutants_count, 0) && mutant_met(number))

// A lock that is left out: the CPU goes on as if it had it, and its release of this lock does
// nothing. That the CPU really takes it meanwhile cannot be: none is taken twice.
struct object;
struct object_ref;
struct spinlock;
void mutant_lock_acquire(struct spinlock *lock);
void mutant_lock_release(struct spinlock *lock);
void without_mutant_lock_acquire(struct spinlock *lock);
bool without_object_lock(struct object *object, uint64_t generation);
bool without_object_ref_lock(struct object_ref ref);
bool without_object_lock_inner(struct object_ref ref, uint8_t rank);

#define MUTANT_LOCK(acquire, number, ...) \
    (MUTANT(number) ? without_##acquire(__VA_ARGS__) : acquire(__VA_ARGS__))
