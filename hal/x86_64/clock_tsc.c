// SPDX-License-Identifier: MIT
//
// The time-stamp counter and the local APIC's one-shot timer as clock source.
//
// Measuring: a sample reads the reference between two readings of the counter, so its error is at
// most the distance between those, which is kept beside it. A window is a pair of samples some
// milliseconds apart. A sample is taken again when something (a hypervisor, an SMI) came between
// its readings, and the window whose samples were the tightest is believed. If the processor
// states the counter's frequency and that is close to what was measured, the statement is used,
// since it is exact.
#include <hal/x86_64/clock_tsc.h>

#include <arch/arch.h>
#include <arch/instructions.h>

#include "lapic.h"
#include "references.h"

constexpr unsigned WINDOWS = 3;
constexpr uint64_t WINDOW_PARTS = 200; // of a second: 5 ms
constexpr unsigned SAMPLE_TRIES = 8;
constexpr uint64_t WINDOW_READS_MAX = 10'000'000; // of a reference that stopped

constexpr uint64_t HZ_MIN = 1'000'000;
constexpr uint64_t HZ_MAX = 100'000'000'000;

struct sample {
    uint64_t reference, counter, spread;
    uint32_t timer; // of the local APIC; counts down
};

// Local APIC counts per counter tick, as a fraction of 2^32. Immutable after boot.
static uint64_t timer_scale;

static struct sample sample_once(const struct clock_reference *reference)
{
    const uint64_t before = tsc_read();
    const uint64_t value = reference->read();
    const uint32_t timer = lapic_timer_count();
    const uint64_t after = tsc_read();
    return (struct sample){value, before + (after - before) / 2, after - before, timer};
}

static struct sample sample_best(const struct clock_reference *reference)
{
    struct sample best = sample_once(reference);
    for (unsigned i = 1; i < SAMPLE_TRIES; i++) {
        const struct sample again = sample_once(reference);
        if (again.spread < best.spread)
            best = again;
    }
    return best;
}

struct window {
    uint64_t reference, counter, timer, spread; // how far each moved, and the possible error
};

// false: the reference did not move far enough.
static bool window_measure(const struct clock_reference *reference, struct window *window)
{
    lapic_timer_start(UINT32_MAX);
    const struct sample first = sample_best(reference);
    const uint64_t length = reference->hz / WINDOW_PARTS;
    uint64_t reads = 0;
    while (((reference->read() - first.reference) & reference->mask) < length)
        if (++reads == WINDOW_READS_MAX)
            return false;
    const struct sample last = sample_best(reference);
    lapic_timer_start(0);
    *window = (struct window){
        .reference = (last.reference - first.reference) & reference->mask,
        .counter = last.counter - first.counter,
        .timer = first.timer - last.timer,
        .spread = first.spread + last.spread,
    };
    return true;
}

static uint64_t clock_ticks(void)
{
    return tsc_read();
}

static void clock_arm(uint64_t ticks)
{
    if (ticks == UINT64_MAX) {
        lapic_timer_start(0);
        return;
    }
    const uint64_t now = tsc_read();
    uint64_t count = 1;
    if (ticks > now) {
        // Rounded up; what is too far away fires early, and the kernel arms again.
        const unsigned __int128 exact = (unsigned __int128)(ticks - now) * timer_scale;
        count = exact >> 64 != 0 ? UINT32_MAX : (uint64_t)(exact >> 32) + 1;
        if (count > UINT32_MAX)
            count = UINT32_MAX;
    }
    lapic_timer_start((uint32_t)count);
}

static void clock_cpu_init(void)
{
    lapic_timer_start(0);
    lapic_timer_masked(false);
}

struct clock_source clock_tsc = {
    .name = "TSC",
    .cpu_init = clock_cpu_init,
    .ticks = clock_ticks,
    .arm = clock_arm,
};

const char *clock_tsc_init(const struct clock_reference *reference)
{
    lapic_timer_masked(true);
    struct window best = {.spread = UINT64_MAX};
    for (unsigned i = 0; i < WINDOWS; i++) {
        struct window window;
        if (!window_measure(reference, &window))
            return "the reference timer stopped";
        if (window.spread < best.spread)
            best = window;
    }
    if (best.counter == 0 || best.timer == 0)
        return "the time-stamp counter or the local APIC's timer does not count";

    uint64_t hz;
    const bool overflow = __builtin_mul_overflow(best.counter, reference->hz, &hz);
    hz /= best.reference;
    if (overflow || hz < HZ_MIN || hz > HZ_MAX)
        return "the time-stamp counter's rate makes no sense";
    bool exact;
    const uint64_t stated = clock_stated_hz(&exact);
    const uint64_t difference = stated > hz ? stated - hz : hz - stated;
    if (exact && difference < hz / 100)
        hz = stated;
    clock_tsc.hz = hz;
    timer_scale = (best.timer << 32) / best.counter;
    lapic_timer_masked(false);
    return nullptr;
}
