// SPDX-License-Identifier: MIT
//
// Slots on the command line: see slots.h. Pure.

#include <hwtree/front.h>
#include <lib/string.h>

#include "slots.h"

constexpr char OPTION[] = "virtio_mmio.device=";
constexpr uint64_t SLOT_BYTES_MIN = 0x104; // registers, and a word of configuration
constexpr uint64_t SLOT_BYTES_MAX = 0x1'0000;
constexpr uint64_t ADDRESS_END = 1ull << 52;
constexpr uint64_t LINE_END = 1u << 20;

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

// A number as C writes it. false: none is there, or it has no room.
static bool read_number(const char **at, uint64_t *value)
{
    unsigned base = 10;
    if ((*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X')) {
        base = 16;
        *at += 2;
    }
    const char *first = *at;
    *value = 0;
    for (; digit_of(**at) < base; (*at)++)
        if (__builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit_of(**at), value))
            return false;
    return *at != first;
}

static bool read_slot(const char *at, uint64_t *bytes, uint64_t *address, uint64_t *line)
{
    uint64_t id;
    if (!read_number(&at, bytes))
        return false;
    if (*at == 'K' || *at == 'k') {
        at++;
        if (*bytes > SLOT_BYTES_MAX)
            return false;
        *bytes *= 1024;
    }
    if (*at++ != '@' || !read_number(&at, address) || *at++ != ':' || !read_number(&at, line))
        return false;
    if (*at == ':') {
        at++;
        if (!read_number(&at, &id))
            return false;
    }
    return (*at == ' ' || *at == '\0') && *bytes >= SLOT_BYTES_MIN && *bytes <= SLOT_BYTES_MAX &&
           *address != 0 && *address < ADDRESS_END && *address % sizeof(uint32_t) == 0 &&
           *line < LINE_END;
}

// Two descriptions of one slot are one slot.
static bool is_known(const struct hwtree *hardware, uint64_t address)
{
    for (uint32_t i = 0; i < hwtree_count(hardware, HWTREE_NODES); i++)
        for (uint32_t k = 0; k < hwtree_node(hardware, i)->ranges.count; k++) {
            const struct hwtree_range *range = hwtree_range(hardware, i, k);
            if (range->space == HWTREE_SPACE_MEMORY && range->base == address)
                return true;
        }
    return false;
}

static void add_slot(struct hwtree_builder *builder, uint64_t bytes, uint64_t address,
                     uint32_t line)
{
    struct hwtree_interrupt interrupt;
    uint32_t node = hwtree_add_named(builder, 0, "virtio@%llx", (unsigned long long)address);
    if (node == HWTREE_NONE)
        return;
    hwtree_add_compatible(builder, node, "virtio,mmio", sizeof("virtio,mmio"));
    hwtree_add_range(builder, node, &(struct hwtree_range){.base = address, .bytes = bytes},
                     "virtio_mmio.device");
    if (!hwtree_acpi_gsi(builder->tree, line, &interrupt)) {
        hwtree_problem(builder, node, HWTREE_NOT_CONTROLLER, "virtio_mmio.device", line);
        return;
    }
    // Level suits every machine: the driver lowers the line before it lets the next one in.
    interrupt.trigger = HWTREE_TRIGGER_LEVEL;
    interrupt.polarity = HWTREE_POLARITY_HIGH;
    hwtree_add_interrupt(builder, node, &interrupt);
}

void slots_from_command_line(struct hwtree_builder *builder, const char *line, uint32_t *left_out)
{
    *left_out = 0;
    for (const char *at = line; *at != '\0'; at++) {
        uint64_t bytes, address, interrupt;
        if ((at != line && at[-1] != ' ') || strncmp(at, OPTION, sizeof(OPTION) - 1) != 0)
            continue;
        if (!read_slot(at + sizeof(OPTION) - 1, &bytes, &address, &interrupt))
            (*left_out)++;
        else if (!is_known(builder->tree, address))
            add_slot(builder, bytes, address, (uint32_t)interrupt);
    }
}
