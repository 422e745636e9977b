// SPDX-License-Identifier: MIT
//
// See pcie_slot.h.

#include "pcie_slot.h"

enum {                    // offsets in the capability
    REGISTER_LINK = 0x10, // status in the upper half
    REGISTER_SLOT = 0x18, // control; status in the upper half, its events cleared by writing ones
    REGISTER_SLOT_STATUS = 0x1a,
};

constexpr uint32_t LINK_ACTIVE = 1u << 29;
constexpr uint16_t ALL_ONES = 0xffff;
constexpr unsigned LOOKS_MAX = 16; // at registers in which more comes while they are cleared

enum slot_control : uint16_t {
    CONTROL_BUTTON = 1 << 0,
    CONTROL_FAULT = 1 << 1,
    CONTROL_PRESENCE = 1 << 3,
    CONTROL_COMPLETED = 1 << 4,
    CONTROL_INTERRUPT = 1 << 5,
    CONTROL_ATTENTION = 3 << 6, // 1 on, 2 blinks, 3 off
    ATTENTION_ON = 1 << 6,
    ATTENTION_OFF = 3 << 6,
    CONTROL_POWER_LIGHT = 3 << 8,
    POWER_LIGHT_ON = 1 << 8,
    POWER_LIGHT_BLINKS = 2 << 8,
    POWER_LIGHT_OFF = 3 << 8,
    CONTROL_POWER_OFF = 1 << 10,
    CONTROL_LINK = 1 << 12,
};

enum slot_status : uint16_t {
    STATUS_BUTTON = 1 << 0,
    STATUS_FAULT = 1 << 1,
    STATUS_PRESENCE_CHANGED = 1 << 3,
    STATUS_COMPLETED = 1 << 4,
    STATUS_PRESENT = 1 << 6,
    STATUS_LINK_CHANGED = 1 << 8,
    STATUS_EVENTS = 0x11f,
};

// What the registers say now.
struct look {
    uint16_t events;
    bool present, linked;
};

static uint16_t slot_status(const struct pcie_slot *slot)
{
    uint32_t word = slot->config->read(slot->config, slot->express.capability + REGISTER_SLOT);
    return (uint16_t)(word >> 16);
}

// Takes the events. A message is raised only when the first of them comes, so that there must be
// none left when this is over.
static struct look take_look(const struct pcie_slot *slot)
{
    struct look look = {};
    uint16_t status = 0;
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        status = slot_status(slot);
        if (status == ALL_ONES)
            return (struct look){};
        uint16_t events = status & STATUS_EVENTS;
        if (events == 0)
            break;
        look.events |= events;
        slot->config->write_half(slot->config, slot->express.capability + REGISTER_SLOT_STATUS,
                                 events);
    }
    uint32_t link = slot->config->read(slot->config, slot->express.capability + REGISTER_LINK);
    look.present = (status & STATUS_PRESENT) != 0;
    look.linked = look.present && (!slot->express.link_reports || (link & LINK_ACTIVE) != 0);
    return look;
}

// ---- commands

static void set(struct pcie_slot *slot, uint16_t clear, uint16_t bits)
{
    slot->wanted = (uint16_t)((slot->wanted & ~clear) | bits);
}

static bool settled(const struct pcie_slot *slot)
{
    return slot->command_until_ns == 0 && slot->wanted == slot->written;
}

// One command at a time (6.7.3.2).
static void command_on(struct pcie_slot *slot, uint16_t events, uint64_t now_ns)
{
    if (slot->command_until_ns != 0) {
        slot->obeyed = (events & STATUS_COMPLETED) != 0;
        if (!slot->obeyed && now_ns < slot->command_until_ns)
            return;
        slot->commands_late += !slot->obeyed;
        slot->command_until_ns = 0;
    }
    if (slot->wanted == slot->written)
        return;
    slot->written = slot->wanted;
    slot->config->write_half(slot->config, slot->express.capability + REGISTER_SLOT, slot->written);
    slot->obeyed = slot->express.no_command_completed;
    if (!slot->express.no_command_completed)
        slot->command_until_ns = now_ns + SLOT_COMMAND_NS;
}

