// SPDX-License-Identifier: MIT
//
// Reads the PVH start_info (Xen, xen/include/public/arch-x86/hvm/start_info.h) under the boot
// page tables, which reach LAYOUT_BOOT_MAPPED bytes.
#include "pvh.h"

#include <arch/arch.h>
#include <lib/string.h>
#include <platform/boot_info.h>

constexpr uint32_t PVH_MAGIC = 0x336e'c578;
constexpr uint32_t PVH_MEMORY_RAM = 1;
constexpr uint32_t PVH_MEMORY_RESERVED = 2;

struct pvh_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp;
    // from version 1 on
    uint64_t memory_map;
    uint32_t memory_map_count, reserved;
};
static_assert(sizeof(struct pvh_start_info) == 56);

struct pvh_module {
    uint64_t address, bytes, command_line, reserved;
};

struct pvh_memory {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

static const void *boot_memory(uint64_t address, uint64_t bytes, const char *what)
{
    if (address == 0 || address > LAYOUT_BOOT_MAPPED || bytes > LAYOUT_BOOT_MAPPED - address)
        panic("boot: the loader's %s is at 0x%lx, out of reach", what, address);
    return arch_ram((paddr_t){address});
}

// No machine has more addresses than these, and the end of an entry must not wrap.
static uint64_t memory_end(const struct pvh_memory *entry)
{
    constexpr uint64_t last = 1ull << 52;
    return entry->address < last && entry->bytes < last - entry->address
               ? entry->address + entry->bytes
               : last;
}

static const struct pvh_memory *memory_map(const struct pvh_start_info *info)
{
    return boot_memory(info->memory_map,
                       (uint64_t)info->memory_map_count * sizeof(struct pvh_memory), "memory map");
}

static void read_memory_map(const struct pvh_start_info *info, struct boot_info *boot)
{
    if (info->version < 1 || info->memory_map_count == 0)
        panic("boot: the loader gave no memory map");
    const uint32_t count = info->memory_map_count;
    const struct pvh_memory *map = memory_map(info);
    for (uint32_t i = 0; i < count; i++)
        if (map[i].type == PVH_MEMORY_RAM)
            boot_add_ram(boot, map[i].address, memory_end(&map[i]));
    boot_info_normalise(boot);

    // Where entries contradict each other, memory that is called anything but RAM is not RAM.
    for (uint32_t i = 0; i < count; i++)
        if (map[i].type != PVH_MEMORY_RAM)
            boot_remove_ram(boot, map[i].address, memory_end(&map[i]));
    boot_info_normalise(boot);
}

// QEMU 10 loads the bundle to the end of a microvm's RAM after its firmware has kept the last pages
// for itself. What was there is gone, so the bundle may as well have it: RAM as far as the bundle
// goes, which is never given to anybody else.
static void adopt_bundle(const struct pvh_start_info *info, struct boot_info *boot, uint64_t start,
                         uint64_t end)
{
    const struct pvh_memory *map = memory_map(info);
    for (uint32_t i = 0; i < info->memory_map_count; i++) {
        const uint64_t kept = map[i].address;
        if (map[i].type != PVH_MEMORY_RESERVED || kept <= start || kept >= end ||
            memory_end(&map[i]) < end || kept % PAGE_SIZE != 0 ||
            boot_find_ram(boot, start, kept) == nullptr)
            continue;
        klog("boot: the loader put the boot bundle over what the firmware kept at 0x%lx", kept);
        boot_add_ram(boot, kept, end);
        boot_info_normalise(boot);
        return;
    }
}

static void read_bundle(const struct pvh_start_info *info, struct boot_info *boot)
{
    if (info->module_count == 0)
        return;
    const struct pvh_module *module = boot_memory(info->modules, sizeof(*module), "module list");
    if (module->bytes == 0)
        return;
    const bool sound = module->bytes <= UINT64_MAX - PAGE_SIZE - module->address &&
                       module->address % PAGE_SIZE == 0;
    const uint64_t end = sound ? align_up(module->address + module->bytes, PAGE_SIZE) : 0;
    if (sound && boot_find_ram(boot, module->address, end) == nullptr)
        adopt_bundle(info, boot, module->address, end);
    if (!sound || boot_find_ram(boot, module->address, end) == nullptr)
        panic("boot: the boot bundle at 0x%lx, %lu bytes, does not begin on a page of RAM",
              module->address, module->bytes);
    boot->bundle = (struct boot_range){module->address, end};
    boot_add_reserved(boot, boot->bundle.start, boot->bundle.end);
}

static void read_command_line(const struct pvh_start_info *info, struct boot_info *boot)
{
    if (info->command_line == 0)
        return;
    const char *line = boot_memory(info->command_line, 1, "command line");
    const uint64_t reach = LAYOUT_BOOT_MAPPED - info->command_line;
    const size_t limit = reach < sizeof(boot->command_line) ? reach : sizeof(boot->command_line);
    const size_t length = strnlen(line, limit);
    if (length == limit)
        klog("boot: the command line is longer than %u characters and was cut",
             ABI_COMMAND_LINE - 1);
    const size_t kept = length == limit ? limit - 1 : length;
    memcpy(boot->command_line, line, kept);
    boot->command_line[kept] = '\0';
}

void pvh_read(uint64_t address, struct boot_info *boot)
{
    const struct pvh_start_info *info = boot_memory(address, sizeof(*info), "start_info");
    if (info->magic != PVH_MAGIC)
        panic("boot: this is not a PVH start: magic 0x%x", info->magic);
    read_memory_map(info, boot);
    read_bundle(info, boot);
    read_command_line(info, boot);
    boot->tables = (paddr_t){info->rsdp};
}
