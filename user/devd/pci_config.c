// SPDX-License-Identifier: MIT
//
// See pci_config.h.

#include "pci_config.h"

enum {
    REGISTER_ID = 0x00,
    REGISTER_COMMAND = 0x04, // status in the upper half: its bits are cleared by writing ones
    REGISTER_CLASS = 0x08,
    REGISTER_HEADER = 0x0c,
    REGISTER_BAR0 = 0x10,
    REGISTER_BUSES = 0x18, // bridges
    REGISTER_IO_WINDOW = 0x1c,
    REGISTER_MEMORY_WINDOW = 0x20, // first and last unit, in the upper 12 bits of each half
    REGISTER_PREFETCH_WINDOW = 0x24,
    REGISTER_PREFETCH_FIRST = 0x28, // their upper halves, if the lowest bits say 1
    REGISTER_PREFETCH_LAST = 0x2c,
    REGISTER_CAPABILITIES = 0x34,
    REGISTER_INTERRUPT = 0x3c,

    CONFIG_BYTES = 256, // what capabilities may use
    CAPABILITY_FIRST = 0x40,
    CAPABILITY_MAX = (CONFIG_BYTES - CAPABILITY_FIRST) / 4,
    CAPABILITY_MSI = 0x05,
    CAPABILITY_VENDOR = 0x09,
    CAPABILITY_EXPRESS = 0x10,
    CAPABILITY_MSIX = 0x11,

    STATUS_HAS_CAPABILITIES = 1 << 20,
    MSIX_FUNCTION_MASK = 1 << 30,
};

constexpr uint32_t MSIX_ENABLE = 1u << 31;
constexpr uint16_t VENDOR_VIRTIO = 0x1af4;

static uint32_t read(struct pci_config *config, uint32_t offset)
{
    return config->read(config, offset);
}

static void write(struct pci_config *config, uint32_t offset, uint32_t value)
{
    config->write(config, offset, value);
}

void pci_command_change(struct pci_config *config, uint32_t clear, uint32_t set)
{
    uint32_t command = read(config, REGISTER_COMMAND) & 0xffff;
    write(config, REGISTER_COMMAND, (command & ~clear) | set);
}

void pci_msix_switch(struct pci_config *config, const struct pci_msix *msix, bool on)
{
    uint32_t word = read(config, msix->capability);
    word &= ~(MSIX_ENABLE | MSIX_FUNCTION_MASK);
    write(config, msix->capability, on ? word | MSIX_ENABLE : word);
}

// Which bits of the register stick tells the size (PCI 3.0, 6.2.5.1).
static uint32_t size_word(struct pci_config *config, uint32_t offset)
{
    uint32_t before = read(config, offset);
    write(config, offset, UINT32_MAX);
    uint32_t word = read(config, offset);
    write(config, offset, before);
    return word;
}

// Reads one base address register; returns how many registers it takes.
static unsigned read_bar(struct pci_config *config, unsigned index, unsigned count,
                         struct pci_bar *bar)
{
    uint32_t offset = REGISTER_BAR0 + 4 * index;
    uint32_t low = read(config, offset);
    uint32_t mask = size_word(config, offset);
    if (mask == 0)
        return 1;
    if (low & 1) {
        uint32_t bits = mask & 0xfffc;
        *bar = (struct pci_bar){.kind = PCI_BAR_IO, .address = low & ~3u, .bytes = bits & -bits};
        return 1;
    }
    bool wide = (low & 6) == 4;
    uint64_t address = low & ~0xfu, bits = mask & ~0xfu;
    if (wide) {
        if (index + 1 >= count)
            return 1;
        address |= (uint64_t)read(config, offset + 4) << 32;
        bits |= (uint64_t)size_word(config, offset + 4) << 32;
    } else {
        bits |= 0xffff'ffffull << 32;
    }
    uint64_t bytes = bits & -bits;
    // All bits from the lowest that sticks upwards must stick.
    if (bits == 0 || bits != -bytes || bytes < 16)
        return wide ? 2 : 1;
    *bar =
        (struct pci_bar){.kind = PCI_BAR_MEMORY, .wide = wide, .address = address, .bytes = bytes};
    return wide ? 2 : 1;
}

