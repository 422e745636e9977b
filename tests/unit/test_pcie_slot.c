// SPDX-License-Identifier: MIT
//
// build: user/devd/pcie_slot.c
//
// The slot of a port (user/devd/pcie_slot.h), against a model of the port's registers: each order of
// events that has a meaning, then random ones, of which only what must always hold is known.
#include <stdint.h>
#include <user/devd/pcie_slot.h>

#include "test.h"

constexpr uint64_t MS = 1'000'000;
constexpr uint64_t S = 1000 * MS;

enum { CAPABILITY = 0x54, LINK = CAPABILITY + 0x10, SLOT = CAPABILITY + 0x18 };
enum { BUTTON = 1, FAULT = 2, PRESENCE = 8, COMPLETED = 16, PRESENT = 64, LINK_CHANGED = 256 };
enum { LIGHT = 3 << 8, LIGHT_ON = 1 << 8, LIGHT_BLINKS = 2 << 8, LIGHT_OFF = 3 << 8 };
enum { ATTENTION = 3 << 6, ATTENTION_ON = 1 << 6, POWER_CUT = 1 << 10 };

// ---- the model

struct port {
    struct pci_config config;
    uint16_t control, status;
    bool link;
    bool gone;      // the port itself: all ones
    bool stuck;     // it completes no command
    bool chatters;  // an event comes as often as one is cleared
    bool too_early; // a command was written before the one before was over
    uint64_t now_ns, busy_until_ns;
    unsigned accesses, commands;
};

static uint32_t port_read(struct pci_config *config, uint32_t offset)
{
    struct port *p = (struct port *)config;
    p->accesses++;
    if (p->gone)
        return UINT32_MAX;
    if (offset == LINK)
        return p->link ? 1u << 29 : 0;
    EXPECT(offset == SLOT);
    return (uint32_t)p->status << 16 | p->control;
}

static void port_write(struct pci_config *config, uint32_t offset, uint32_t value)
{
    (void)config, (void)offset, (void)value;
    EXPECT(false); // it would write control and status at once
}

static void port_write_half(struct pci_config *config, uint32_t offset, uint16_t value)
{
    struct port *p = (struct port *)config;
    p->accesses++;
    if (p->gone)
        return;
    if (offset == SLOT + 2) {
        p->status &= (uint16_t)~(value & 0x11f);
        if (p->chatters)
            p->status |= BUTTON;
        return;
    }
    EXPECT(offset == SLOT);
    p->too_early |= p->busy_until_ns > p->now_ns;
    p->commands++;
    p->control = value;
    p->busy_until_ns = p->stuck ? p->now_ns + SLOT_COMMAND_NS : 0;
    if (!p->stuck)
        p->status |= COMPLETED;
}

static struct port new_port(void)
{
    return (struct port){
        .config = {port_read, port_write, port_write_half}, .control = 0x1c0, .now_ns = 1000 * S};
}

static const struct pci_express express = {.capability = CAPABILITY,
                                           .link_reports = true,
                                           .button = true,
                                           .power_controller = true,
                                           .slot = 7};

static void put_in(struct port *p)
{
    p->link = true;
    p->status |= PRESENT | PRESENCE | BUTTON; // as QEMU does it
}

static void take_out(struct port *p)
{
    p->link = false;
    p->status = (uint16_t)((p->status & ~PRESENT) | PRESENCE);
}

// Steps until there is nothing to do now; at most one event comes, and that is it.
static enum pcie_slot_event settle(struct pcie_slot *slot, struct port *p)
{
    enum pcie_slot_event event = SLOT_NOTHING;
    for (unsigned i = 0; i < 8; i++) {
        p->accesses = 0;
        enum pcie_slot_event next = pcie_slot_step(slot, p->now_ns);
        EXPECT(p->accesses < 64);
        EXPECT(event == SLOT_NOTHING || next == SLOT_NOTHING);
        event = next != SLOT_NOTHING ? next : event;
    }
    if (!p->chatters)
        EXPECT((p->status & 0x11f & ~COMPLETED) == 0 || p->gone); // or no message comes any more
    return event;
}

// Lets the time pass until the slot's deadline, and steps. NOTHING: it had none within `limit_ns`.
static enum pcie_slot_event pass(struct pcie_slot *slot, struct port *p, uint64_t limit_ns)
{
    const uint64_t end_ns = p->now_ns + limit_ns;
    enum pcie_slot_event event = SLOT_NOTHING;
    while (event == SLOT_NOTHING && pcie_slot_deadline(slot) <= end_ns) {
        uint64_t at_ns = pcie_slot_deadline(slot);
        if (at_ns > p->now_ns)
            p->now_ns = at_ns;
        event = settle(slot, p);
    }
    if (event == SLOT_NOTHING)
        p->now_ns = end_ns;
    return event;
}

