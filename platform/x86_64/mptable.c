// SPDX-License-Identifier: MIT
//
// See mptable.h. Sections are those of the MultiProcessor Specification 1.4.
#include "mptable.h"

#include <arch/arch.h>
#include <lib/string.h>

#include "isa_facts.h"
#include "machine.h"

constexpr size_t POINTER_BYTES = 16; // and on such a boundary (4.1)
constexpr uint8_t CPU_USABLE = 1;
constexpr uint8_t IO_APIC_USABLE = 1;
constexpr uint8_t INTERRUPT_NMI = 1;

enum entry_type : uint8_t { // 4.3
    ENTRY_CPU = 0,
    ENTRY_BUS = 1,
    ENTRY_IO_APIC = 2,
    ENTRY_IO_INTERRUPT = 3,
    ENTRY_LOCAL_INTERRUPT = 4,
};

struct [[gnu::packed]] mp_pointer { // 4.1
    char signature[4];              // "_MP_"
    uint32_t table;
    uint8_t paragraphs, revision, checksum, features[5];
};
static_assert(sizeof(struct mp_pointer) == POINTER_BYTES);

struct [[gnu::packed]] mp_table { // 4.2
    char signature[4];            // "PCMP"
    uint16_t bytes;
    uint8_t revision, checksum;
    char names[20];
    uint32_t oem_table;
    uint16_t oem_bytes, entries;
    uint32_t local_apic;
    uint16_t extended_bytes;
    uint8_t extended_checksum, reserved;
};
static_assert(sizeof(struct mp_table) == 44);

struct [[gnu::packed]] mp_cpu { // 4.3.1
    uint8_t type, id, version, flags;
    uint32_t signature, features, reserved[2];
};

struct [[gnu::packed]] mp_io_apic { // 4.3.3
    uint8_t type, id, version, flags;
    uint32_t address;
};

struct [[gnu::packed]] mp_local_interrupt { // 4.3.5
    uint8_t type, kind;
    uint16_t flags;
    uint8_t bus, bus_interrupt, apic, input;
};

static bool sums_to_zero(const void *start, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)start)[i];
    return sum == 0;
}

static bool table_is_sound(uint32_t address, uint32_t *bytes)
{
    if (address == 0)
        return false;
    const struct mp_table *table =
        arch_device_map((paddr_t){address}, sizeof(*table), ARCH_MEMORY_NORMAL);
    if (table == nullptr || memcmp(table->signature, "PCMP", 4) != 0 ||
        table->bytes < sizeof(*table))
        return false;
    *bytes = table->bytes;
    table = arch_device_map((paddr_t){address}, *bytes, ARCH_MEMORY_NORMAL);
    return table != nullptr && table->bytes == *bytes && sums_to_zero(table, *bytes);
}

paddr_t mptable_search(paddr_t start, size_t count, uint32_t *bytes)
{
    const uint8_t *area = arch_device_map(start, count, ARCH_MEMORY_NORMAL);
    for (size_t at = 0; area != nullptr && at + POINTER_BYTES <= count; at += POINTER_BYTES) {
        struct mp_pointer pointer;
        memcpy(&pointer, area + at, sizeof(pointer));
        if (memcmp(pointer.signature, "_MP_", 4) == 0 && pointer.paragraphs == 1 &&
            sums_to_zero(&pointer, sizeof(pointer)) && table_is_sound(pointer.table, bytes))
            return (paddr_t){pointer.table};
    }
    return (paddr_t){0};
}

// Where the BIOS says that more of its data is; 0: it does not.
static uint64_t extended_data(void)
{
    uint16_t segment = 0;
    const uint8_t *data =
        arch_device_map((paddr_t){ISA_BIOS_DATA}, ISA_BIOS_DATA_BYTES, ARCH_MEMORY_NORMAL);
    if (data != nullptr)
        memcpy(&segment, data + ISA_BIOS_DATA_EXTENDED, sizeof(segment));
    return (uint64_t)segment << 4;
}

paddr_t mptable_find(uint32_t *bytes)
{
    constexpr size_t kibibyte = 1024;
    const struct {
        uint64_t start;
        size_t count;
    } places[] = {{extended_data(), kibibyte},
                  {ISA_BASE_MEMORY_LAST, kibibyte},
                  {ISA_BIOS_START, ISA_BIOS_BYTES}};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        paddr_t found = {0};
        if (places[i].start != 0)
            found = mptable_search((paddr_t){places[i].start}, places[i].count, bytes);
        if (found.value != 0)
            return found;
    }
    return (paddr_t){0};
}

static void read_entry(const void *at, struct apic_config *config, struct boot_info *boot)
{
    switch (*(const uint8_t *)at) {
    case ENTRY_CPU: {
        const struct mp_cpu *cpu = at;
        if ((cpu->flags & CPU_USABLE) != 0)
            machine_add_cpu(boot, cpu->id);
        break;
    }
    case ENTRY_IO_APIC: {
        // Lines are numbered through, since the table gives none (compare ACPI 6.5, 5.2.13).
        const struct mp_io_apic *io = at;
        if ((io->flags & IO_APIC_USABLE) != 0)
            machine_add_io_apic(config, io->address, IO_APIC_FOLLOWS);
        break;
    }
    case ENTRY_LOCAL_INTERRUPT: {
        const struct mp_local_interrupt *interrupt = at;
        if (interrupt->kind == INTERRUPT_NMI && interrupt->input < 2)
            config->nmi_inputs |= (uint8_t)(1u << interrupt->input);
        break;
    }
    default:
        break; // buses; and their interrupts, which drivers state themselves
    }
}

void mptable_interrupts(paddr_t address, uint32_t bytes, struct apic_config *config,
                        struct boot_info *boot)
{
    const struct mp_table *table = arch_device_map(address, bytes, ARCH_MEMORY_NORMAL);
    *config = (struct apic_config){.local = {table->local_apic}};
    const char *start = (const char *)table;
    // To the end of the table: some firmware leaves the count of entries at 0.
    for (size_t at = sizeof(*table); at < bytes;) {
        const size_t left = bytes - at;
        const uint8_t type = (uint8_t)start[at];
        const size_t size = type == ENTRY_CPU ? sizeof(struct mp_cpu) : sizeof(struct mp_io_apic);
        if (type > ENTRY_LOCAL_INTERRUPT || size > left) {
            klog("boot: the MP table is broken at byte %lu, the rest is ignored", at);
            return;
        }
        read_entry(start + at, config, boot);
        at += size;
    }
}
