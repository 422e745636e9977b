// SPDX-License-Identifier: MIT
//
// Redistributors of a GICv3, in registers that this file has: which one is a CPU's, by its affinity,
// in regions of all shapes; what is set up in it; and what names a CPU in an SGI. The driver's own
// source is included.
#include <arch/arch.h>
#include <hal/hal.h>
#include <hal/mmio.h>

#include "test.h"

constexpr uint64_t BASE = 0x80a'0000;
constexpr unsigned FRAMES = 64; // of 64 KiB each
constexpr uint64_t FRAME = 0x1'0000;

// Registers by their frame and their place in it.
static struct frame {
    bool present; // a redistributor begins here
    uint64_t type;
    uint32_t control, waker, group, enabled, priority[8], modifier;
    uint64_t properties, pending;
    bool sleeps_on, keeps_lpis, refuses_lpis, busy, shared;
} frames[FRAMES];
static unsigned looked_at; // beyond any region

static struct frame *frame_at(const volatile void *base, uint64_t offset, uint64_t *in_frame)
{
    const uint64_t at = (uint64_t)base - BASE + offset;
    *in_frame = at % FRAME;
    if (at / FRAME >= FRAMES) {
        looked_at++;
        return &frames[0];
    }
    return &frames[at / FRAME];
}

static uint32_t fake_read32(const volatile void *base, uint64_t offset)
{
    uint64_t at;
    const struct frame *f = frame_at(base, offset, &at);
    switch (at) {
    case 0x0:
        return f->control | (f->busy ? 1u << 3 : 0);
    case 0x14:
        return f->waker | ((f->waker & 2) != 0 || f->sleeps_on ? 4 : 0);
    case 0xffe8:
        return f->present ? 0x3b : 0;
    default:
        return 0;
    }
}

static bool fake_probe32(const volatile void *base, uint64_t offset, uint32_t *value)
{
    uint64_t at;
    *value = fake_read32(base, offset);
    return frame_at(base, offset, &at)->present;
}

static uint64_t fake_read64(const volatile void *base, uint64_t offset)
{
    uint64_t at;
    const struct frame *f = frame_at(base, offset, &at);
    const uint64_t kept = f->shared ? UINT64_MAX : ~(3ull << 10);
    return at == 0x8    ? f->type
           : at == 0x70 ? f->properties & kept
           : at == 0x78 ? f->pending & kept
                        : 0;
}

static void fake_write32(volatile void *base, uint64_t offset, uint32_t value)
{
    uint64_t at;
    struct frame *f = frame_at(base, offset, &at);
    if (at == 0x0 && !f->present)
        return;
    if (at == 0x0)
        f->control = f->keeps_lpis ? f->control | value : f->refuses_lpis ? 0 : value;
    else if (at == 0x14)
        f->waker = value & 2; // the other bit is its answer
    else if (at == 0x80)
        f->group = value;
    else if (at == 0x100)
        f->enabled |= value;
    else if (at == 0x180)
        f->enabled &= ~value;
    else if (at >= 0x400 && at < 0x420)
        f->priority[(at - 0x400) / 4] = value;
    else if (at == 0xd00)
        f->modifier = value;
}

static void fake_write64(volatile void *base, uint64_t offset, uint64_t value)
{
    uint64_t at;
    struct frame *f = frame_at(base, offset, &at);
    if ((f->control & 1) != 0)
        return; // the bases stand while LPIs are on
    if (at == 0x70)
        f->properties = value;
    if (at == 0x78)
        f->pending = value;
}

static void *fake_own(paddr_t registers, size_t bytes)
{
    return bytes <= FRAMES * FRAME ? (void *)registers.value : nullptr;
}

// Time goes on with each look.
static uint64_t now;

static uint64_t fake_ticks(void)
{
    return now++;
}

static void fake_relax(void)
{
}

static const struct clock_source fake_clock = {.hz = 1000, .ticks = fake_ticks};
static struct {
    const struct clock_source *clock;
} fake_hal = {&fake_clock};

#define mmio_read32 fake_read32
#define mmio_probe32 fake_probe32
#define mmio_read64 fake_read64
#define mmio_write32 fake_write32
#define mmio_write64 fake_write64
#define hal_own fake_own
#define arch_cpu_relax fake_relax
#define hal fake_hal
#include "hal/aarch64/gicv3_redistributor.c"

static void begin(void)
{
    memset(frames, 0, sizeof(frames));
    region_count = looked_at = 0;
    now = 0;
}