static struct pcie_slot slot_of(struct port *p, bool used)
{
    struct pcie_slot slot;
    if (used) {
        p->link = true;
        p->status |= PRESENT;
    }
    pcie_slot_start(&slot, &p->config, &express, used, true, p->now_ns);
    EXPECT(settle(&slot, p) == SLOT_NOTHING);
    return slot;
}

// Nobody uses it any more. As after whatever changes a slot, it is stepped.
static void release(struct pcie_slot *slot, struct port *p)
{
    pcie_slot_release(slot);
    EXPECT(settle(slot, p) == SLOT_NOTHING);
}

static bool is_off(const struct port *p)
{
    return (p->control & POWER_CUT) != 0 && (p->control & LIGHT) == LIGHT_OFF;
}

// ---- what has a meaning

TEST(slot_starts_as_it_finds_it)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, false);
    EXPECT(slot.state == SLOT_OFF && is_off(&p));
    EXPECT(pcie_slot_deadline(&slot) == ABI_DEADLINE_NEVER && pcie_slot_is_dark(&slot));

    p = new_port();
    slot = slot_of(&p, true);
    EXPECT(slot.state == SLOT_ON && (p.control & (POWER_CUT | LIGHT)) == LIGHT_ON);
    EXPECT((p.control & 0x103b) == 0x103b); // all events, and the interrupt
    EXPECT(!pcie_slot_is_dark(&slot));

    // Something is in it that nobody has found yet.
    p = new_port();
    p.status = PRESENT;
    p.control |= POWER_CUT;
    p.link = true;
    slot = slot_of(&p, false);
    EXPECT(pass(&slot, &p, S) == SLOT_ARRIVED && slot.state == SLOT_ON);
}

TEST(slot_is_filled_and_emptied)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, false);
    for (unsigned round = 0; round < 3; round++) {
        put_in(&p);
        const uint64_t at_ns = p.now_ns;
        EXPECT(settle(&slot, &p) == SLOT_NOTHING && (p.control & POWER_CUT) == 0);
        EXPECT((p.control & LIGHT) == LIGHT_BLINKS);
        EXPECT(pass(&slot, &p, S) == SLOT_ARRIVED && (p.control & LIGHT) == LIGHT_ON);
        EXPECT(p.now_ns >= at_ns + 100 * MS); // PCI Express 5.0, 6.6.1
        EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && slot.state == SLOT_ON);

        p.status |= BUTTON;
        EXPECT(settle(&slot, &p) == SLOT_NOTHING && (p.control & LIGHT) == LIGHT_BLINKS);
        EXPECT(pass(&slot, &p, 4999 * MS) == SLOT_NOTHING && slot.state == SLOT_ASKED);
        EXPECT(pass(&slot, &p, 1 * MS) == SLOT_LEAVES);
        // As long as somebody uses it, it has its power.
        EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && slot.state == SLOT_LEAVING);
        EXPECT((p.control & POWER_CUT) == 0 && !pcie_slot_is_dark(&slot));
        release(&slot, &p);
        EXPECT(is_off(&p));
        take_out(&p);
        EXPECT(pass(&slot, &p, 999 * MS) == SLOT_NOTHING);
        EXPECT(pass(&slot, &p, 1 * MS) == SLOT_EMPTIED && slot.state == SLOT_OFF);
        EXPECT(pcie_slot_is_dark(&slot));
        EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && is_off(&p));
    }
    EXPECT(!p.too_early && slot.commands_late == 0);
}

TEST(slot_button_twice_takes_it_back)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, true);
    p.status |= BUTTON;
    (void)settle(&slot, &p);
    EXPECT(slot.state == SLOT_ASKED);
    EXPECT(pass(&slot, &p, 4 * S) == SLOT_NOTHING);
    p.status |= BUTTON;
    (void)settle(&slot, &p);
    EXPECT(slot.state == SLOT_ON && (p.control & LIGHT) == LIGHT_ON);
    EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && slot.state == SLOT_ON);
    p.status |= BUTTON;
    (void)settle(&slot, &p);
    p.now_ns += 5 * S; // late, but before anybody has looked
    p.status |= BUTTON;
    EXPECT(settle(&slot, &p) == SLOT_NOTHING && slot.state == SLOT_ON);
}

