// SPDX-License-Identifier: MIT
//
// GICv3 with affinity routing: the distributor, the controller's interface, and how the parts come
// together. Registers from its architecture specification (IHI 0069), 12.9.
//
// All lines are in group 1 and have one priority. Seen from the non-secure side of a controller
// with two security states, or of one with a single state, the bits that we write are the same; what
// belongs to the other side ignores writes, and firmware has left lines in our group.
//
// Interrupts of the extended ranges (GICv3.1: SPIs from 4096, PPIs from 1056) are not used.
//
// Context: interrupts off; as hal.h says.
#include "gicv3.h"

#include <arch/arch.h>
#include <hal/mmio.h>

#include "icc.h"

constexpr uint64_t GICD_CTLR = 0x0000;
constexpr uint64_t GICD_TYPER = 0x0004;
constexpr uint64_t GICD_IGROUPR = 0x0080;
constexpr uint64_t GICD_ISENABLER = 0x0100;
constexpr uint64_t GICD_ICENABLER = 0x0180;
constexpr uint64_t GICD_ICPENDR = 0x0280;
constexpr uint64_t GICD_ICACTIVER = 0x0380;
constexpr uint64_t GICD_IPRIORITYR = 0x0400;
constexpr uint64_t GICD_ICFGR = 0x0c00;
constexpr uint64_t GICD_IGRPMODR = 0x0d00;
constexpr uint64_t GICD_IROUTER = 0x6000;
constexpr uint64_t GICD_PIDR2 = 0xffe8;
constexpr size_t GICD_BYTES = 0x1'0000;

constexpr uint32_t CTLR_GROUP1 = 1u << 1;
constexpr uint32_t CTLR_ROUTING = 1u << 4; // ARE: by affinity
constexpr uint32_t CTLR_RWP = 1u << 31;    // a write that disables something is under way
constexpr uint32_t TYPER_LPIS = 1u << 17, TYPER_RSS = 1u << 26;

constexpr uint32_t LINE_IPI = 0; // an SGI
constexpr uint32_t PRIORITIES_EQUAL = 0xa0a0'a0a0;
constexpr unsigned CPUS = GICV3_CPUS_MAX;

static volatile void *distributor;
static uint32_t wired_lines; // INTIDs 0 to this, less one
static uint32_t timer_line;
static void (*timer_quiet)(void);
static bool range_selector;  // the distributor knows SGIs to Aff0 above 15
static unsigned lpi_id_bits; // 0: it has no LPIs
static uint64_t boot_cpu;    // its affinity: where lines go
static struct redistributor boot_redistributor;
static uint64_t sgi_values[CPUS]; // what raises IRQ_IPI on each CPU, by its number

static struct irq_controller controller;

const struct redistributor *gicv3_boot_redistributor(void)
{
    return &boot_redistributor;
}

unsigned gicv3_lpi_id_bits(void)
{
    return lpi_id_bits;
}

// ---- lines

static void write_bit(uint64_t registers, uint32_t line)
{
    mmio_write32(distributor, registers + line / 32 * 4, 1u << line % 32);
}

static bool is_message(uint32_t line)
{
    return line >= GICV3_MESSAGE_LINE;
}

// The line can be claimed until the write has reached every CPU interface (12.9.6: RWP), and a level
// that is claimed once more after its mask would be told twice.
static void mask_wired(uint32_t line)
{
    write_bit(GICD_ICENABLER, line);
    (void)gicv3_wait32(distributor, GICD_CTLR, CTLR_RWP, 0);
}

static void mask(uint32_t line)
{
    if (is_message(line))
        message_set_masked(line, true);
    else
        mask_wired(line);
}

static void unmask(uint32_t line)
{
    if (is_message(line))
        message_set_masked(line, false);
    else
        write_bit(GICD_ISENABLER, line);
}

// The trigger may only change while the line is disabled (12.9.9). There is no polarity: a line
// that is active low is inverted on its way here, and is a high level to us.
static void configure(uint32_t line, enum abi_trigger trigger)
{
    mask(line);
    if (is_message(line))
        return; // always an edge, and free of what came before (message_allocate)
    const uint64_t offset = GICD_ICFGR + line / 16 * 4;
    const uint32_t edge = 2u << line % 16 * 2;
    const uint32_t old = mmio_read32(distributor, offset);
    mmio_write32(distributor, offset, trigger == TRIGGER_EDGE ? old | edge : old & ~edge);
    mmio_write64(distributor, GICD_IROUTER + line * 8, boot_cpu);
    write_bit(GICD_ICPENDR, line); // an edge that came before anyone owned it
}

static bool usable(uint32_t line)
{
    return line >= GIC_FIRST_SPI && line < wired_lines;
}

// ---- this CPU's interrupts

static uint32_t claim_own(uint32_t intid)
{
    if (intid == timer_line) {
        timer_quiet();
        return IRQ_TIMER;
    }
    // An SGI is over at once: it only says that there is something. Nothing unmasks another PPI.
    icc_complete(intid);
    return intid == LINE_IPI ? IRQ_IPI : IRQ_NONE;
}

static uint32_t claim(void)
{
    const uint32_t intid = icc_acknowledge();
    if (intid < GIC_FIRST_SPI)
        return claim_own(intid);
    if (intid < GIC_LINES_MAX)
        return intid;
    if (intid - GIC_FIRST_LPI < GICV3_MESSAGES)
        return intid - GIC_FIRST_LPI + GICV3_MESSAGE_LINE;
    if (intid >= GIC_FIRST_LPI)
        icc_complete(intid); // of no line
    return IRQ_NONE;         // as most often, nothing; nobody enables the ranges in between
}

