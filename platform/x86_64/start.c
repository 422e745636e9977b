// SPDX-License-Identifier: MIT
//
// The boot of an x86_64 PC, from pvh_start.S or handover_start.S to kernel_main: traps and console first, so that
// what goes wrong is said; then memory and the kernel's page tables; then the machine's tables
// and the devices that the kernel drives.
#include <arch/arch.h>
#include <arch/boot.h>
#include <hal/hal.h>
#include <hal/uart_16550.h>
#include <kernel/boot.h>
#include <platform/boot_info.h>
#include <platform/handover.h>

#include "isa_facts.h"
#include "machine.h"
#include "mptable.h"
#include "pvh.h"

extern char image_physical_start[], image_physical_end[]; // kernel.ld

// How the machine was entered: what `told` is the physical address of.
enum entry_way : uint32_t { ENTRY_PVH = 0, ENTRY_HANDOVER = 1 };

[[noreturn]] void platform_start(uint64_t told, enum entry_way way);

static struct boot_info boot;
static struct arch_percpu boot_cpu; // until kernel_main has its own
static struct acpi_tables acpi;

static void map_ram(uint64_t start, uint64_t end)
{
    if (!arch_paging_map_ram(start, end))
        panic("boot: no room for the page tables of RAM at 0x%lx", start);
}

// Tables are built right behind the image, as far as RAM is free and mapped already.
static void memory_init(void)
{
    const uint64_t image = (uint64_t)image_physical_start;
    const uint64_t start = align_up((uint64_t)image_physical_end, PAGE_SIZE);
    const struct boot_range *ram = boot_find_ram(&boot, image, start);
    if (ram == nullptr)
        panic("boot: the kernel at 0x%lx-0x%lx is not in RAM", image, start - 1);
    uint64_t end = ram->end < LAYOUT_BOOT_MAPPED ? ram->end : LAYOUT_BOOT_MAPPED;
    for (uint32_t i = 0; i < boot.reserved_count; i++)
        if (boot.reserved[i].end > image && boot.reserved[i].start < end)
            end = boot.reserved[i].start;
    if (start > end)
        panic("boot: the loader put something over the kernel's memory at 0x%lx", end);

    arch_paging_begin(start, end);
    // Not the image: its text would be writable at its second address.
    for (uint32_t i = 0; i < boot.ram_count; i++) {
        const bool holds_image = &boot.ram[i] == ram;
        map_ram(boot.ram[i].start, holds_image ? image : boot.ram[i].end);
        if (holds_image)
            map_ram(start, boot.ram[i].end);
    }
    uint64_t tables_end;
    if (!arch_paging_finish(&tables_end))
        panic("boot: no room for the kernel's page tables");
    boot.kernel = (struct boot_range){image, tables_end};
    boot_add_reserved(&boot, image, tables_end);
    boot_add_reserved(&boot, 0, PAGE_SIZE); // the BIOS's data, and no frame has address 0
    boot_info_normalise(&boot);
}

static void tables_init(enum entry_way way)
{
    // UEFI says where they are; a BIOS leaves them where they are to be found.
    if (boot.tables.value == 0 && way == ENTRY_PVH)
        boot.tables = acpi_scan((paddr_t){ISA_BIOS_START}, ISA_BIOS_BYTES);
    if (boot.tables.value == 0 || !acpi_open(&acpi, boot.tables)) {
        uint32_t bytes = 0;
        boot.tables = way == ENTRY_PVH ? mptable_find(&bytes) : (paddr_t){0};
        if (boot.tables.value == 0)
            panic("boot: this machine has neither usable ACPI tables nor an MP table");
        boot.firmware = FIRMWARE_MP_TABLE;
        boot.tables_bytes = bytes;
        if (boot_find_ram(&boot, boot.tables.value, boot.tables.value) != nullptr)
            boot_add_reserved(&boot, boot.tables.value, boot.tables.value + bytes);
        return;
    }
    boot.firmware = FIRMWARE_ACPI;
    boot.tables_bytes = ACPI_RSDP_BYTES;
    acpi_reserve_tables(&acpi, &boot);
}

