// SPDX-License-Identifier: MIT
//
// QEMU's e1000e, a network adapter whose register ICS raises whatever interrupt is asked for: with
// MSI-X on, each write to it sends a message. It must be device 5 on bus 0.
//
// Sources: Intel 82574L datasheet, 10.2.4 (interrupt registers); PCI 3.0, 6.8.2 (MSI-X).
#include "devices.h"

constexpr uint64_t SLOT = 5, SLOT_BYTES = 8 * 4096;
constexpr uint32_t IDENTITY = 0x10d3'8086;
constexpr unsigned COMMAND = 1, BAR_0 = 4, BAR_3 = 7, CAPABILITIES = 13; // 32-bit words
constexpr uint32_t MEMORY_AND_MASTER = 6;
constexpr uint8_t MSIX = 0x11;
constexpr uint32_t MSIX_ENABLE = 1u << 31;
constexpr uint64_t REGISTER_BYTES = 128 * 1024;

enum : unsigned {
    CTRL_EXT = 0x18 / 4,
    ICS = 0xc8 / 4,
    IMS = 0xd0 / 4,
    EIAC = 0xdc / 4,
    IVAR = 0xe4 / 4
};
constexpr uint32_t RECEIVE_QUEUE_0 = 1u << 20, MASK_STAYS = 1u << 27, VECTOR_0_VALID = 8;

static volatile uint32_t *registers;

static volatile uint32_t *map(uint64_t address, uint64_t bytes, const char *what)
{
    vmo_t vmo;
    void *mapped;
    must(machine_device_memory(start.machine, start.account, address, bytes, MEMORY_DEVICE, &vmo),
         what);
    must(memory_map_vmo(vmo, 0, bytes, PROT_READ | PROT_WRITE, &mapped), what);
    return mapped;
}

static uint64_t place(volatile uint32_t *bar, uint64_t room)
{
    if (pci_room != 0)
        *bar = (uint32_t)room;
    return *bar & ~0xfu;
}

// The word of the capability in the configuration space.
static unsigned find_msix(volatile uint32_t *space)
{
    uint8_t at = (uint8_t)space[CAPABILITIES];
    for (unsigned i = 0; i < 48 && at != 0; i++) {
        if ((uint8_t)space[at / 4] == MSIX)
            return at / 4;
        at = (uint8_t)(space[at / 4] >> 8);
    }
    give_up("the network adapter has no MSI-X");
}

static void message_raise(void)
{
    registers[ICS] = RECEIVE_QUEUE_0;
}

static void message_quiet(void)
{
}

void message_open(struct device *device)
{
    *device = (struct device){.name = "message", .raise = message_raise, .quiet = message_quiet};
    volatile uint32_t *space =
        map(pci_ecam + SLOT * SLOT_BYTES, PAGE_SIZE, "the configuration space");
    if (space[0] != IDENTITY)
        give_up("device 5 is %#x, no e1000e", space[0]);
    space[COMMAND] = space[COMMAND] & 0xffff & ~MEMORY_AND_MASTER;
    uint64_t base = place(&space[BAR_0], pci_room);
    uint64_t table = place(&space[BAR_3], pci_room + REGISTER_BYTES);
    space[COMMAND] = (space[COMMAND] & 0xffff) | MEMORY_AND_MASTER;
    unsigned msix = find_msix(space);
    must(machine_message_interrupt(start.machine, start.account, table + (space[msix + 1] & ~7u), 0,
                                   SLOT << 3, 0, &device->interrupt),
         "its message interrupt");
    space[msix] |= MSIX_ENABLE;
    registers = map(base, REGISTER_BYTES, "the network adapter");
    registers[IVAR] = VECTOR_0_VALID;
    registers[EIAC] = RECEIVE_QUEUE_0; // its cause is cleared as its message is sent
    registers[CTRL_EXT] = registers[CTRL_EXT] | MASK_STAYS;
    registers[IMS] = RECEIVE_QUEUE_0;
}