static void complete(uint32_t line)
{
    if (line == IRQ_IPI)
        return;
    if (line == IRQ_TIMER)
        icc_complete(timer_line);
    else if (is_message(line))
        icc_complete(line - GICV3_MESSAGE_LINE + GIC_FIRST_LPI);
    else
        icc_complete(line);
}

static void send_ipi(uint32_t cpu)
{
    icc_send(sgi_values[cpu]);
}

// ---- start

static const char *start_own_part(uint32_t cpu, struct redistributor *own)
{
    if (cpu >= CPUS)
        return "there are too many CPUs";
    if (!icc_present())
        return "it has no GICv3 system registers";
    *own = redistributor_find(icc_affinity());
    const char *wrong = redistributor_start(own);
    if (wrong != nullptr)
        return wrong;
    if (!icc_start())
        return "its GICv3 system registers are kept from the kernel";
    if (!sgi_target(icc_affinity(), range_selector && icc_range_selector(), &sgi_values[cpu]))
        return "no other CPU could interrupt it: the controller cannot name its affinity";
    redistributor_enable(own, LINE_IPI);
    redistributor_enable(own, timer_line);
    return nullptr;
}

static const char *cpu_init(uint32_t cpu)
{
    struct redistributor own;
    return start_own_part(cpu, &own);
}

// Affinity routing may only be switched on while the groups are off, and never off again (12.9.4).
static const char *reset_distributor(uint32_t lines)
{
    mmio_write32(distributor, GICD_CTLR, mmio_read32(distributor, GICD_CTLR) & CTLR_ROUTING);
    if (!gicv3_wait32(distributor, GICD_CTLR, CTLR_RWP, 0))
        return "its distributor does not stop";
    mmio_write32(distributor, GICD_CTLR, CTLR_ROUTING);
    if (!gicv3_wait32(distributor, GICD_CTLR, CTLR_RWP | CTLR_ROUTING, CTLR_ROUTING))
        return "its distributor does not route by affinity";
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line += 32) {
        const uint64_t word = line / 8;
        mmio_write32(distributor, GICD_ICENABLER + word, UINT32_MAX);
        mmio_write32(distributor, GICD_ICPENDR + word, UINT32_MAX);
        mmio_write32(distributor, GICD_ICACTIVER + word, UINT32_MAX);
        mmio_write32(distributor, GICD_IGROUPR + word, UINT32_MAX);
        mmio_write32(distributor, GICD_IGRPMODR + word, 0);
    }
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line += 4)
        mmio_write32(distributor, GICD_IPRIORITYR + line, PRIORITIES_EQUAL);
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line += 16)
        mmio_write32(distributor, GICD_ICFGR + line / 4, 0);
    for (uint32_t line = GIC_FIRST_SPI; line < lines; line++)
        mmio_write64(distributor, GICD_IROUTER + line * 8, boot_cpu);
    mmio_write32(distributor, GICD_CTLR, CTLR_ROUTING | CTLR_GROUP1);
    return gicv3_wait32(distributor, GICD_CTLR, CTLR_RWP, 0) ? nullptr
                                                             : "its distributor does not start";
}

void gicv3_enable_messages(void)
{
    controller.name = "GICv3 with ITS";
    controller.lines = GICV3_MESSAGE_LINE + GICV3_MESSAGES;
    controller.message_allocate = message_allocate;
    controller.message_free = message_free;
}

static uint32_t line_count(uint32_t type)
{
    const uint32_t lines = 32 * ((type & 0x1f) + 1);
    return lines < GIC_LINES_MAX ? lines : GIC_LINES_MAX;
}

const char *gicv3_init(const struct gicv3_config *config, const struct irq_controller **irq)
{
    distributor = hal_own(config->distributor, GICD_BYTES);
    if (distributor == nullptr)
        return "its registers cannot be mapped";
    uint32_t id;
    if (!mmio_probe32(distributor, GICD_PIDR2, &id))
        return "nothing is where its distributor should be";
    const uint32_t revision = id >> 4 & 0xf;
    if (revision != 3 && revision != 4)
        return "its registers are not those of a GICv3";
    timer_line = config->timer_line;
    timer_quiet = config->timer_quiet;
    if (timer_line < 16 || timer_line >= GIC_FIRST_SPI)
        return "the timer's interrupt is not one of the CPU's own";
    const uint32_t type = mmio_read32(distributor, GICD_TYPER);
    range_selector = (type & TYPER_RSS) != 0;
    lpi_id_bits = (type & TYPER_LPIS) != 0 ? (type >> 19 & 0x1f) + 1 : 0;
    wired_lines = line_count(type);
    boot_cpu = icc_affinity();

    controller = (struct irq_controller){
        .name = "GICv3",
        .lines = wired_lines,
        .cpu_init = cpu_init,
        .ipi = send_ipi,
        .claim = claim,
        .complete = complete,
        .usable = usable,
        .configure = configure,
        .mask = mask,
        .unmask = unmask,
    };
    const char *wrong = redistributors_init(config->regions, config->region_count);
    if (wrong == nullptr)
        wrong = reset_distributor(wired_lines);
    if (wrong == nullptr)
        wrong = start_own_part(0, &boot_redistributor);
    if (wrong == nullptr)
        *irq = &controller;
    return wrong;
}