static void power(struct pcie_slot *slot, bool on, uint16_t light)
{
    set(slot, CONTROL_POWER_LIGHT, light);
    if (slot->express.power_controller)
        set(slot, CONTROL_POWER_OFF, on ? 0 : CONTROL_POWER_OFF);
}

// ---- states

static void enter(struct pcie_slot *slot, enum pcie_slot_state state, uint64_t deadline_ns)
{
    slot->state = state;
    slot->deadline_ns = deadline_ns;
}

static void power_up(struct pcie_slot *slot)
{
    power(slot, true, POWER_LIGHT_BLINKS);
    set(slot, CONTROL_ATTENTION, ATTENTION_OFF);
    enter(slot, SLOT_POWERING_UP, ABI_DEADLINE_NEVER);
}

static void power_down(struct pcie_slot *slot, const char *why)
{
    if (why != nullptr)
        slot->why = why;
    slot->changed = false;
    power(slot, false, POWER_LIGHT_OFF);
    enter(slot, SLOT_POWERING_DOWN, ABI_DEADLINE_NEVER);
}

static void give_up(struct pcie_slot *slot, const char *why)
{
    set(slot, CONTROL_ATTENTION, ATTENTION_ON);
    power_down(slot, why);
}

static enum pcie_slot_event leave(struct pcie_slot *slot, enum pcie_slot_event event,
                                  const char *why)
{
    set(slot, CONTROL_POWER_LIGHT, POWER_LIGHT_BLINKS);
    slot->why = why;
    enter(slot, SLOT_LEAVING, ABI_DEADLINE_NEVER);
    return event;
}

// Why what was in use is lost; null: it is there. One that went and came between two looks is
// another one, or has been reset.
static const char *lost(const struct look *look)
{
    if (!look->present || (look->events & STATUS_PRESENCE_CHANGED) != 0)
        return "it was taken out";
    if (!look->linked || (look->events & STATUS_LINK_CHANGED) != 0)
        return "its link is down";
    return (look->events & STATUS_FAULT) != 0 ? "its power failed" : nullptr;
}

static void bring_up(struct pcie_slot *slot, const struct look *look, uint64_t now_ns)
{
    if (!look->present)
        power_down(slot, "it was taken out before it was ready");
    else if ((look->events & STATUS_FAULT) != 0)
        give_up(slot, "its power failed");
    else if (slot->state == SLOT_POWERING_UP && settled(slot))
        enter(slot, SLOT_LINKING, now_ns + SLOT_LINK_NS);
    else if (slot->state == SLOT_LINKING && look->linked)
        enter(slot, SLOT_SETTLING, now_ns + SLOT_SETTLE_NS);
    else if (slot->state == SLOT_LINKING && now_ns >= slot->deadline_ns)
        give_up(slot, "its link does not come up");
    else if (slot->state == SLOT_SETTLING && !look->linked)
        give_up(slot, "its link does not stay up");
}

static enum pcie_slot_event in_use(struct pcie_slot *slot, const struct look *look, uint64_t now_ns)
{
    const char *why = lost(look);
    bool pressed = (look->events & STATUS_BUTTON) != 0;
    if (why != nullptr)
        return leave(slot, SLOT_LOST, why);
    if (slot->state == SLOT_ASKED && !pressed && now_ns >= slot->deadline_ns)
        return leave(slot, SLOT_LEAVES, "its button was pressed");
    if (!pressed)
        return SLOT_NOTHING;
    const bool asked = slot->state == SLOT_ASKED;
    set(slot, CONTROL_POWER_LIGHT, asked ? POWER_LIGHT_ON : POWER_LIGHT_BLINKS);
    enter(slot, asked ? SLOT_ON : SLOT_ASKED, asked ? ABI_DEADLINE_NEVER : now_ns + SLOT_BUTTON_NS);
    return SLOT_NOTHING;
}

