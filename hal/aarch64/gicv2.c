// SPDX-License-Identifier: MIT
//
// GICv2. Registers from its architecture specification (IHI 0048B), chapter 4.
//
// Every interrupt has one priority and one group; which group, and so which enable bit, depends
// on whether the controller has security extensions and from which side we see it: bit 0 of both
// control registers is right in each case, once all lines are in group 0 (a write that the
// non-secure side ignores).
//
// Context: interrupts off; as hal.h says. The first 32 lines, and the CPU interface, are each
// CPU's own at the same addresses.
#include "gicv2.h"

#include <arch/arch.h>
#include <hal/mmio.h>

// Distributor.
constexpr uint64_t GICD_CTLR = 0x000;
constexpr uint64_t GICD_TYPER = 0x004;
constexpr uint64_t GICD_IGROUPR = 0x080;
constexpr uint64_t GICD_ISENABLER = 0x100;
constexpr uint64_t GICD_ICENABLER = 0x180;
constexpr uint64_t GICD_ICPENDR = 0x280;
constexpr uint64_t GICD_ICACTIVER = 0x380;
constexpr uint64_t GICD_IPRIORITYR = 0x400;
constexpr uint64_t GICD_ITARGETSR = 0x800;
constexpr uint64_t GICD_ICFGR = 0xc00;
constexpr uint64_t GICD_SGIR = 0xf00;
constexpr size_t GICD_BYTES = 0x1000;

// CPU interface.
constexpr uint64_t GICC_CTLR = 0x00;
constexpr uint64_t GICC_PMR = 0x04;
constexpr uint64_t GICC_BPR = 0x08;
constexpr uint64_t GICC_IAR = 0x0c;
constexpr uint64_t GICC_EOIR = 0x10;
constexpr size_t GICC_BYTES = 0x100;

constexpr uint32_t INTID_MASK = 0x3ff;
constexpr uint32_t LINES_MAX = 1020; // 1020-1023 mean "nothing"
constexpr uint32_t LINE_IPI = 0;     // an SGI
constexpr unsigned CPUS = 8;         // there is one bit for each
constexpr uint32_t PRIORITIES_EQUAL = 0xa0a0'a0a0;

static volatile void *distributor, *cpu_interface;
static uint32_t timer_line;
static void (*timer_quiet)(void);
static uint32_t boot_cpu_target;  // this CPU's bit in GICD_ITARGETSR, in all four bytes
static uint8_t cpu_targets[CPUS]; // of each CPU, by its number

static struct irq_controller controller;

uint32_t gicv2_lines(void)
{
    return controller.lines;
}

static void write_bit(uint64_t registers, uint32_t line)
{
    mmio_write32(distributor, registers + line / 32 * 4, 1u << line % 32);
}

void gicv2_mask(uint32_t line)
{
    write_bit(GICD_ICENABLER, line);
}

static void unmask(uint32_t line)
{
    write_bit(GICD_ISENABLER, line);
}

void gicv2_clear_pending(uint32_t line)
{
    write_bit(GICD_ICPENDR, line);
}

// The trigger may only change while the line is disabled (4.3.13). There is no polarity: a line
// that is active low is inverted on its way here, and is a high level to us.
void gicv2_configure(uint32_t line, enum abi_trigger trigger)
{
    gicv2_mask(line);
    const uint64_t offset = GICD_ICFGR + line / 16 * 4;
    const uint32_t edge = 2u << line % 16 * 2;
    const uint32_t old = mmio_read32(distributor, offset);
    mmio_write32(distributor, offset, trigger == TRIGGER_EDGE ? old | edge : old & ~edge);

    if (line >= GIC_FIRST_SPI) {
        const uint64_t targets = GICD_ITARGETSR + line / 4 * 4;
        const uint32_t byte = 0xffu << line % 4 * 8;
        mmio_write32(distributor, targets,
                     (mmio_read32(distributor, targets) & ~byte) | (boot_cpu_target & byte));
    }
    gicv2_clear_pending(line); // an edge that came before anyone owned it
}

static uint32_t claim(void)
{
    const uint32_t acknowledged = mmio_read32(cpu_interface, GICC_IAR);
    const uint32_t line = acknowledged & INTID_MASK;
    if (line >= LINES_MAX)
        return IRQ_NONE;
    if (line == timer_line) {
        timer_quiet();
        return IRQ_TIMER;
    }
    if (line < GIC_FIRST_SPI) {
        // An SGI wants its sender's number back, and is over at once: it only says that there is
        // something. Nothing unmasks another PPI.
        mmio_write32(cpu_interface, GICC_EOIR, acknowledged);
        // What the sender wrote before is read after the acknowledgement, not ahead of it: it will
        // not send again for what was there already.
        __asm__ volatile("dmb oshld" ::: "memory");
        return line == LINE_IPI ? IRQ_IPI : IRQ_NONE;
    }
    return line;
}

