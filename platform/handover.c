// SPDX-License-Identifier: MIT
//
// See <platform/handover.h>. Pure: the block is read where the caller has mapped it.
#include <platform/handover.h>

#include <lib/string.h>
#include <platform/boot_info.h>

constexpr uint64_t PHYSICAL_END = 1ull << 52; // no machine has more addresses

static bool inside(uint32_t offset, uint64_t bytes, uint32_t limit)
{
    return offset <= limit && bytes <= limit - offset;
}

uint32_t handover_bytes(const void *block)
{
    struct abi_handover h;
    memcpy(&h, block, sizeof(h));
    if (h.magic != HANDOVER_MAGIC || h.version != HANDOVER_VERSION || h.bytes < sizeof(h) ||
        h.bytes > HANDOVER_BYTES_MAX)
        return 0;
    return h.bytes;
}

static const char *read_memory(const void *block, const struct abi_handover *h,
                               struct boot_info *boot)
{
    const uint64_t bytes = (uint64_t)h->range_count * sizeof(struct abi_handover_range);
    if (!inside(h->range_offset, bytes, h->bytes))
        return "its memory map is not inside of it";
    uint64_t end = 0;
    for (uint32_t i = 0; i < h->range_count; i++) {
        struct abi_handover_range r;
        memcpy(&r, (const char *)block + h->range_offset + i * sizeof(r), sizeof(r));
        if (r.start >= r.end || r.end > PHYSICAL_END)
            return "a range of its memory map is empty, wraps, or is beyond all addresses";
        if ((r.start | r.end) % PAGE_SIZE != 0)
            return "a range of its memory map is not of whole pages";
        if (r.start < end)
            return "its memory map is not sorted, or ranges of it overlap";
        end = r.end;
        // What is not RAM is nothing that the kernel maps or gives away.
        if (r.kind == HANDOVER_RAM)
            boot_add_ram(boot, r.start, r.end);
    }
    boot_info_normalise(boot);
    return boot->ram_count != 0 ? nullptr : "its memory map holds no RAM";
}

static const char *read_bundle(const struct abi_handover *h, struct boot_info *boot)
{
    if (h->bundle_bytes == 0)
        return nullptr;
    if (h->bundle % PAGE_SIZE != 0 || h->bundle >= PHYSICAL_END || h->bundle_bytes > PHYSICAL_END)
        return "its boot bundle does not begin on a page";
    const uint64_t end = align_up(h->bundle + h->bundle_bytes, PAGE_SIZE);
    if (boot_find_ram(boot, h->bundle, end) == nullptr)
        return "its boot bundle is not in RAM";
    boot->bundle = (struct boot_range){h->bundle, end};
    boot_add_reserved(boot, h->bundle, end);
    return nullptr;
}

static const char *read_command_line(const void *block, const struct abi_handover *h,
                                     struct boot_info *boot)
{
    if (!inside(h->command_line_offset, h->command_line_bytes, h->bytes))
        return "its command line is not inside of it";
    if (h->command_line_bytes >= sizeof(boot->command_line))
        return "its command line is too long";
    memcpy(boot->command_line, (const char *)block + h->command_line_offset, h->command_line_bytes);
    boot->command_line[h->command_line_bytes] = '\0';
    return nullptr;
}

const char *handover_read(const void *block, uint64_t reach, struct boot_info *boot,
                          struct handover_tables *tables)
{
    struct abi_handover h;
    *tables = (struct handover_tables){};
    if (reach < sizeof(h) || handover_bytes(block) == 0)
        return "it is none of version 1";
    if (handover_bytes(block) > reach)
        return "it is longer than can be read";
    memcpy(&h, block, sizeof(h));
    *tables = (struct handover_tables){
        .rsdp = h.rsdp,
        .device_tree = h.device_tree,
        .device_tree_bytes = h.device_tree_bytes,
    };
    const char *wrong = read_memory(block, &h, boot);
    if (wrong == nullptr)
        wrong = read_bundle(&h, boot);
    if (wrong == nullptr)
        wrong = read_command_line(block, &h, boot);
    return wrong;
}
