// SPDX-License-Identifier: MIT
//
// Redistributors of a GICv3: finding a CPU's own, waking it, and the registers of the CPU's first
// 32 lines, which are here instead of in the distributor. Registers from the architecture
// specification (IHI 0069), 12.10 and 12.11.
//
// Context: the boot CPU alone at boot, then each CPU for its own.
#include "gicv3.h"

#include <arch/arch.h>
#include <hal/mmio.h>

constexpr uint64_t WAITS_PER_SECOND = 20; // the longest wait is 50 ms

// RD_base.
constexpr uint64_t GICR_CTLR = 0x0000;
constexpr uint64_t GICR_TYPER = 0x0008;
constexpr uint64_t GICR_WAKER = 0x0014;
constexpr uint64_t GICR_PROPBASER = 0x0070;
constexpr uint64_t GICR_PENDBASER = 0x0078;
constexpr uint64_t GICR_PIDR2 = 0xffe8;
// SGI_base.
constexpr uint64_t GICR_IGROUPR0 = 0x1'0080;
constexpr uint64_t GICR_ISENABLER0 = 0x1'0100;
constexpr uint64_t GICR_ICENABLER0 = 0x1'0180;
constexpr uint64_t GICR_ICPENDR0 = 0x1'0280;
constexpr uint64_t GICR_ICACTIVER0 = 0x1'0380;
constexpr uint64_t GICR_IPRIORITYR = 0x1'0400;
constexpr uint64_t GICR_ICFGR1 = 0x1'0c04; // of lines 16 to 31
constexpr uint64_t GICR_IGRPMODR0 = 0x1'0d00;

constexpr uint32_t CTLR_ENABLE_LPIS = 1u << 0;
constexpr uint32_t CTLR_RWP = 1u << 3; // a write that disables something is under way
constexpr uint64_t TYPER_PLPIS = 1u << 0;
constexpr uint64_t TYPER_VLPIS = 1u << 1; // a GICv4: two more frames follow
constexpr uint64_t TYPER_LAST = 1u << 4;  // of its region
constexpr uint32_t WAKER_SLEEP = 1u << 1, WAKER_CHILDREN_ASLEEP = 1u << 2;
constexpr uint64_t FRAME_BYTES = 0x1'0000;
constexpr uint32_t PRIORITIES_EQUAL = 0xa0a0'a0a0;

// Of tables in memory: inner shareable, write-back; what the GIC does not take, it reads as less.
constexpr uint64_t ATTRIBUTES = 7ull << 7 | 1ull << 10;
constexpr uint64_t SHAREABLE = 3ull << 10, CACHES = 7ull << 7;
constexpr uint64_t NOT_CACHED = 1ull << 7;
constexpr uint64_t PENDING_IS_ZERO = 1ull << 62;

static struct {
    volatile void *registers;
    paddr_t address;
    uint64_t bytes, stride;
} regions[GICV3_REGIONS_MAX];
static unsigned region_count;

bool gicv3_wait32(const volatile void *registers, uint64_t offset, uint32_t mask, uint32_t value)
{
    if ((mmio_read32(registers, offset) & mask) == value)
        return true;
    const uint64_t end = hal.clock->ticks() + hal.clock->hz / WAITS_PER_SECOND;
    while (hal.clock->ticks() < end) {
        if ((mmio_read32(registers, offset) & mask) == value)
            return true;
        arch_cpu_relax();
    }
    return false;
}

const char *redistributors_init(const struct gicv3_region *given, unsigned count)
{
    if (count == 0 || count > GICV3_REGIONS_MAX)
        return "it has no redistributors, or too many regions of them";
    for (unsigned i = 0; i < count; i++) {
        if (given[i].bytes < 2 * FRAME_BYTES)
            return "a redistributor region is too small for one";
        if (given[i].stride % FRAME_BYTES != 0 || given[i].stride == FRAME_BYTES)
            return "the stride of its redistributors is not one of whole frames";
        regions[i].registers = hal_own(given[i].registers, given[i].bytes);
        if (regions[i].registers == nullptr)
            return "its redistributors cannot be mapped";
        regions[i].address = given[i].registers;
        regions[i].bytes = given[i].bytes;
        regions[i].stride = given[i].stride;
    }
    region_count = count;
    return nullptr;
}

static bool is_redistributor(const volatile void *registers)
{
    uint32_t id;
    if (!mmio_probe32(registers, GICR_PIDR2, &id))
        return false;
    const uint32_t revision = id >> 4 & 0xf;
    return revision == 3 || revision == 4;
}