static void complete(uint32_t line)
{
    if (line != IRQ_IPI)
        mmio_write32(cpu_interface, GICC_EOIR, line == IRQ_TIMER ? timer_line : line);
}

static void ipi(uint32_t cpu)
{
    __asm__ volatile("dsb ishst" ::: "memory"); // what it is about, before the interrupt
    mmio_write32(distributor, GICD_SGIR, (uint32_t)cpu_targets[cpu] << 16 | LINE_IPI);
}

static bool usable(uint32_t line)
{
    return line >= GIC_FIRST_SPI && line < controller.lines && !gicv2m_owns(line);
}

void gicv2_enable_messages(void)
{
    controller.message_allocate = gicv2m_allocate;
    controller.message_free = gicv2m_free;
}

// The first eight target registers are banked and read as the reading CPU's own mask (4.3.12).
// With a single CPU they read as zero and targets are ignored.
static uint32_t own_target(void)
{
    for (uint64_t i = 0; i < 32; i += 4) {
        const uint32_t word = mmio_read32(distributor, GICD_ITARGETSR + i);
        const uint32_t mask = (word | word >> 8 | word >> 16 | word >> 24) & 0xff;
        if (mask != 0)
            return mask * 0x0101'0101u;
    }
    return 0x0101'0101u;
}

static void reset_distributor(uint32_t lines)
{
    mmio_write32(distributor, GICD_CTLR, 0);
    for (uint32_t line = 0; line < lines; line += 32) {
        const uint64_t word = line / 8;
        mmio_write32(distributor, GICD_ICENABLER + word, UINT32_MAX);
        mmio_write32(distributor, GICD_ICPENDR + word, UINT32_MAX);
        mmio_write32(distributor, GICD_ICACTIVER + word, UINT32_MAX);
        mmio_write32(distributor, GICD_IGROUPR + word, 0);
    }
    for (uint32_t line = 0; line < lines; line += 4)
        mmio_write32(distributor, GICD_IPRIORITYR + line, PRIORITIES_EQUAL);
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line += 4)
        mmio_write32(distributor, GICD_ITARGETSR + line, boot_cpu_target);
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line += 16)
        mmio_write32(distributor, GICD_ICFGR + line / 4, 0);
    mmio_write32(distributor, GICD_CTLR, 1);
}

// The registers of the first 32 lines are each CPU's own (4.1.4).
static void start_own_part(uint32_t cpu)
{
    cpu_targets[cpu] = (uint8_t)own_target();
    mmio_write32(distributor, GICD_ICENABLER, UINT32_MAX);
    mmio_write32(distributor, GICD_ICPENDR, UINT32_MAX);
    mmio_write32(distributor, GICD_ICACTIVER, UINT32_MAX);
    mmio_write32(distributor, GICD_IGROUPR, 0);
    for (uint32_t line = 0; line < GIC_FIRST_SPI; line += 4)
        mmio_write32(distributor, GICD_IPRIORITYR + line, PRIORITIES_EQUAL);
    mmio_write32(cpu_interface, GICC_PMR, 0xff);
    mmio_write32(cpu_interface, GICC_BPR, 7); // no preemption between interrupts
    mmio_write32(cpu_interface, GICC_CTLR, 1);
    unmask(LINE_IPI);
    unmask(timer_line);
}

static const char *cpu_init(uint32_t cpu)
{
    if (cpu >= CPUS)
        return "a GICv2 serves no more than 8 CPUs";
    start_own_part(cpu);
    return nullptr;
}

const char *gicv2_init(const struct gicv2_config *config, const struct irq_controller **irq)
{
    distributor = hal_own(config->distributor, GICD_BYTES);
    cpu_interface = hal_own(config->cpu_interface, GICC_BYTES);
    if (distributor == nullptr || cpu_interface == nullptr)
        return "its registers cannot be mapped";

    uint32_t type, control;
    if (!mmio_probe32(distributor, GICD_TYPER, &type))
        return "nothing is where its distributor should be";
    if (!mmio_probe32(cpu_interface, GICC_CTLR, &control))
        return "nothing is where its CPU interface should be";
    uint32_t lines = 32 * ((type & 0x1f) + 1);
    if (lines > LINES_MAX)
        lines = LINES_MAX;
    timer_line = config->timer_line;
    timer_quiet = config->timer_quiet;
    if (timer_line < 16 || timer_line >= GIC_FIRST_SPI)
        return "the timer's interrupt is not one of the CPU's own";

    boot_cpu_target = own_target();
    reset_distributor(lines);
    start_own_part(0);

    controller = (struct irq_controller){
        .name = "GICv2",
        .lines = lines,
        .cpu_init = cpu_init,
        .ipi = ipi,
        .claim = claim,
        .complete = complete,
        .usable = usable,
        .configure = gicv2_configure,
        .mask = gicv2_mask,
        .unmask = unmask,
    };
    *irq = &controller;
    return nullptr;
}