static void read_bars(struct pci_config *config, struct pci_function *function)
{
    unsigned count = function->bridge ? 2 : PCI_BARS;
    uint32_t command = read(config, REGISTER_COMMAND) & 0xffff;
    pci_command_change(config, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 0);
    for (unsigned i = 0; i < count;)
        i += read_bar(config, i, count, &function->bars[i]);
    write(config, REGISTER_COMMAND, command);
}

// An MSI-X capability (PCI 3.0, 6.8.2); left out if it points at no memory BAR or past its end.
static void read_msix(struct pci_config *config, uint32_t at, struct pci_function *function)
{
    uint32_t control = read(config, at) >> 16;
    uint32_t table = read(config, at + 4), pending = read(config, at + 8);
    struct pci_msix msix = {
        .capability = (uint16_t)at,
        .vectors = (uint16_t)((control & 0x7ff) + 1),
        .table_bar = table & 7,
        .pending_bar = pending & 7,
        .table_offset = table & ~7u,
        .pending_offset = pending & ~7u,
    };
    if (msix.table_bar >= PCI_BARS || msix.pending_bar >= PCI_BARS)
        return;
    const struct pci_bar *bar = &function->bars[msix.table_bar];
    uint64_t end = (uint64_t)msix.table_offset + 16ull * msix.vectors;
    if (bar->kind == PCI_BAR_MEMORY && end <= bar->bytes)
        function->msix = msix;
}

// A virtio structure (Virtio 1.2, 4.1.4). Of several of a kind the first one counts.
static void read_virtio(struct pci_config *config, uint32_t at, struct pci_function *function)
{
    uint32_t head = read(config, at), kind = head >> 24, length = head >> 16 & 0xff;
    uint8_t bar_index = read(config, at + 4) & 0xff;
    if (kind == 0 || kind >= PCI_VIRTIO_KINDS || length < 16 || bar_index >= PCI_BARS)
        return;
    struct pci_virtio_region region = {
        .bar = bar_index, .offset = read(config, at + 8), .bytes = read(config, at + 12)};
    const struct pci_bar *bar = &function->bars[bar_index];
    if (bar->kind != PCI_BAR_MEMORY || region.bytes == 0 ||
        (uint64_t)region.offset + region.bytes > bar->bytes || function->virtio[kind].bytes != 0)
        return;
    function->virtio[kind] = region;
    if (kind == PCI_VIRTIO_NOTIFY && length >= 20 && at + 20 <= CONFIG_BYTES)
        function->virtio_notify_multiplier = read(config, at + 16);
}

// A PCI Express capability (5.0, 7.5.3), of a port with a slot that is capable of hot-plug.
static void read_express(struct pci_config *config, uint32_t at, struct pci_function *function)
{
    constexpr uint32_t SLOT_BYTES = 0x1c;
    uint32_t facts = read(config, at) >> 16, type = facts >> 4 & 15;
    if (at + SLOT_BYTES > CONFIG_BYTES || !function->bridge || (type != 4 && type != 6) ||
        (facts & 1 << 8) == 0)
        return;
    uint32_t link = read(config, at + 0x0c), slot = read(config, at + 0x14);
    if ((slot & 1 << 6) == 0)
        return;
    function->express = (struct pci_express){.capability = (uint16_t)at,
                                             .vector = facts >> 9 & 31,
                                             .link_reports = (link & 1 << 20) != 0,
                                             .button = (slot & 1 << 0) != 0,
                                             .power_controller = (slot & 1 << 1) != 0,
                                             .no_command_completed = (slot & 1 << 18) != 0,
                                             .slot = (uint16_t)(slot >> 19)};
}

static void read_capabilities(struct pci_config *config, struct pci_function *function)
{
    if ((read(config, REGISTER_COMMAND) & STATUS_HAS_CAPABILITIES) == 0)
        return;
    uint32_t at = read(config, REGISTER_CAPABILITIES) & 0xfc;
    for (unsigned seen = 0; seen < CAPABILITY_MAX && at >= CAPABILITY_FIRST; seen++) {
        uint32_t head = read(config, at);
        bool fits = at + 16 <= CONFIG_BYTES;
        if ((head & 0xff) == CAPABILITY_MSI && fits && function->msi == 0)
            function->msi = (uint16_t)at;
        if ((head & 0xff) == CAPABILITY_MSIX && fits && function->msix.capability == 0)
            read_msix(config, at, function);
        if ((head & 0xff) == CAPABILITY_EXPRESS && fits && function->express.capability == 0)
            read_express(config, at, function);
        if ((head & 0xff) == CAPABILITY_VENDOR && fits && function->vendor == VENDOR_VIRTIO)
            read_virtio(config, at, function);
        at = head >> 8 & 0xfc;
    }
}

