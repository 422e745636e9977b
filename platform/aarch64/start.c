// SPDX-License-Identifier: MIT
//
// From the device tree to kernel_main. Entered by arch/aarch64 with the MMU on, the image and
// the device window mapped, and nothing else.
#include <arch/arch.h>
#include <arch/start.h>
#include <platform/boot_info.h>

#include "machine.h"

static struct boot_info boot;
static struct machine_description machine;

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

// The image must lie in RAM that the tree names, or the tree is not of this machine.
static void check_image(paddr_t start, paddr_t end)
{
    for (uint32_t i = 0; i < boot.ram_count; i++) {
        if (start.value >= boot.ram[i].start && end.value <= boot.ram[i].end)
            return;
    }
    panic("boot: the kernel image at 0x%lx is in no RAM of the device tree", start.value);
}

void platform_start(paddr_t tables)
{
    boot.firmware = FIRMWARE_DEVICE_TREE;
    boot.tables = tables;
    const void *tree = fdt_open(tables, &boot.tables_bytes);
    if (tree == nullptr)
        panic("boot: there is no device tree at 0x%lx", tables.value);
    describe_console(tree, &machine);
    start_console(&machine);

    fdt_read_memory(tree, &boot);
    map_ram();
    fdt_read_chosen(tree, &boot);
    fdt_read_cpus(tree, arch_cpu_affinity(), &boot);

    paddr_t image_start, image_end;
    arch_image_range(&image_start, &image_end);
    check_image(image_start, image_end);
    boot.kernel = (struct boot_range){image_start.value, image_end.value};
    boot_add_reserved(&boot, image_start.value, image_end.value);
    boot_add_reserved(&boot, tables.value, tables.value + boot.tables_bytes);
    boot_add_reserved(&boot, boot.bundle.start, boot.bundle.end);
    boot_info_normalise(&boot);

    describe_devices(tree, &machine);
    start_devices(&machine, &boot);
    kernel_main(&boot);
}