static void interrupts_init(void)
{
    static struct apic_config config;
    if (boot.firmware == FIRMWARE_MP_TABLE)
        mptable_interrupts(boot.tables, (uint32_t)boot.tables_bytes, &config, &boot);
    else if (!machine_interrupts(&acpi, &config, &boot))
        panic("boot: this machine has no MADT table, so its interrupt controllers are unknown");
    const char *error = apic_init(&config, ISA_I8259_FIRST, ISA_I8259_SECOND);
    for (unsigned i = 0; i < config.io_count; i++)
        if (ioapic_is_silent(i))
            klog("boot: the I/O APIC at 0x%lx is not used: nothing is there",
                 config.io[i].address.value);
    if (error != nullptr)
        panic("boot: %s", error);
    hal.irq = &apic_controller;

    // The kernel wants the boot CPU first.
    const uint64_t self = apic_id();
    uint32_t at = 0;
    while (at < boot.cpu_count && boot.cpu_ids[at] != self)
        at++;
    if (at == boot.cpu_count)
        panic("boot: the boot CPU, APIC id %lu, is not in the tables", self);
    boot.cpu_ids[at] = boot.cpu_ids[0];
    boot.cpu_ids[0] = self;
}

// The other CPUs begin in real mode: that takes a page that they can address, which is not the
// first one, where firmware keeps its vectors. Without one the boot CPU is alone.
static void start_page_init(void)
{
    constexpr uint64_t end = 0xa0000;
    for (uint64_t page = PAGE_SIZE; page < end; page += PAGE_SIZE) {
        bool free = boot_find_ram(&boot, page, page + PAGE_SIZE) != nullptr;
        for (uint32_t i = 0; i < boot.reserved_count; i++)
            free &= boot.reserved[i].end <= page || boot.reserved[i].start >= page + PAGE_SIZE;
        if (!free)
            continue;
        boot_add_reserved(&boot, page, page + PAGE_SIZE);
        arch_start_page_set((paddr_t){page});
        hal.cpu_start = apic_cpu_start;
        return;
    }
    klog("boot: no page below 640 KiB is free, so the other CPUs cannot be started");
}

static void clock_init(enum entry_way way)
{
    struct clock_reference reference;
    if (!machine_reference(&acpi, &reference))
        panic("boot: this machine has no timer of known rate: no HPET, ACPI PM timer or i8254 "
              "counts, "
              "and the processor does not state its own rate (CPUID leaves 15H, 16H)");
    const char *error = clock_tsc_init(&reference);
    if (error != nullptr)
        panic("boot: %s (reference: %s)", error, reference.name);
    hal.clock = &clock_tsc;
    klog("boot: x86_64 PC by %s, clock measured by the %s", way == ENTRY_PVH ? "PVH" : "handover",
         reference.name);
}

// The block is within the tables of the first instructions, as the note asks.
static void handover_init(uint64_t address)
{
    const uint64_t reach = address < LAYOUT_BOOT_MAPPED ? LAYOUT_BOOT_MAPPED - address : 0;
    struct handover_tables tables;
    const char *wrong = handover_read(arch_ram((paddr_t){address}), reach, &boot, &tables);
    if (wrong != nullptr)
        panic("boot: the handover at 0x%lx: %s", address, wrong);
    boot.tables = (paddr_t){tables.rsdp};
}

void platform_start(uint64_t told, enum entry_way way)
{
    arch_cpu_init(&boot_cpu, arch_boot_stack_top);
    hal.console = uart_16550_init(ISA_COM1);
    if (way == ENTRY_PVH)
        pvh_read(told, &boot);
    else
        handover_init(told);
    memory_init();
    tables_init(way);
    interrupts_init();
    clock_init(way);
    start_page_init();

    static struct acpi_power_config power;
    machine_power(&acpi, &power);
    acpi_power_init(&power);
    hal.power = &acpi_power;

    boot_info_normalise(&boot);
    kernel_main(&boot);
}
