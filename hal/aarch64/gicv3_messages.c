// SPDX-License-Identifier: MIT
//
// Message lines of a GICv3: each is an LPI that one event of one device raises. A device has a place
// in its ITS, with a table for its events, from its first message to its last.
//
// A line is masked by its byte among the LPIs' properties, which the redistributor may have read
// before: an INV through the ITS makes it look again (IHI 0069, 5.2.2).
//
// Context: the kernel's interrupt lock is held.
#include "gicv3_its.h"

#include <arch/arch.h>
#include <lib/string.h>

constexpr uint64_t GITS_TRANSLATER = 0x1'0040; // a write of an event's number raises it
constexpr uint8_t PROPERTIES = 0xa0 | 1u << 1; // priority, and a bit that is 1 (12.9.2)
constexpr uint8_t PROPERTY_ENABLED = 1u << 0;

static uint8_t *properties; // of all LPIs, read by redistributors

static struct message {
    struct its *its; // nullptr: the line is free, and its LPI off
    uint8_t device;  // its place there
    uint8_t event;
} messages[GICV3_MESSAGES]; // by LPI

void messages_init(uint8_t *at)
{
    properties = at;
    for (unsigned i = 0; i < GICV3_MESSAGES; i++)
        properties[i] = PROPERTIES;
}

static void set_enabled(unsigned index, bool enabled)
{
    properties[index] = enabled ? PROPERTIES | PROPERTY_ENABLED : PROPERTIES;
    arch_dma_clean(&properties[index], 1);
}

// ---- devices

static bool device_place(const struct its *its, uint32_t id, unsigned *place)
{
    *place = ITS_DEVICES;
    for (unsigned i = 0; i < ITS_DEVICES; i++) {
        if (its->device[i].events != 0 && its->device[i].id == id) {
            *place = i;
            return true;
        }
        if (its->device[i].events == 0 && *place == ITS_DEVICES)
            *place = i;
    }
    return *place != ITS_DEVICES;
}

// Has the ITS raise the LPI for the event. `first`: the device has no other.
static bool map_event(struct its *its, unsigned place, unsigned event, unsigned index, bool first)
{
    const uint32_t id = its->device[place].id;
    const paddr_t table =
        paddr_add(its->memory, its->translations + place * its->translation_bytes);
    if (first) { // what the ITS has left there of a former device
        memset(arch_ram(table), 0, its->translation_bytes);
        arch_dma_clean(arch_ram(table), its->translation_bytes);
    }
    const struct its_command commands[] = {
        its_mapd(id, ITS_EVENT_BITS, table),
        its_mapti(id, event, GIC_FIRST_LPI + index, 0),
        its_inv(id, event), // what a former owner's LPI was
        its_sync(its->target),
    };
    return first ? its_run(its, commands, 4) : its_run(its, commands + 1, 3);
}

static bool free_line(unsigned *index)
{
    for (*index = 0; *index < GICV3_MESSAGES; (*index)++) {
        if (messages[*index].its == nullptr)
            return true;
    }
    return false;
}

bool message_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                      uint32_t *data)
{
    struct its *its = its_at(controller);
    unsigned place, index;
    if (its == nullptr || !free_line(&index) || !device_place(its, (uint32_t)device, &place))
        return false;
    struct its_device *d = &its->device[place];
    if (d->events == UINT32_MAX || !its_reach_device(its, device))
        return false;
    const unsigned event = (unsigned)__builtin_ctz(~d->events);
    d->id = (uint32_t)device;
    if (!map_event(its, place, event, index, d->events == 0))
        return false;
    d->events |= 1u << event;
    messages[index] =
        (struct message){.its = its, .device = (uint8_t)place, .event = (uint8_t)event};
    *line = GICV3_MESSAGE_LINE + index;
    *address = its->address.value + GITS_TRANSLATER;
    *data = event;
    return true;
}

// If the ITS does not answer, the line stays taken: the device may go on raising it.
void message_free(uint32_t line)
{
    const unsigned index = line - GICV3_MESSAGE_LINE;
    struct message *message = &messages[index];
    struct its *its = message->its;
    struct its_device *d = &its->device[message->device];
    const uint32_t left = d->events & ~(1u << message->event);
    set_enabled(index, false);
    const struct its_command commands[] = {
        its_discard(d->id, message->event),
        its_unmapd(d->id),
        its_sync(its->target),
    };
    const struct its_command some[] = {commands[0], commands[2]};
    if (left == 0 ? its_run(its, commands, ARRAY_SIZE(commands))
                  : its_run(its, some, ARRAY_SIZE(some))) {
        d->events = left;
        message->its = nullptr;
    }
}

void message_set_masked(uint32_t line, bool masked)
{
    const unsigned index = line - GICV3_MESSAGE_LINE;
    const struct message *message = &messages[index];
    set_enabled(index, !masked && message->its != nullptr);
    if (message->its == nullptr)
        return;
    const struct its_command commands[] = {
        its_inv(message->its->device[message->device].id, message->event),
        its_sync(message->its->target),
    };
    (void)its_run(message->its, commands, ARRAY_SIZE(commands));
}
