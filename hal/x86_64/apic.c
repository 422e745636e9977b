// SPDX-License-Identifier: MIT
//
// Local APIC and I/O APICs behind struct irq_controller. Line n has vector VECTOR_LINES_FIRST + n.
//
// Masking keeps the promise of the interface, which the hardware does not: an edge or a message
// that arrives at a masked line is delivered once, when the line is unmasked. An I/O APIC forgets
// an edge at a masked input, and a local APIC cannot mask a vector at all. So for these two the
// mask is a bit here; what arrives meanwhile is remembered in a second bit and raised again by an
// interrupt to the CPU that is the line's target. A level line is masked in the I/O APIC and needs
// no memory.
//
// The boot CPU is the target of every line. It claims while another CPU masks and unmasks, so the
// bits of a line are changed together by atomic operations.
#include <hal/x86_64/apic.h>

#include <stdatomic.h>

#include <arch/arch.h>
#include <arch/instructions.h>

#include "ioapic.h"
#include "lapic.h"

constexpr uint32_t LINES = VECTOR_LINES_END - VECTOR_LINES_FIRST;
constexpr unsigned CPUS = 64;
constexpr uint64_t MESSAGE_ADDRESS = 0xfee0'0000; // SDM volume 3, 10.11.1

enum line_bit : uint8_t {
    LINE_MASKED = 1,
    LINE_ARRIVED = 2,   // while masked: to be raised again
    LINE_ALLOCATED = 4, // message lines
};

struct line {
    enum abi_trigger trigger; // changed while the line is masked
    _Atomic uint8_t bits;
};

static struct line lines[LINES];
static uint32_t gsi_count; // lines below are inputs, the others messages; immutable after boot
static struct apic_config config;
static uint32_t target;    // APIC id of the boot CPU
static uint32_t ids[CPUS]; // APIC ids, by CPU number

static uint8_t line_vector(uint32_t line)
{
    return (uint8_t)(VECTOR_LINES_FIRST + line);
}

static bool is_level(uint32_t line)
{
    return line < gsi_count && lines[line].trigger != TRIGGER_EDGE;
}

// What a masked line becomes when it raises an interrupt. A level line was masked too late, and
// will raise it again; a message line that nobody has, by nobody's right.
static uint8_t arrives(uint32_t line, uint8_t bits)
{
    const bool kept = line < gsi_count ? !is_level(line) : (bits & LINE_ALLOCATED) != 0;
    return kept ? bits | LINE_ARRIVED : bits;
}

// An interrupt is claimed once; another that waits comes by itself when this one has ended.
static uint32_t apic_claim(void)
{
    struct arch_percpu *self = arch_cpu_self();
    const uint64_t vector = self->vector;
    self->vector = VECTOR_SPURIOUS;
    if (vector == VECTOR_TIMER)
        return IRQ_TIMER;
    if (vector == VECTOR_IPI)
        return IRQ_IPI;
    if (vector < VECTOR_LINES_FIRST || vector == VECTOR_SPURIOUS)
        return IRQ_NONE; // the i8259's or our own spurious one: neither is to be ended
    if (vector >= VECTOR_LINES_END) {
        lapic_end_of_interrupt(); // nothing sends it, but a device may write any message
        return IRQ_NONE;
    }
    const uint32_t line = (uint32_t)vector - VECTOR_LINES_FIRST;
    // Acquire: what the line was configured to be before it was unmasked.
    uint8_t bits = atomic_load_explicit(&lines[line].bits, memory_order_acquire);
    do
        if ((bits & LINE_MASKED) == 0)
            return line;
    while (!atomic_compare_exchange_weak_explicit(&lines[line].bits, &bits, arrives(line, bits),
                                                  memory_order_acq_rel, memory_order_acquire));
    lapic_end_of_interrupt();
    return IRQ_NONE;
}

static bool apic_usable(uint32_t line)
{
    if (line >= LINES)
        return false;
    return line < gsi_count ? ioapic_has(line) : (lines[line].bits & LINE_ALLOCATED) != 0;
}

static void apic_configure(uint32_t line, enum abi_trigger trigger)
{
    for (unsigned i = 0; i < config.override_count; i++)
        if (config.overrides[i].line == line)
            trigger = config.overrides[i].trigger;
    lines[line].bits = LINE_MASKED | (lines[line].bits & LINE_ALLOCATED);
    lines[line].trigger = trigger;
    if (line < gsi_count)
        ioapic_route(line, trigger, line_vector(line), target);
}

static void apic_mask(uint32_t line)
{
    atomic_fetch_or_explicit(&lines[line].bits, LINE_MASKED, memory_order_acq_rel);
    if (is_level(line))
        ioapic_set_mask(line, true);
}

