// SPDX-License-Identifier: MIT
//
// See leave.h.
#include "leave.h"

#include <lib/string.h>
#include <lib/types.h>

constexpr unsigned TRIES = 8;
constexpr uint64_t MORE_ENTRIES = 32; // that the map may grow by until we leave

static struct {
    void *map; // as the firmware tells it
    uint64_t map_bytes;
    struct abi_handover *block;
} prepared;

bool leave_prepare(const struct given *given)
{
    uint64_t bytes = 0, key, entry_bytes;
    uint32_t version;
    if (efi->boot->memory_map(&bytes, nullptr, &key, &entry_bytes, &version) !=
            EFI_BUFFER_TOO_SMALL ||
        entry_bytes < sizeof(struct efi_memory_descriptor) || entry_bytes > PAGE_SIZE) {
        say("The firmware does not say how large its memory map is.");
        return false;
    }
    prepared.map_bytes = bytes + MORE_ENTRIES * entry_bytes;
    prepared.map = pages_take(prepared.map_bytes, 0);
    const uint32_t room = memory_map_room(prepared.map_bytes, entry_bytes);
    const uint64_t block_bytes = sizeof(struct abi_handover) +
                                 room * sizeof(struct abi_handover_range) +
                                 strlen(given->command_line) + given->signature.bytes;
    if (block_bytes > HANDOVER_BYTES_MAX) {
        say("The firmware's memory map is too large: %llu bytes.", (unsigned long long)bytes);
        return false;
    }
    prepared.block = pages_take(block_bytes, given->kernel.reach);
    if (prepared.map == nullptr || prepared.block == nullptr) {
        say("There is no memory for what the kernel is to be told.");
        return false;
    }
    return true;
}

static uint32_t append(struct abi_handover *block, const void *data, uint64_t bytes)
{
    const uint32_t offset = block->bytes;
    memcpy((char *)block + offset, data, bytes);
    block->bytes += (uint32_t)bytes;
    return offset;
}

// False: the kernel cannot be where it has to be; which was said.
static bool fill(const struct given *given, uint64_t bytes, uint64_t entry_bytes)
{
    struct abi_handover *block = prepared.block;
    *block = (struct abi_handover){
        .magic = HANDOVER_MAGIC,
        .version = HANDOVER_VERSION,
        .bytes = sizeof(*block),
        .trust = HANDOVER_UNVERIFIED,
        .bundle = (uint64_t)given->bundle.data,
        .bundle_bytes = given->bundle.bytes,
        .rsdp = given->rsdp,
        .device_tree = given->device_tree,
        .device_tree_bytes = given->device_tree_bytes,
    };
    struct abi_handover_range *ranges = (void *)(block + 1);
    uint32_t count = memory_map_read(prepared.map, bytes, entry_bytes, ranges);
    if (given->device_tree != 0) // wherever the firmware has it
        count = memory_map_mark(ranges, count, align_down(given->device_tree, PAGE_SIZE),
                                align_up(given->device_tree + given->device_tree_bytes, PAGE_SIZE),
                                HANDOVER_TABLES);
    const struct kernel *k = &given->kernel;
    if (!memory_map_is_ram(ranges, count, k->start, k->start + k->bytes + k->room)) {
        say("The kernel needs %llu KiB of memory at 0x%llx: the firmware keeps some of it.",
            (unsigned long long)(k->bytes + k->room) / 1024, (unsigned long long)k->start);
        return false;
    }
    block->range_offset = block->bytes;
    block->range_count = count;
    block->bytes += count * (uint32_t)sizeof(*ranges);
    block->command_line_bytes = (uint32_t)strlen(given->command_line);
    block->command_line_offset = append(block, given->command_line, block->command_line_bytes);
    block->signature_bytes = (uint32_t)given->signature.bytes;
    block->signature_offset = append(block, given->signature.data, given->signature.bytes);
    machine_clean(block, block->bytes);
    return true;
}

struct abi_handover *leave_firmware(efi_handle_t image, const struct given *given)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t bytes = prepared.map_bytes, key, entry_bytes;
        uint32_t version;
        if (efi->boot->memory_map(&bytes, prepared.map, &key, &entry_bytes, &version) !=
            EFI_SUCCESS) {
            say("The firmware's memory map cannot be read.");
            return nullptr;
        }
        if (!fill(given, bytes, entry_bytes))
            return nullptr;
        // An interrupt of the firmware may change the map in between: then the key is stale. After
        // the first try nothing but the map may be asked for (7.4, ExitBootServices).
        const efi_status_t status = efi->boot->exit_boot_services(image, key);
        if (status == EFI_SUCCESS)
            return prepared.block;
        if (status != EFI_INVALID_PARAMETER)
            break;
    }
    say("The firmware does not let go of the machine.");
    return nullptr;
}