bool pci_answers(struct pci_config *config)
{
    uint32_t vendor = read(config, REGISTER_ID) & 0xffff;
    return vendor != 0xffff && vendor != 0;
}

bool pci_function_read(struct pci_config *config, struct pci_function *function)
{
    if (!pci_answers(config))
        return false;
    uint32_t id = read(config, REGISTER_ID);
    uint32_t header = read(config, REGISTER_HEADER) >> 16 & 0xff;
    *function = (struct pci_function){
        .vendor = (uint16_t)id,
        .device = (uint16_t)(id >> 16),
        .class_code = read(config, REGISTER_CLASS) >> 8,
        .bridge = (header & 0x7f) == 1,
        .multifunction = (header & 0x80) != 0,
        .interrupt_pin = read(config, REGISTER_INTERRUPT) >> 8 & 0xff,
    };
    if (function->interrupt_pin > 4)
        function->interrupt_pin = 0;
    if ((header & 0x7f) > 1)
        return true; // CardBus and what may come: only its identity
    if (function->bridge) {
        uint32_t buses = read(config, REGISTER_BUSES);
        function->secondary_bus = buses >> 8 & 0xff;
        function->subordinate_bus = buses >> 16 & 0xff;
    }
    read_bars(config, function);
    read_capabilities(config, function);
    return true;
}

void pci_bar_assign(struct pci_config *config, struct pci_function *function, unsigned bar,
                    uint64_t address)
{
    write(config, REGISTER_BAR0 + 4 * bar, (uint32_t)address);
    if (function->bars[bar].wide)
        write(config, REGISTER_BAR0 + 4 * (bar + 1), (uint32_t)(address >> 32));
    function->bars[bar].address = address;
}

// ---- bridges

void pci_bridge_number(struct pci_config *config, uint8_t primary, uint8_t secondary,
                       uint8_t subordinate)
{
    uint32_t latency = read(config, REGISTER_BUSES) & 0xff00'0000;
    write(config, REGISTER_BUSES,
          latency | (uint32_t)subordinate << 16 | (uint32_t)secondary << 8 | primary);
}

void pci_bridge_windows(struct pci_config *config,
                        struct pci_bridge_window windows[static PCI_BRIDGE_WINDOWS])
{
    for (unsigned i = 0; i < PCI_BRIDGE_WINDOWS; i++) {
        bool prefetch = i == PCI_BRIDGE_PREFETCH;
        uint32_t word = read(config, prefetch ? REGISTER_PREFETCH_WINDOW : REGISTER_MEMORY_WINDOW);
        uint64_t first = (uint64_t)(word & 0xfff0) << 16;
        uint64_t last = (word & 0xfff0'0000) | (PCI_BRIDGE_UNIT - 1);
        if (prefetch && (word & 0xf) == 1) {
            first |= (uint64_t)read(config, REGISTER_PREFETCH_FIRST) << 32;
            last |= (uint64_t)read(config, REGISTER_PREFETCH_LAST) << 32;
        }
        // Closed: the last one is before the first. 0 is what a register holds that nobody has set,
        // or that is not there.
        windows[i] = (struct pci_bridge_window){};
        if (first != 0 && first < last)
            windows[i] = (struct pci_bridge_window){.address = first, .bytes = last - first + 1};
    }
}

void pci_bridge_open(struct pci_config *config, uint64_t address, uint64_t bytes)
{
    uint32_t last = (uint32_t)(address + bytes - PCI_BRIDGE_UNIT);
    write(config, REGISTER_IO_WINDOW, 0x00f0); // the upper half is status, cleared by ones
    write(config, REGISTER_PREFETCH_WINDOW, 0x0000'fff0);
    write(config, REGISTER_MEMORY_WINDOW,
          (last & 0xfff0'0000) | (uint32_t)(address >> 16 & 0xfff0));
}
