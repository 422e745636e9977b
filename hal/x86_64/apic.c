// SPDX-License-Identifier: MIT
//
// Local APIC and I/O APICs behind struct irq_controller. Line n has vector VECTOR_LINES_FIRST + n.
//
// Masking keeps the promise of the interface, which the hardware does not: an edge or a message
// that arrives at a masked line is delivered once, when the line is unmasked. An I/O APIC forgets
// an edge at a masked input, and a local APIC cannot mask a vector at all. So for these two the
// mask is a bit here; what arrives meanwhile is remembered in a second bit and raised again by an
// interrupt to the CPU itself. A level line is masked in the I/O APIC and needs no memory.
//
// Called with interrupts off on the boot CPU, which is the target of every line; calls that
// change a line are made under the kernel's lock for interrupts.
#include <hal/x86_64/apic.h>

#include <arch/arch.h>
#include <arch/instructions.h>

#include "ioapic.h"
#include "lapic.h"

constexpr uint32_t LINES = VECTOR_LINES_END - VECTOR_LINES_FIRST;
constexpr uint64_t MESSAGE_ADDRESS = 0xfee0'0000; // SDM volume 3, 10.11.1

struct line {
    enum abi_trigger trigger;
    bool masked;
    bool arrived;   // while masked: to be raised again
    bool allocated; // message lines
};

static struct line lines[LINES];
static uint32_t gsi_count; // lines below are inputs, the others messages; immutable after boot
static struct apic_config config;
static uint32_t target; // APIC id of the boot CPU

static uint8_t line_vector(uint32_t line)
{
    return (uint8_t)(VECTOR_LINES_FIRST + line);
}

static bool is_level(uint32_t line)
{
    return line < gsi_count && lines[line].trigger != TRIGGER_EDGE;
}

// An interrupt is claimed once; another that waits comes by itself when this one has ended.
static uint32_t apic_claim(void)
{
    struct arch_percpu *self = arch_cpu_self();
    const uint64_t vector = self->vector;
    self->vector = VECTOR_SPURIOUS;
    if (vector == VECTOR_TIMER)
        return IRQ_TIMER;
    if (vector < VECTOR_LINES_FIRST || vector == VECTOR_SPURIOUS)
        return IRQ_NONE; // the i8259's or our own spurious one: neither is to be ended
    if (vector >= VECTOR_LINES_END) {
        lapic_end_of_interrupt(); // nothing sends it, but a device may write any message
        return IRQ_NONE;
    }
    const uint32_t line = (uint32_t)vector - VECTOR_LINES_FIRST;
    if (lines[line].masked) {
        if (is_level(line) || (line >= gsi_count && !lines[line].allocated)) {
            lapic_end_of_interrupt(); // raised before the mask took effect, or by nobody's right
            return IRQ_NONE;
        }
        // A second one while the first is being handled. One is enough: the line may be a storm.
        lines[line].arrived = true;
        if (line < gsi_count)
            ioapic_set_mask(line, true);
        lapic_end_of_interrupt();
        return IRQ_NONE;
    }
    return line;
}

static void apic_complete(uint32_t line)
{
    (void)line; // the local APIC ends the highest one in service
    lapic_end_of_interrupt();
}

static bool apic_usable(uint32_t line)
{
    if (line >= LINES)
        return false;
    return line < gsi_count ? ioapic_has(line) : lines[line].allocated;
}

static void apic_configure(uint32_t line, enum abi_trigger trigger)
{
    for (unsigned i = 0; i < config.override_count; i++)
        if (config.overrides[i].line == line)
            trigger = config.overrides[i].trigger;
    lines[line] = (struct line){
        .trigger = trigger,
        .masked = true,
        .allocated = lines[line].allocated,
    };
    if (line < gsi_count)
        ioapic_route(line, trigger, line_vector(line), target);
}

static void apic_mask(uint32_t line)
{
    lines[line].masked = true;
    if (is_level(line))
        ioapic_set_mask(line, true);
}

static void apic_unmask(uint32_t line)
{
    lines[line].masked = false;
    if (line < gsi_count)
        ioapic_set_mask(line, false);
    if (lines[line].arrived) {
        lines[line].arrived = false;
        lapic_interrupt_self(line_vector(line));
    }
}

static bool apic_message_allocate(uint32_t *line, uint64_t *address, uint32_t *data)
{
    for (uint32_t at = gsi_count; at < LINES; at++) {
        if (lines[at].allocated)
            continue;
        lines[at] = (struct line){.trigger = TRIGGER_EDGE, .masked = true, .allocated = true};
        *line = at;
        *address = MESSAGE_ADDRESS | (uint64_t)target << 12;
        *data = line_vector(at); // fixed delivery, edge
        return true;
    }
    return false;
}

static void apic_message_free(uint32_t line)
{
    lines[line] = (struct line){.masked = true};
}

struct irq_controller apic_controller = {
    .name = "local APIC and I/O APIC",
    .lines = LINES,
    .claim = apic_claim,
    .complete = apic_complete,
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
        lines[line].masked = true;
    i8259_mask(i8259_first, i8259_second);
    const char *error = lapic_init(config.local, config.nmi_inputs);
    if (error != nullptr)
        return error;
    target = lapic_id();
    return ioapic_init(&config, &gsi_count);
}

uint32_t apic_id(void)
{
    return lapic_id();
}