TEST(slot_of_what_goes_without_a_word)
{
    for (unsigned asked = 0; asked < 2; asked++) {
        struct port p = new_port();
        struct pcie_slot slot = slot_of(&p, true);
        if (asked)
            p.status |= BUTTON;
        (void)settle(&slot, &p);
        take_out(&p);
        EXPECT(settle(&slot, &p) == SLOT_LOST && strstr(slot.why, "taken out") != nullptr);
        EXPECT(pcie_slot_is_dark(&slot)); // it is not there
        release(&slot, &p);
        EXPECT(pass(&slot, &p, 2 * S) == SLOT_EMPTIED && is_off(&p));
    }
    // Only the link is down; only the power failed.
    for (unsigned fault = 0; fault < 2; fault++) {
        struct port p = new_port();
        struct pcie_slot slot = slot_of(&p, true);
        p.link = fault;
        p.status |= fault ? FAULT : LINK_CHANGED;
        EXPECT(settle(&slot, &p) == SLOT_LOST);
        EXPECT(strstr(slot.why, fault ? "power" : "link") != nullptr);
        EXPECT(!pcie_slot_is_dark(&slot)); // it may still write
        release(&slot, &p);
        EXPECT(pass(&slot, &p, 2 * S) == SLOT_EMPTIED && pcie_slot_is_dark(&slot));
        EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING &&
               is_off(&p)); // and not on again by itself
        p.link = true;
        p.status |= BUTTON;
        (void)settle(&slot, &p);
        EXPECT(pass(&slot, &p, 2 * S) == SLOT_ARRIVED); // by its button
    }
}

TEST(slot_of_what_is_exchanged_between_two_looks)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, true);
    take_out(&p);
    put_in(&p);
    EXPECT(settle(&slot, &p) == SLOT_LOST);
    release(&slot, &p);
    take_out(&p);
    put_in(&p); // and again, while it is being switched off
    EXPECT(pass(&slot, &p, 2 * S) == SLOT_EMPTIED);
    EXPECT(pass(&slot, &p, 2 * S) == SLOT_ARRIVED);
    p.link = false;
    p.status |= LINK_CHANGED;
    p.link = true; // down and up: it has been reset
    EXPECT(settle(&slot, &p) == SLOT_LOST);
}

TEST(slot_of_what_does_not_come_up)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, false);
    p.status |= PRESENT | PRESENCE; // there is no link
    (void)settle(&slot, &p);
    EXPECT(slot.state == SLOT_LINKING);
    EXPECT(pass(&slot, &p, 10 * S) == SLOT_EMPTIED && is_off(&p));
    EXPECT((p.control & ATTENTION) == ATTENTION_ON && strstr(slot.why, "link") != nullptr);
    EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && is_off(&p)); // not tried again by itself
    take_out(&p);
    (void)settle(&slot, &p);
    put_in(&p);
    (void)settle(&slot, &p);
    EXPECT(pass(&slot, &p, 2 * S) == SLOT_ARRIVED && (p.control & ATTENTION) != ATTENTION_ON);

    // A link that comes and goes; and what is taken out before it was ready.
    for (unsigned out = 0; out < 2; out++) {
        p = new_port();
        slot = slot_of(&p, false);
        put_in(&p);
        (void)settle(&slot, &p);
        EXPECT(slot.state == SLOT_SETTLING);
        p.link = false;
        if (out)
            take_out(&p);
        EXPECT(pass(&slot, &p, 10 * S) == SLOT_EMPTIED && is_off(&p));
        EXPECT(((p.control & ATTENTION) == ATTENTION_ON) == !out); // nothing is wrong with it
    }
}

TEST(slot_of_what_does_not_answer)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, true);
    pcie_slot_fail(&slot, "nothing answers");
    EXPECT(slot.state == SLOT_LEAVING && !pcie_slot_is_dark(&slot));
    pcie_slot_fail(&slot, "nothing answers"); // once is enough
    release(&slot, &p);
    EXPECT(pass(&slot, &p, 2 * S) == SLOT_EMPTIED && (p.control & ATTENTION) == ATTENTION_ON);
    EXPECT(pcie_slot_is_dark(&slot));
}

TEST(slot_of_a_port_that_completes_nothing)
{
    struct port p = new_port();
    p.stuck = true;
    struct pcie_slot slot = slot_of(&p, false);
    put_in(&p);
    (void)settle(&slot, &p);
    EXPECT(pass(&slot, &p, 5 * S) == SLOT_ARRIVED);
    p.status |= BUTTON;
    (void)settle(&slot, &p);
    EXPECT(pass(&slot, &p, 10 * S) == SLOT_LEAVES);
    release(&slot, &p);
    EXPECT(pass(&slot, &p, 10 * S) == SLOT_EMPTIED);
    EXPECT(!pcie_slot_is_dark(&slot)); // it is there, and nobody said that its power is off
    EXPECT(!p.too_early && slot.commands_late >= 3 && p.commands < 16);
    EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING);
}