// A redistributor in frame `n`, for an affinity as MPIDR_EL1 has it.
static void put(unsigned n, uint64_t affinity, uint64_t bits)
{
    frames[n].present = true;
    frames[n].type = (affinity >> 32) << 56 | (affinity & 0xff'ffff) << 32 | bits | 1;
    frames[n].waker = 2;
}

static uint64_t frame_of(uint64_t affinity)
{
    const struct redistributor found = redistributor_find(affinity);
    if (found.registers == nullptr)
        return UINT64_MAX;
    return found.address.value == (uint64_t)found.registers ? (found.address.value - BASE) / FRAME
                                                            : UINT64_MAX - 1;
}

TEST(one_region)
{
    begin();
    for (unsigned i = 0; i < 8; i++)
        put(i * 2, i, i == 7 ? 1 << 4 : 0);
    put(16, 99, 0); // beyond the last
    const struct gicv3_region region = {.registers = {BASE}, .bytes = FRAMES * FRAME};
    EXPECT(redistributors_init(&region, 1) == nullptr);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(frame_of(i) == i * 2);
    EXPECT(frame_of(99) == UINT64_MAX && frame_of(8) == UINT64_MAX);
}

TEST(affinities_of_four_levels)
{
    begin();
    put(0, 0x0000'0000, 0);
    put(2, 0x0000'0100, 0);
    put(4, 0x0001'0000, 0);
    put(6, 0x01'0000'0000, 0);
    put(8, 0xff'00fe'fdfc, 1 << 4);
    const struct gicv3_region region = {.registers = {BASE}, .bytes = FRAMES * FRAME};
    EXPECT(redistributors_init(&region, 1) == nullptr);
    EXPECT(frame_of(0) == 0 && frame_of(0x100) == 2 && frame_of(0x1'0000) == 4);
    EXPECT(frame_of(0x01'0000'0000) == 6 && frame_of(0xff'00fe'fdfc) == 8);
    EXPECT(frame_of(0xff'fefd'fc00) == UINT64_MAX && frame_of(0x0100'0000) == UINT64_MAX);
}

TEST(regions_of_all_shapes)
{
    begin();
    put(0, 1, 0); // no `last`: the region's end is its end
    put(2, 2, 0);
    put(8, 3, 1 << 1); // with two more frames, of a GICv4
    put(12, 4, 1 << 1 | 1 << 4);
    put(20, 5, 1 << 4); // one for itself
    put(30, 6, 0);      // with a stride
    put(36, 7, 1 << 4);
    const struct gicv3_region given[] = {
        {.registers = {BASE}, .bytes = 4 * FRAME},
        {.registers = {BASE + 8 * FRAME}, .bytes = 12 * FRAME},
        {.registers = {BASE + 20 * FRAME}, .bytes = 2 * FRAME},
        {.registers = {BASE + 30 * FRAME}, .bytes = 34 * FRAME, .stride = 6 * FRAME},
        {.registers = {BASE + 50 * FRAME}, .bytes = 14 * FRAME}, // nothing is there
        {.registers = {BASE + 62 * FRAME}, .bytes = 2 * FRAME + 4096},
    };
    put(62, 8, 0);
    EXPECT(redistributors_init(given, ARRAY_SIZE(given)) == nullptr);
    static const unsigned where[] = {[1] = 0, [2] = 2, 8, 12, 20, 30, 36, 62};
    for (unsigned i = 1; i < ARRAY_SIZE(where); i++)
        EXPECT_NOTE(frame_of(i) == where[i], "CPU %u", i);
    EXPECT(frame_of(9) == UINT64_MAX && looked_at == 0);
}

TEST(regions_that_make_no_sense)
{
    begin();
    struct gicv3_region region = {.registers = {BASE}, .bytes = 2 * FRAME - 4096};
    EXPECT(redistributors_init(&region, 0) != nullptr);
    EXPECT(redistributors_init(&region, GICV3_REGIONS_MAX + 1) != nullptr);
    EXPECT(redistributors_init(&region, 1) != nullptr);
    region.bytes = 2 * FRAME;
    EXPECT(redistributors_init(&region, 1) == nullptr);
    region.stride = FRAME;
    EXPECT(redistributors_init(&region, 1) != nullptr);
    region.stride = 3 * FRAME - 4096;
    EXPECT(redistributors_init(&region, 1) != nullptr);
    region = (struct gicv3_region){.registers = {BASE}, .bytes = 3 * FRAME};
    put(0, 1, 0);
    put(2, 2, 0); // half of it is beyond the region
    EXPECT(redistributors_init(&region, 1) == nullptr);
    EXPECT(frame_of(1) == 0 && frame_of(2) == UINT64_MAX);
    region = (struct gicv3_region){.registers = {BASE}, .bytes = FRAMES * FRAME * 2};
    EXPECT(redistributors_init(&region, 1) != nullptr); // cannot be mapped
}

TEST(a_cpu_gets_its_own_lines)
{
    begin();
    put(0, 0, 0);
    put(2, 1, 1 << 4);
    frames[3].enabled = frames[1].enabled = UINT32_MAX;
    frames[3].modifier = 5;
    const struct gicv3_region region = {.registers = {BASE}, .bytes = FRAMES * FRAME};
    EXPECT(redistributors_init(&region, 1) == nullptr);
    const struct redistributor own = redistributor_find(1);
    EXPECT(redistributor_start(&own) == nullptr);
    redistributor_enable(&own, 0);
    redistributor_enable(&own, 27);
    EXPECT(frames[2].waker == 0 && frames[3].enabled == (1u << 27 | 1));
    EXPECT(frames[3].group == UINT32_MAX && frames[3].modifier == 0);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(frames[3].priority[i] == 0xa0a0'a0a0);
    EXPECT(frames[0].waker == 2 && frames[1].enabled == UINT32_MAX); // another CPU's

    struct redistributor none = redistributor_find(2);
    EXPECT(strcmp(redistributor_start(&none), "no redistributor has its affinity") == 0);
    frames[2].sleeps_on = true;
    EXPECT(strcmp(redistributor_start(&own), "its redistributor does not wake up") == 0);
    EXPECT(now < 1000); // it gave up
    frames[2].sleeps_on = false, frames[2].busy = true;
    EXPECT(strcmp(redistributor_start(&own), "its redistributor does not disable interrupts") == 0);
}

TEST(lpis_are_switched_on_once)
{
    begin();
    put(0, 0, 1 << 4);
    const struct gicv3_region region = {.registers = {BASE}, .bytes = FRAMES * FRAME};
    EXPECT(redistributors_init(&region, 1) == nullptr);
    const struct redistributor own = redistributor_find(0);
    const paddr_t properties = {0x4000'1000}, pending = {0x4001'0000};
    for (unsigned shared = 0; shared < 2; shared++) {
        frames[0].shared = shared != 0;
        frames[0].control = 0x10;
        EXPECT(redistributor_enable_lpis(&own, properties, pending, 14) == nullptr);
        EXPECT(frames[0].control == 0x11);
        // IDbits; the address; caches as it snoops them; of the pending table that it is zero.
        const uint64_t attributes = shared != 0 ? 7u << 7 | 1u << 10 : 1u << 7;
        EXPECT(frames[0].properties == (properties.value | attributes | 13));
        EXPECT(frames[0].pending == (pending.value | attributes | 1ull << 62));
    }
    // Firmware had them on: off, then on again with our tables; unless they stay on.
    frames[0].properties = 0;
    EXPECT(redistributor_enable_lpis(&own, properties, pending, 14) == nullptr);
    EXPECT(frames[0].properties != 0);
    frames[0].keeps_lpis = true;
    EXPECT(strcmp(redistributor_enable_lpis(&own, properties, pending, 14),
                  "LPIs are on already, with tables of somebody else") == 0);
    frames[0].keeps_lpis = false, frames[0].refuses_lpis = true;
    EXPECT(redistributor_enable_lpis(&own, properties, pending, 14) != nullptr);
    frames[0].refuses_lpis = false;
    frames[0].type &= ~1ull;
    const struct redistributor other = redistributor_find(0);
    EXPECT(redistributor_enable_lpis(&other, properties, pending, 14) != nullptr);
}

TEST(an_sgi_names_one_cpu)
{
    uint64_t value;
    EXPECT(sgi_target(0, false, &value) && value == 1);
    EXPECT(sgi_target(15, false, &value) && value == 0x8000);
    EXPECT(sgi_target(0x0102, false, &value) && value == (1ull << 16 | 1u << 2));
    EXPECT(sgi_target(0xab'00cd'ef05, false, &value) &&
           value == (0xabull << 48 | 0xcdull << 32 | 0xefull << 16 | 1u << 5));
    EXPECT(!sgi_target(16, false, &value));
    EXPECT(sgi_target(0x1f, true, &value) && value == (1ull << 44 | 0x8000));
    EXPECT(sgi_target(0xff, true, &value) && value == (15ull << 44 | 0x8000));
}
