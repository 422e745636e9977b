// SPDX-License-Identifier: MIT
//
// Two devices that send messages when they are asked to. QEMU's e1000e, a network adapter, whose
// register ICS raises whatever interrupt is asked for, by MSI-X; device 5 on bus 0. And edu, whose
// device 6 has a register for it and an MSI capability that cannot mask a message.
//
// Sources: Intel 82574L datasheet, 10.2.4 (interrupt registers); QEMU's docs/specs/edu; PCI 3.0, 6.8.
#include "devices.h"

constexpr uint64_t SLOT_BYTES = 8 * 4096;
constexpr unsigned COMMAND = 1, BAR_0 = 4, BAR_3 = 7, CAPABILITIES = 13; // 32-bit words
constexpr uint32_t MEMORY_AND_MASTER = 6;
constexpr uint8_t MSI = 5, MSIX = 0x11;
constexpr uint32_t MSIX_ENABLE = 1u << 31;

static volatile uint32_t *map(uint64_t address, uint64_t bytes, const char *what)
{
    vmo_t vmo;
    void *mapped;
    must(machine_device_memory(start.machine, start.account, address, bytes, MEMORY_DEVICE, &vmo),
         what);
    must(memory_map_vmo(vmo, 0, bytes, PROT_READ | PROT_WRITE, &mapped), what);
    return mapped;
}

// ---- PCI

struct function {
    uint64_t address; // of its configuration space
    volatile uint32_t *space;
};

static struct function function_open(uint64_t slot, uint32_t identity)
{
    struct function f = {.address = pci_ecam + slot * SLOT_BYTES};
    f.space = map(f.address, PAGE_SIZE, "the configuration space");
    if (f.space[0] != identity)
        give_up("device %lu is %#x, not %#x", slot, f.space[0], identity);
    return f;
}

// Where the registers are. Where firmware has given them no place: `room` behind pci_room.
static uint64_t place(const struct function *f, unsigned bar, uint64_t room)
{
    f->space[COMMAND] = f->space[COMMAND] & 0xffff & ~MEMORY_AND_MASTER;
    if (pci_room != 0)
        f->space[bar] = (uint32_t)(pci_room + room);
    f->space[COMMAND] = (f->space[COMMAND] & 0xffff) | MEMORY_AND_MASTER;
    return f->space[bar] & ~0xfu;
}

// The word of the capability in the configuration space.
static unsigned find(const struct function *f, uint8_t capability)
{
    uint8_t at = (uint8_t)f->space[CAPABILITIES];
    for (unsigned i = 0; i < 48 && at != 0; i++) {
        if ((uint8_t)f->space[at / 4] == capability)
            return at / 4;
        at = (uint8_t)(f->space[at / 4] >> 8);
    }
    give_up("there is no capability %#x", capability);
}

// ---- the network adapter

constexpr uint64_t ADAPTER = 5, ADAPTER_BYTES = 128 * 1024;
constexpr uint32_t ADAPTER_IDENTITY = 0x10d3'8086;

enum : unsigned {
    CTRL_EXT = 0x18 / 4,
    ICS = 0xc8 / 4,
    IMS = 0xd0 / 4,
    EIAC = 0xdc / 4,
    IVAR = 0xe4 / 4
};
constexpr uint32_t RECEIVE_QUEUE_0 = 1u << 20, MASK_STAYS = 1u << 27, VECTOR_0_VALID = 8;

static volatile uint32_t *adapter;

static void adapter_raise(void)
{
    adapter[ICS] = RECEIVE_QUEUE_0;
}

static void adapter_quiet(void)
{
}

void message_open(struct device *device)
{
    *device = (struct device){.name = "message", .raise = adapter_raise, .quiet = adapter_quiet};
    const struct function f = function_open(ADAPTER, ADAPTER_IDENTITY);
    const uint64_t base = place(&f, BAR_0, 0), table = place(&f, BAR_3, ADAPTER_BYTES);
    const unsigned msix = find(&f, MSIX);
    must(machine_message_interrupt(start.machine, start.account, table + (f.space[msix + 1] & ~7u),
                                   0, ADAPTER << 3, 0, &device->interrupt),
         "its message interrupt");
    f.space[msix] |= MSIX_ENABLE;
    adapter = map(base, ADAPTER_BYTES, "the network adapter");
    adapter[IVAR] = VECTOR_0_VALID;
    adapter[EIAC] = RECEIVE_QUEUE_0; // its cause is cleared as its message is sent
    adapter[CTRL_EXT] = adapter[CTRL_EXT] | MASK_STAYS;
    adapter[IMS] = RECEIVE_QUEUE_0;
}

// ---- edu

constexpr uint64_t EDU = 6, EDU_BYTES = 1024 * 1024;
constexpr uint32_t EDU_IDENTITY = 0x11e8'1234;
enum : unsigned { RAISE = 0x60 / 4, CLEAR = 0x64 / 4 };

static volatile uint32_t *edu;

static void edu_raise(void)
{
    edu[RAISE] = 1;
}

static void edu_quiet(void)
{
    edu[CLEAR] = 1;
}

void capability_open(struct device *device)
{
    *device = (struct device){
        .name = "capability", .forgets = true, .raise = edu_raise, .quiet = edu_quiet};
    const struct function f = function_open(EDU, EDU_IDENTITY);
    edu = map(place(&f, BAR_0, EDU_BYTES), PAGE_SIZE, "edu");
    must(machine_message_interrupt(start.machine, start.account, f.address + 4ull * find(&f, MSI),
                                   ABI_VECTOR_MSI, EDU << 3, 0, &device->interrupt),
         "its message interrupt");
}