static enum pcie_slot_event step(struct pcie_slot *slot, const struct look *look, uint64_t now_ns)
{
    slot->changed |= (look->events & STATUS_PRESENCE_CHANGED) != 0;
    switch (slot->state) {
    case SLOT_OFF:
        if (look->present && (slot->changed || (look->events & STATUS_BUTTON) != 0))
            power_up(slot);
        break;
    case SLOT_POWERING_UP:
    case SLOT_LINKING:
    case SLOT_SETTLING:
        bring_up(slot, look, now_ns);
        if (slot->state != SLOT_SETTLING || now_ns < slot->deadline_ns)
            break;
        set(slot, CONTROL_POWER_LIGHT, POWER_LIGHT_ON);
        enter(slot, SLOT_ON, ABI_DEADLINE_NEVER);
        return SLOT_ARRIVED;
    case SLOT_ON:
    case SLOT_ASKED:
        return in_use(slot, look, now_ns);
    case SLOT_LEAVING:
        break;
    case SLOT_POWERING_DOWN:
        if (settled(slot))
            enter(slot, SLOT_DARK, now_ns + SLOT_DARK_NS);
        break;
    case SLOT_DARK:
        if (now_ns < slot->deadline_ns)
            break;
        enter(slot, SLOT_OFF, ABI_DEADLINE_NEVER);
        return SLOT_EMPTIED;
    }
    return SLOT_NOTHING;
}

enum pcie_slot_event pcie_slot_step(struct pcie_slot *slot, uint64_t now_ns)
{
    const struct look look = take_look(slot);
    slot->present = look.present;
    command_on(slot, look.events, now_ns);
    enum pcie_slot_event event = step(slot, &look, now_ns);
    command_on(slot, 0, now_ns);
    return event;
}

uint64_t pcie_slot_deadline(const struct pcie_slot *slot)
{
    uint64_t command = slot->command_until_ns != 0 ? slot->command_until_ns : ABI_DEADLINE_NEVER;
    return command < slot->deadline_ns ? command : slot->deadline_ns;
}

void pcie_slot_start(struct pcie_slot *slot, struct pci_config *config,
                     const struct pci_express *express, bool used, bool interrupts, uint64_t now_ns)
{
    *slot = (struct pcie_slot){.config = config, .express = *express, .why = ""};
    uint32_t word = config->read(config, express->capability + REGISTER_SLOT);
    slot->written = (uint16_t)word;
    slot->wanted = CONTROL_FAULT | CONTROL_PRESENCE | CONTROL_COMPLETED | ATTENTION_OFF;
    if (interrupts)
        set(slot, 0, CONTROL_INTERRUPT);
    if (express->button)
        set(slot, 0, CONTROL_BUTTON);
    if (express->link_reports)
        set(slot, 0, CONTROL_LINK);
    // What happened before is in what is there now.
    (void)take_look(slot);
    power(slot, used, used ? POWER_LIGHT_ON : POWER_LIGHT_OFF);
    slot->changed = true;
    enter(slot, used ? SLOT_ON : SLOT_OFF, ABI_DEADLINE_NEVER);
    command_on(slot, 0, now_ns);
}

void pcie_slot_release(struct pcie_slot *slot)
{
    if (slot->state == SLOT_LEAVING)
        power_down(slot, nullptr);
}

void pcie_slot_fail(struct pcie_slot *slot, const char *why)
{
    if (slot->state != SLOT_ON && slot->state != SLOT_ASKED)
        return;
    set(slot, CONTROL_ATTENTION, ATTENTION_ON);
    (void)leave(slot, SLOT_LOST, why);
}

bool pcie_slot_is_dark(const struct pcie_slot *slot)
{
    const bool off = slot->state == SLOT_OFF || slot->state == SLOT_DARK;
    return !slot->present || (off && slot->express.power_controller && slot->obeyed);
}