// GICR_TYPER has the affinity as 32 bits, MPIDR_EL1 has Aff3 apart.
static uint64_t affinity_of(uint64_t type)
{
    return (type >> 56) << 32 | (type >> 32 & 0xff'ffff);
}

struct redistributor redistributor_find(uint64_t affinity)
{
    for (unsigned i = 0; i < region_count; i++) {
        for (uint64_t at = 0; at + 2 * FRAME_BYTES <= regions[i].bytes;) {
            volatile void *registers = (volatile char *)regions[i].registers + at;
            if (!is_redistributor(registers))
                break;
            const uint64_t type = mmio_read64(registers, GICR_TYPER);
            if (affinity_of(type) == affinity)
                return (struct redistributor){.registers = registers,
                                              .address = paddr_add(regions[i].address, at),
                                              .type = type};
            if ((type & TYPER_LAST) != 0)
                break;
            if (regions[i].stride != 0)
                at += regions[i].stride;
            else
                at += (type & TYPER_VLPIS) != 0 ? 4 * FRAME_BYTES : 2 * FRAME_BYTES;
        }
    }
    return (struct redistributor){};
}

static bool written(volatile void *registers)
{
    return gicv3_wait32(registers, GICR_CTLR, CTLR_RWP, 0);
}

const char *redistributor_start(const struct redistributor *redistributor)
{
    volatile void *registers = redistributor->registers;
    if (registers == nullptr)
        return "no redistributor has its affinity";
    mmio_write32(registers, GICR_WAKER, mmio_read32(registers, GICR_WAKER) & ~WAKER_SLEEP);
    if (!gicv3_wait32(registers, GICR_WAKER, WAKER_CHILDREN_ASLEEP, 0))
        return "its redistributor does not wake up";
    mmio_write32(registers, GICR_ICENABLER0, UINT32_MAX);
    if (!written(registers))
        return "its redistributor does not disable interrupts";
    mmio_write32(registers, GICR_ICACTIVER0, UINT32_MAX);
    mmio_write32(registers, GICR_ICPENDR0, UINT32_MAX);
    mmio_write32(registers, GICR_IGROUPR0, UINT32_MAX);
    mmio_write32(registers, GICR_IGRPMODR0, 0);
    for (uint32_t line = 0; line < GIC_FIRST_SPI; line += 4)
        mmio_write32(registers, GICR_IPRIORITYR + line, PRIORITIES_EQUAL);
    mmio_write32(registers, GICR_ICFGR1, 0);
    return nullptr;
}

void redistributor_enable(const struct redistributor *redistributor, uint32_t line)
{
    mmio_write32(redistributor->registers, GICR_ISENABLER0, 1u << line);
}

// Whether it snoops the CPU's caches is seen by what it keeps. Where it does not, what is written to
// tables is cleaned in any case (gicv3_messages.c).
static void write_base(volatile void *registers, uint64_t offset, uint64_t value)
{
    mmio_write64(registers, offset, value | ATTRIBUTES);
    if ((mmio_read64(registers, offset) & SHAREABLE) == 0)
        mmio_write64(registers, offset, (value & ~CACHES) | NOT_CACHED);
}

// The bases may only be written while LPIs are off, and LPIs may stay on for ever once they are
// (12.11.2: EnableLPIs).
const char *redistributor_enable_lpis(const struct redistributor *redistributor, paddr_t properties,
                                      paddr_t pending, unsigned id_bits)
{
    volatile void *registers = redistributor->registers;
    if ((redistributor->type & TYPER_PLPIS) == 0)
        return "the boot CPU's redistributor takes no LPIs";
    const uint32_t control = mmio_read32(registers, GICR_CTLR) & ~CTLR_ENABLE_LPIS;
    mmio_write32(registers, GICR_CTLR, control);
    if (!written(registers) || (mmio_read32(registers, GICR_CTLR) & CTLR_ENABLE_LPIS) != 0)
        return "LPIs are on already, with tables of somebody else";
    write_base(registers, GICR_PROPBASER, properties.value | (id_bits - 1));
    write_base(registers, GICR_PENDBASER, pending.value | PENDING_IS_ZERO);
    mmio_write32(registers, GICR_CTLR, control | CTLR_ENABLE_LPIS);
    if ((mmio_read32(registers, GICR_CTLR) & CTLR_ENABLE_LPIS) == 0)
        return "the boot CPU's redistributor does not switch LPIs on";
    return nullptr;
}

// 12.2.20: Aff3 in bits 55-48, Aff2 in 39-32, Aff1 in 23-16, Aff0 as a bit among the 16 that the
// range in bits 47-44 names; the SGI's INTID, which is 0, in 27-24.
bool sgi_target(uint64_t affinity, bool range_selector, uint64_t *value)
{
    const uint64_t aff0 = affinity & 0xff, aff1 = affinity >> 8 & 0xff;
    const uint64_t aff2 = affinity >> 16 & 0xff, aff3 = affinity >> 32 & 0xff;
    if (aff0 >= 16 && !range_selector)
        return false;
    *value = aff3 << 48 | (aff0 >> 4) << 44 | aff2 << 32 | aff1 << 16 | 1ull << (aff0 & 15);
    return true;
}
