// SPDX-License-Identifier: MIT
//
// Locks of the mutated kernel, instrumented like it: each passes, unless it is left out.
#include "lock.h"

#include "mutant.h"
#include "object.h"
#include "switch.h"

void mutant_lock_acquire(struct spinlock *lock) NO_THREAD_SAFETY
{
    (void)switch_lock_taken(lock); // an execution that ended early may have left it
    lock_acquire(lock);
}

void mutant_lock_release(struct spinlock *lock) NO_THREAD_SAFETY
{
    if (!switch_lock_taken(lock))
        lock_release(lock);
}

void without_mutant_lock_acquire(struct spinlock *lock)
{
    switch_lock_left_out(lock);
}

bool without_object_lock(struct object *object, uint64_t generation)
{
    if (!object_is(object, generation) || object_dies(object))
        return false;
    switch_lock_left_out(&object->lock);
    return true;
}

bool without_object_ref_lock(struct object_ref ref)
{
    return ref.object && without_object_lock(ref.object, ref.generation);
}

bool without_object_lock_inner(struct object_ref ref, enum lock_rank rank)
{
    (void)rank;
    return without_object_lock(ref.object, ref.generation);
}
