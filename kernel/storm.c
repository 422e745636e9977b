// SPDX-License-Identifier: MIT
//
// Storm control of interrupts. See storm.h.
#include "storm.h"

#include "cpu.h"
#include "handlers.h"
#include "interrupt.h"
#include "process.h"

constexpr uint64_t SECOND_NS = 1'000'000'000;

// ---- the bucket

void bucket_fill(struct bucket *bucket, uint64_t per_second, uint64_t burst)
{
    bucket->token_ns = SECOND_NS / per_second;
    bucket->depth_ns = bucket->token_ns * burst;
    bucket->full_ns = 0;
}

bool bucket_take(struct bucket *bucket, uint64_t now_ns)
{
    uint64_t full = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    if (full + bucket->token_ns - now_ns > bucket->depth_ns)
        return false;
    bucket->full_ns = full + bucket->token_ns;
    return true;
}

uint64_t bucket_half_ns(const struct bucket *bucket)
{
    return bucket->full_ns - bucket->depth_ns / 2;
}

// ---- an interrupt's

void storm_init(struct interrupt *interrupt)
{
    interrupt->storm.end.kind = DEADLINE_STORM;
    bucket_fill(&interrupt->storm.bucket, STORM_PER_SECOND, STORM_BURST);
}

bool storm_begins(struct interrupt *interrupt, struct cpu *cpu)
{
    struct storm *storm = &interrupt->storm;
    if (storm->aside || bucket_take(&storm->bucket, time_now_ns()))
        return false;
    storm->aside = true;
    storm->count++;
    interrupt_quieten(interrupt, true);
    if (!SEEDED_BUG("Q3"))
        deadline_set(&storm->end, cpu, bucket_half_ns(&storm->bucket));
    return true;
}

void storm_over(struct interrupt *interrupt, struct object_ref ref) NO_THREAD_SAFETY
{
    if (!object_ref_lock(ref))
        return;
    interrupt->storm.aside = false;
    interrupt_quieten(interrupt, false);
    object_unlock(&interrupt->object);
}

status_t sys_interrupt_limit(struct entry *entry, const struct handle_lookup *handle,
                             uint64_t per_second, uint64_t burst) NO_THREAD_SAFETY
{
    (void)entry;
    if (per_second == 0 || per_second > STORM_PER_SECOND_MAX || burst == 0 ||
        burst > STORM_BURST_MAX)
        return STATUS_INVALID;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    struct interrupt *interrupt = (struct interrupt *)(void *)handle->object;
    bucket_fill(&interrupt->storm.bucket, per_second, burst);
    object_unlock(handle->object);
    return STATUS_OK;
}
