// SPDX-License-Identifier: MIT
//
// From what the loader told to kernel_main. Entered by arch/aarch64 with the MMU on, the image and
// the device window mapped, and nothing else.
#include <arch/arch.h>
#include <arch/start.h>
#include <platform/boot_info.h>
#include <platform/handover.h>

#include "machine.h"

static struct boot_info boot;
static struct machine_description machine;
static struct acpi_tables acpi;

// Maps the RAM; what cannot be mapped is not RAM for the kernel.
static void map_ram(void)
{
    const uint64_t limit = arch_physical_limit();
    for (uint32_t i = 0; i < boot.ram_count; i++) {
        struct boot_range *r = &boot.ram[i];
        if (r->end > limit) {
            klog("boot: RAM at 0x%lx to 0x%lx is beyond the CPU's %s", r->start, r->end,
                 "physical addresses and is left unused");
            r->end = r->start > limit ? r->start : limit;
        }
        if (r->start < r->end && !arch_ram_map(r->start, r->end)) {
            klog("boot: RAM at 0x%lx to 0x%lx cannot be mapped and is left unused", r->start,
                 r->end);
            r->end = r->start;
        }
    }
    boot_info_normalise(&boot); // drops the empty ones
}

// The image must lie in RAM that is told of, or what is told is not of this machine.
static void check_image(paddr_t start, paddr_t end)
{
    if (boot_find_ram(&boot, start.value, end.value) == nullptr)
        panic("boot: the kernel image at 0x%lx is in no RAM that the firmware tells of",
              start.value);
}

// What is wrong is said once there is a console; nullptr: nothing.
static const char *read_handover(paddr_t address)
{
    const void *block = arch_device_map(address, sizeof(struct abi_handover), ARCH_MEMORY_NORMAL);
    const uint32_t bytes = block != nullptr ? handover_bytes(block) : 0;
    if (bytes != 0)
        block = arch_device_map(address, bytes, ARCH_MEMORY_NORMAL);
    if (bytes == 0 || block == nullptr)
        panic("boot: there is no handover of version 1 at 0x%lx", address.value);
    struct handover_tables tables;
    const char *wrong = handover_read(block, bytes, &boot, &tables);
    // Where there are both, the tree: it says more that we can read.
    boot.firmware = tables.device_tree != 0 ? FIRMWARE_DEVICE_TREE : FIRMWARE_ACPI;
    boot.tables.value = tables.device_tree != 0 ? tables.device_tree : tables.rsdp;
    return wrong;
}

// ---- by a device tree

static const void *open_tree(void)
{
    const struct fdt *tree = fdt_open(boot.tables, &boot.tables_bytes);
    if (tree == nullptr)
        panic("boot: there is no device tree at 0x%lx", boot.tables.value);
    describe_console(tree, &machine);
    start_console(&machine);
    return tree;
}

static void read_tree(const struct fdt *tree)
{
    fdt_read_cpus(tree, arch_cpu_affinity(), &boot, machine.releases);
    describe_devices(tree, &machine);
    boot_add_reserved(&boot, boot.tables.value, boot.tables.value + boot.tables_bytes);
}

// ---- by ACPI

static void open_acpi(void)
{
    if (boot.tables.value == 0 || !acpi_open(&acpi, boot.tables))
        panic("boot: this machine has no usable ACPI tables");
    boot.tables_bytes = ACPI_RSDP_BYTES;
    acpi_describe_console(&acpi, &machine);
    start_console(&machine);
}

static void read_acpi(void)
{
    acpi_read_cpus(&acpi, arch_cpu_affinity(), &boot);
    acpi_describe_devices(&acpi, &machine);
    acpi_reserve_tables(&acpi, &boot);
}

// ----

void platform_start(paddr_t told, enum arch_entry way)
{
    const struct fdt *tree = nullptr;
    const char *wrong = nullptr;
    boot.firmware = FIRMWARE_DEVICE_TREE;
    boot.tables = told;
    if (way == ENTRY_HANDOVER)
        wrong = read_handover(told);
    if (boot.firmware == FIRMWARE_DEVICE_TREE)
        tree = open_tree();
    else
        open_acpi();
    if (wrong != nullptr)
        panic("boot: the handover at 0x%lx: %s", told.value, wrong);

    if (way == ENTRY_LINUX)
        fdt_read_memory(tree, &boot);
    map_ram();
    if (way == ENTRY_LINUX)
        fdt_read_chosen(tree, &boot);
    paddr_t image_start, image_end;
    arch_image_range(&image_start, &image_end);
    check_image(image_start, image_end);
    boot.kernel = (struct boot_range){image_start.value, image_end.value};
    boot_add_reserved(&boot, image_start.value, image_end.value);
    boot_add_reserved(&boot, boot.bundle.start, boot.bundle.end);
    if (tree != nullptr)
        read_tree(tree);
    else
        read_acpi();
    boot_info_normalise(&boot);

    start_devices(&machine, &boot);
    klog("boot: AArch64 by %s, %s", way == ENTRY_LINUX ? "Linux's protocol" : "handover",
         machine.source);
    kernel_main(&boot);
}
