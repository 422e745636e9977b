// SPDX-License-Identifier: MIT
//
// See plug.h.

#include "plug.h"

#include <sdk/sdk.h>

#include "device.h"
#include "mint.h"
#include "pcie_slot.h"
#include "plan.h"

constexpr unsigned PLUGS = 16;
constexpr uint64_t LOOK_NS = 250 * NS_PER_MS; // at a port that raises nothing
constexpr uint64_t LEAVING_LOOK_NS = 2 * NS_PER_MS;

static struct plug {
    struct pcie_slot slot;
    struct device_config config; // of the port
    struct pci_device *port;
    interrupt_t interrupt; // .value 0: the port is looked at every LOOK_NS
    struct source source;
    bool told; // its message came
    uint64_t look_ns;
} plugs[PLUGS];

static uint32_t plug_count;
static struct tree *tree;
static bool (*follow_tree)(uint8_t leaves, uint8_t arrives, uint32_t *found);

static uint8_t bus_of(const struct plug *plug)
{
    return plug->port->function.secondary_bus;
}

static void mark_functions(const struct plug *plug)
{
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (tree->functions[i].node != HWTREE_NONE &&
            tree->functions[i].requester >> 8 == bus_of(plug))
            tree->functions[i].pluggable = true;
}

static bool has_functions(const struct plug *plug)
{
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (tree->functions[i].node != HWTREE_NONE &&
            tree->functions[i].requester >> 8 == bus_of(plug))
            return true;
    return false;
}

// ---- what slots say

static bool follow(uint8_t leaves, uint8_t arrives, uint32_t *found)
{
    if (follow_tree(leaves, arrives, found))
        return true;
    log_line("the hardware tree has no room for what changed");
    return false;
}

static void on_arrival(struct plug *plug)
{
    const uint8_t bus = bus_of(plug);
    uint32_t found;
    // What may be left there of before, because there was no room to follow, goes now.
    if (!follow(bus, bus, &found) || found == 0) {
        pcie_slot_fail(&plug->slot, "nothing answers");
        log_line("slot %u: what was plugged in is of no use: nothing answers",
                 plug->slot.express.slot);
        return;
    }
    mark_functions(plug);
    log_line("slot %u: plugged in, %u PCI functions on bus %u", plug->slot.express.slot, found,
             bus);
    devices_arrived(tree, bus);
}

static void on_leaving(struct plug *plug)
{
    log_line("slot %u: what is on bus %u leaves: %s", plug->slot.express.slot, bus_of(plug),
             plug->slot.why);
    devices_leave(bus_of(plug));
}

// A port that is off forwards nothing that comes from behind it. What had left the device before is
// in memory when the port has answered (PCI Express 5.0, 2.4.1: a read's answer pushes writes).
static void shut(struct plug *plug)
{
    pci_command_change(&plug->config.config, PCI_COMMAND_BUS_MASTER, 0);
    pci_command_change(&plug->config.config, 0, PCI_COMMAND_BUS_MASTER);
    plug->told = true; // a message that came between is lost
}

static void on_empty(struct plug *plug)
{
    const uint8_t bus = bus_of(plug);
    uint32_t found;
    shut(plug);
    if (!has_functions(plug)) {
        log_line("slot %u is switched off: %s", plug->slot.express.slot, plug->slot.why);
        return;
    }
    devices_gone(bus, pcie_slot_is_dark(&plug->slot));
    (void)follow(bus, 0, &found);
    log_line("slot %u is empty%s", plug->slot.express.slot,
             plug->slot.present ? ": what is in it has no power" : "");
}

static void go_on(struct plug *plug)
{
    const uint64_t now = now_ns();
    switch (pcie_slot_step(&plug->slot, now)) {
    case SLOT_NOTHING:
        break;
    case SLOT_ARRIVED:
        on_arrival(plug);
        break;
    case SLOT_LEAVES:
    case SLOT_LOST:
        on_leaving(plug);
        break;
    case SLOT_EMPTIED:
        on_empty(plug);
        break;
    }
    if (devices_are_lost(bus_of(plug)) && plug->slot.state == SLOT_ON) {
        pcie_slot_fail(&plug->slot, "it does not answer any more");
        on_leaving(plug);
    }
    if (plug->slot.state == SLOT_LEAVING && devices_are_out(bus_of(plug)))
        pcie_slot_release(&plug->slot);
}