TEST(slot_without_a_power_controller)
{
    struct port p = new_port();
    struct pci_express bare = express;
    struct pcie_slot slot;
    bare.power_controller = bare.link_reports = false;
    bare.no_command_completed = true;
    p.status = PRESENT;
    pcie_slot_start(&slot, &p.config, &bare, true, false, p.now_ns);
    (void)settle(&slot, &p);
    EXPECT((p.control & 0x1020) == 0); // no interrupt, and nothing of a link
    p.status |= BUTTON;
    (void)settle(&slot, &p);
    EXPECT(pass(&slot, &p, 6 * S) == SLOT_LEAVES);
    release(&slot, &p);
    EXPECT(pass(&slot, &p, 2 * S) == SLOT_EMPTIED && (p.control & POWER_CUT) == 0);
    EXPECT(!pcie_slot_is_dark(&slot));
    take_out(&p);
    (void)settle(&slot, &p);
    EXPECT(pcie_slot_is_dark(&slot));
}

TEST(slot_of_a_port_that_is_gone)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, true);
    p.gone = true;
    EXPECT(settle(&slot, &p) == SLOT_LOST);
    release(&slot, &p);
    EXPECT(pass(&slot, &p, 10 * S) == SLOT_EMPTIED);
    EXPECT(pass(&slot, &p, 100 * S) == SLOT_NOTHING && slot.state == SLOT_OFF);
}

TEST(slot_of_a_port_that_chatters)
{
    struct port p = new_port();
    struct pcie_slot slot = slot_of(&p, true);
    p.chatters = true; // settle() sees that each step is short
    p.status |= BUTTON;
    for (unsigned i = 0; i < 100; i++) {
        (void)settle(&slot, &p);
        p.now_ns += 100 * MS;
    }
    EXPECT(slot.state == SLOT_ON || slot.state == SLOT_ASKED || slot.state == SLOT_LEAVING);
}

// ---- every order

static uint64_t state = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % below;
}

static void disturb(struct port *p, struct pcie_slot *slot)
{
    switch (draw(10)) {
    case 0:
        put_in(p);
        break;
    case 1:
        take_out(p);
        break;
    case 2:
        p->status |= BUTTON;
        break;
    case 3:
        p->link = !p->link;
        p->status |= LINK_CHANGED;
        break;
    case 4:
        p->status |= PRESENCE;
        break;
    case 5:
        p->stuck = !p->stuck && draw(4) == 0;
        break;
    case 6:
        pcie_slot_fail(slot, "nothing answers");
        break;
    case 7:
        if (draw(20) == 0)
            p->status |= FAULT;
        break;
    default:
        p->now_ns += draw(3 * S);
    }
}

// ARRIVED, then LEAVES or LOST, then EMPTIED; nothing arrives that is not there, and whatever was
// done, an empty slot ends off within a bound.
TEST(slot_in_every_order)
{
    static const char *const names[] = {"nothing", "arrived", "leaves", "lost", "emptied"};
    for (unsigned round = 0; round < 3000; round++) {
        struct port p = new_port();
        struct pcie_slot slot = slot_of(&p, draw(2));
        bool used = slot.state == SLOT_ON, leaving = false;
        for (unsigned i = 0; i < 60; i++) {
            disturb(&p, &slot);
            const bool failed = used && slot.state == SLOT_LEAVING;
            if (slot.state == SLOT_LEAVING && draw(3) == 0)
                pcie_slot_release(&slot);
            enum pcie_slot_event event = pcie_slot_step(&slot, p.now_ns);
            used &= !failed;
            leaving |= failed;
            EXPECT(!p.too_early);
            EXPECT_NOTE(event != SLOT_ARRIVED || (!used && !leaving && (p.status & PRESENT) &&
                                                  p.link && !(p.control & POWER_CUT)),
                        "round %u: %s", round, names[event]);
            EXPECT_NOTE((event != SLOT_LEAVES && event != SLOT_LOST) || used, "round %u: %s", round,
                        names[event]);
            EXPECT_NOTE(event != SLOT_EMPTIED || !used, "round %u: %s", round, names[event]);
            used = (used || event == SLOT_ARRIVED) && event != SLOT_LEAVES && event != SLOT_LOST;
            leaving =
                (leaving || event == SLOT_LEAVES || event == SLOT_LOST) && event != SLOT_EMPTIED;
        }
        take_out(&p);
        p.stuck = true;
        for (unsigned i = 0; i < 100 && (slot.state != SLOT_OFF || i < 2); i++) {
            (void)pcie_slot_step(&slot, p.now_ns);
            pcie_slot_release(&slot);
            p.now_ns += 100 * MS;
        }
        EXPECT_NOTE(slot.state == SLOT_OFF, "round %u: state %u", round, slot.state);
    }
}