static void apic_unmask(uint32_t line)
{
    const uint8_t before = atomic_fetch_and_explicit(
        &lines[line].bits, (uint8_t)~(LINE_MASKED | LINE_ARRIVED), memory_order_acq_rel);
    if (line < gsi_count)
        ioapic_set_mask(line, false);
    if ((before & LINE_ARRIVED) != 0)
        lapic_interrupt(target, line_vector(line));
}

// Every device reaches every local APIC, and none knows who it was.
static bool apic_message_allocate(paddr_t controller, uint64_t device, uint32_t *line,
                                  uint64_t *address, uint32_t *data)
{
    (void)controller, (void)device;
    for (uint32_t at = gsi_count; at < LINES; at++) {
        if ((lines[at].bits & LINE_ALLOCATED) != 0)
            continue;
        lines[at].trigger = TRIGGER_EDGE;
        lines[at].bits = LINE_MASKED | LINE_ALLOCATED;
        *line = at;
        *address = MESSAGE_ADDRESS | (uint64_t)target << 12;
        *data = line_vector(at); // fixed delivery, edge
        return true;
    }
    return false;
}

static void apic_message_free(uint32_t line)
{
    lines[line].bits = LINE_MASKED;
}

// ---- CPUs

static void apic_ipi(uint32_t cpu)
{
    lapic_interrupt(ids[cpu], VECTOR_IPI);
}

static const char *apic_cpu_init(uint32_t cpu)
{
    const char *error = cpu < CPUS ? lapic_start(config.nmi_inputs) : "there are too many CPUs";
    if (error == nullptr)
        ids[cpu] = lapic_id();
    return error;
}

static void wait_us(uint64_t us)
{
    const uint64_t end = hal.clock->ticks() + hal.clock->hz / 1'000'000 * us;
    while (hal.clock->ticks() < end)
        arch_cpu_relax();
}

// SDM volume 3, 9.4.4: INIT, 10 ms, start-up, 200 us, start-up again in case the first was lost.
bool apic_cpu_start(uint64_t id, paddr_t entry, uint64_t argument)
{
    (void)argument;
    constexpr uint64_t REAL_MODE_END = 1u << 20;
    if (id > apic_id_max() || entry.value == 0 || entry.value >= REAL_MODE_END)
        return false;
    lapic_send_init((uint32_t)id);
    wait_us(10'000);
    for (unsigned i = 0; i < 2; i++) {
        lapic_send_startup((uint32_t)id, (uint8_t)(entry.value >> PAGE_SHIFT));
        wait_us(200);
    }
    return true;
}

struct irq_controller apic_controller = {
    .lines = LINES,
    .cpu_init = apic_cpu_init,
    .ipi = apic_ipi,
    .claim = apic_claim,
    .usable = apic_usable,
    .configure = apic_configure,
    .mask = apic_mask,
    .unmask = apic_unmask,
    .message_allocate = apic_message_allocate,
    .message_free = apic_message_free,
};

// Moves the pair's vectors out of the processor's exceptions, since a spurious interrupt can come
// in spite of the mask, and masks everything (Intel 8259A data sheet: ICW1-4, OCW1).
static void i8259_mask(uint16_t first, uint16_t second)
{
    constexpr uint8_t icw1 = 0x11, icw4 = 0x01;
    port_write8(first, icw1);
    port_write8(second, icw1);
    port_write8(first + 1, VECTOR_I8259_FIRST);
    port_write8(second + 1, VECTOR_I8259_FIRST + 8);
    port_write8(first + 1, 1u << 2); // the second hangs on input 2
    port_write8(second + 1, 2);
    port_write8(first + 1, icw4);
    port_write8(second + 1, icw4);
    port_write8(first + 1, 0xff);
    port_write8(second + 1, 0xff);
}

const char *apic_init(const struct apic_config *given, uint16_t i8259_first, uint16_t i8259_second)
{
    config = *given;
    for (uint32_t line = 0; line < LINES; line++)
        lines[line].bits = LINE_MASKED;
    i8259_mask(i8259_first, i8259_second);
    const char *error = lapic_init(config.local);
    if (error == nullptr)
        error = apic_cpu_init(0);
    if (error != nullptr)
        return error;
    const bool x2apic = lapic_is_x2apic();
    apic_controller.name = x2apic ? "x2APIC and I/O APIC" : "local APIC and I/O APIC";
    apic_controller.complete = lapic_complete;
    target = lapic_id();
    if (target > XAPIC_ID_MAX)
        return "the boot CPU has an APIC id that devices cannot name without interrupt remapping";
    return ioapic_init(&config, &gsi_count);
}

uint32_t apic_id(void)
{
    return lapic_id();
}

uint32_t apic_id_max(void)
{
    return lapic_is_x2apic() ? X2APIC_ID_MAX : XAPIC_ID_MAX;
}