// ---- the loop's side

static void on_interrupt(struct source *source, const struct loop_event *event)
{
    struct plug *plug = CONTAINER_OF(source, struct plug, source);
    uint64_t count;
    (void)event;
    (void)interrupt_acknowledge(plug->interrupt, &count);
    plug->told = true;
}

static uint64_t next_look(const struct plug *plug)
{
    uint64_t next = pcie_slot_deadline(&plug->slot);
    uint64_t look = now_ns();
    if (plug->slot.state == SLOT_LEAVING)
        look += LEAVING_LOOK_NS;
    else if (plug->interrupt.value == 0)
        look += LOOK_NS;
    else
        return next;
    return look < next ? look : next;
}

uint64_t plugs_poll(void)
{
    uint64_t next = ABI_DEADLINE_NEVER;
    for (uint32_t i = 0; i < plug_count; i++) {
        struct plug *plug = &plugs[i];
        const bool lost = devices_are_lost(bus_of(plug)) && plug->slot.state == SLOT_ON;
        if (plug->told || lost || now_ns() >= plug->look_ns) {
            enum pcie_slot_state before;
            do {
                plug->told = false;
                before = plug->slot.state;
                go_on(plug);
            } while (plug->slot.state != before || plug->told);
            plug->look_ns = next_look(plug);
        }
        next = plug->look_ns < next ? plug->look_ns : next;
    }
    return next;
}

uint32_t plugs_count(void)
{
    return plug_count;
}

// ---- the start

static status_t take_interrupt(struct plug *plug, struct loop *loop)
{
    const struct pci_device *port = plug->port;
    status_t status = mint_message(tree, port, port->function.express.vector, &plug->interrupt);
    if (status != STATUS_OK)
        return status;
    plug->source.handle = on_interrupt;
    status = loop_bind(loop, plug->interrupt.value, &plug->source, SIGNAL_INTERRUPT);
    if (status == STATUS_OK) {
        if (plan_has_table(port))
            pci_msix_switch(&plug->config.config, &port->function.msix, true);
        pci_command_change(&plug->config.config, 0, PCI_COMMAND_LINE_OFF);
        return STATUS_OK;
    }
    (void)object_destroy((handle_t){plug->interrupt.value});
    (void)handle_close((handle_t){plug->interrupt.value});
    plug->interrupt.value = 0;
    return status;
}

static void add_plug(struct pci_device *port, struct loop *loop)
{
    struct plug *plug = &plugs[plug_count];
    if (plug_count == PLUGS) {
        log_line("slot %u is not watched", port->function.express.slot);
        return;
    }
    *plug = (struct plug){.port = port, .config = device_config(port), .told = true};
    plug_count++;
    const status_t status = take_interrupt(plug, loop);
    if (status != STATUS_OK)
        log_line("slot %u tells nothing by itself, and is looked at every %llu ms: %s",
                 port->function.express.slot, (unsigned long long)(LOOK_NS / NS_PER_MS),
                 status_name(status));
    mark_functions(plug);
    pcie_slot_start(&plug->slot, &plug->config.config, &port->function.express, has_functions(plug),
                    status == STATUS_OK, now_ns());
}

void plugs_start(struct tree *whole, struct loop *loop,
                 bool (*follow_with)(uint8_t leaves, uint8_t arrives, uint32_t *found))
{
    tree = whole;
    follow_tree = follow_with;
    for (uint32_t i = 0; i < tree->function_count; i++) {
        struct pci_device *port = &tree->functions[i];
        // Only of ports on a root bus, whose numbers and windows are known.
        if (port->node != HWTREE_NONE && port->function.express.capability != 0 &&
            port->function.secondary_bus != 0 && port->room == nullptr &&
            device_config(port).config.write_half != nullptr)
            add_plug(port, loop);
    }
}
