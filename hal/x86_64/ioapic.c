// SPDX-License-Identifier: MIT
//
// The I/O APICs: see ioapic.h. Each has an index and a data register in memory; the redirection
// entry of input n is at index 0x10 + 2n (82093AA, 3.2).
#include "ioapic.h"

#include <arch/arch.h>
#include <hal/mmio.h>

#include "lapic.h"

constexpr uint64_t REGISTER_INDEX = 0x00;
constexpr uint64_t REGISTER_DATA = 0x10;
constexpr uint32_t INDEX_VERSION = 0x01;
constexpr uint32_t INDEX_ENTRIES = 0x10;

constexpr uint32_t ENTRY_ACTIVE_LOW = 1u << 13;
constexpr uint32_t ENTRY_LEVEL = 1u << 15;
constexpr uint32_t ENTRY_MASKED = 1u << 16;

// Every line has a vector of its own; some are left for messages.
constexpr uint32_t LINES_MAX = 128;

struct ioapic {
    volatile void *registers;
    uint32_t first, count; // lines
};

static struct ioapic ioapics[IO_APICS_MAX]; // immutable after boot
static unsigned ioapic_count;
static uint8_t silent; // bit n: the one that is called n in the configuration does not answer
static_assert(IO_APICS_MAX <= 8);

static uint32_t ioapic_read(const struct ioapic *io, uint32_t index)
{
    mmio_write32(io->registers, REGISTER_INDEX, index);
    return mmio_read32(io->registers, REGISTER_DATA);
}

static void ioapic_write(const struct ioapic *io, uint32_t index, uint32_t value)
{
    mmio_write32(io->registers, REGISTER_INDEX, index);
    mmio_write32(io->registers, REGISTER_DATA, value);
}

static const struct ioapic *ioapic_of(uint32_t line)
{
    for (unsigned i = 0; i < ioapic_count; i++)
        if (line - ioapics[i].first < ioapics[i].count) // wraps below first
            return &ioapics[i];
    return nullptr;
}

// Where nothing is, a bus gives all ones, and some machines' zeros: an index stays where it was written.
static bool answers(const struct ioapic *io)
{
    uint32_t index;
    mmio_write32(io->registers, REGISTER_INDEX, INDEX_VERSION);
    return mmio_probe32(io->registers, REGISTER_INDEX, &index) && (index & 0xff) == INDEX_VERSION;
}

bool ioapic_is_silent(unsigned index)
{
    return (silent >> index & 1) != 0;
}

const char *ioapic_init(const struct apic_config *config, uint32_t *lines)
{
    *lines = 0;
    for (unsigned i = 0; i < config->io_count; i++) {
        const uint32_t first = config->io[i].first_line;
        struct ioapic io = {.first = first == IO_APIC_FOLLOWS ? *lines : first};
        if (io.first >= LINES_MAX)
            continue; // its lines have no vectors left
        io.registers = hal_own(config->io[i].address, 0x20);
        if (io.registers == nullptr)
            return "no room to map an I/O APIC";
        if (!answers(&io)) {
            silent |= (uint8_t)(1u << i);
            continue;
        }
        const uint32_t version = ioapic_read(&io, INDEX_VERSION);
        io.count = (version >> 16 & 0xff) + 1;
        if (io.count > LINES_MAX - io.first)
            io.count = LINES_MAX - io.first;
        for (uint32_t n = 0; n < io.count; n++)
            ioapic_write(&io, INDEX_ENTRIES + 2 * n, ENTRY_MASKED);
        if (io.first + io.count > *lines)
            *lines = io.first + io.count;
        ioapics[ioapic_count++] = io;
    }
    return ioapic_count != 0 ? nullptr : "there is no I/O APIC that answers";
}

bool ioapic_has(uint32_t line)
{
    return ioapic_of(line) != nullptr;
}

void ioapic_route(uint32_t line, enum abi_trigger trigger, uint8_t vector, uint32_t target)
{
    const struct ioapic *io = ioapic_of(line);
    const uint32_t index = INDEX_ENTRIES + 2 * (line - io->first);
    uint32_t entry = ENTRY_MASKED | vector;
    if (trigger != TRIGGER_EDGE)
        entry |= ENTRY_LEVEL;
    if (trigger == TRIGGER_LEVEL_LOW)
        entry |= ENTRY_ACTIVE_LOW;
    ioapic_write(io, index, entry); // masked before the target changes
    ioapic_write(io, index + 1, target << 24);
}

void ioapic_set_mask(uint32_t line, bool masked)
{
    const struct ioapic *io = ioapic_of(line);
    const uint32_t index = INDEX_ENTRIES + 2 * (line - io->first);
    const uint32_t entry = ioapic_read(io, index) & ~ENTRY_MASKED;
    ioapic_write(io, index, entry | (masked ? ENTRY_MASKED : 0));
    // A write to a device may be on its way still when the CPU goes on; a read is not.
    if (masked)
        (void)ioapic_read(io, index);
}
