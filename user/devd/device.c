// SPDX-License-Identifier: MIT
//
// See device.h.

#include "device.h"

#include <lib/string.h>
#include <lib/types.h>
#include <proto/init.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/virtio.h>

#include "match.h"
#include "mint.h"
#include "slots.h"

constexpr uint64_t STEP_NS = 5 * NS_PER_S;
constexpr uint64_t POLL_NS = NS_PER_MS;
constexpr uint64_t PLAIN_ID = 1ull << 32; // ids of devices that are no PCI function: above those

static struct driven devices[DEVICES_MAX];
static uint32_t device_count;

static void device_failed(struct driven *d, const char *what, status_t status)
{
    d->state = DEVICE_FAILED;
    if (status == STATUS_OK)
        log_line("%s cannot be used: %s", d->name, what);
    else
        log_line("%s cannot be used: %s: %s", d->name, what, status_name(status));
}

// ---- the way in: what a driver gets

static void take_fault(struct driven *d, char fault[static DRIVER_FAULT_BYTES])
{
    fault[0] = '\0';
    if (d->report == nullptr)
        return;
    // Untrusted text: copied once, ended, and only passed on.
    for (unsigned i = 0; i < DRIVER_FAULT_BYTES; i++)
        fault[i] = ((volatile char *)d->report->next_fault)[i];
    fault[DRIVER_FAULT_BYTES - 1] = '\0';
    for (char *c = fault; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            *c = '?';
    memset(d->report, 0, sizeof(*d->report));
}

static void config_set(const struct driven *d, uint32_t clear, uint32_t set)
{
    if (d->pci == nullptr)
        return;
    struct device_config config = device_config(d->pci);
    pci_command_change(&config.config, clear, set);
}

static void switch_on(const struct driven *d)
{
    if (d->pci == nullptr)
        return;
    struct device_config config = device_config(d->pci);
    const struct pci_msix *msix = &d->pci->function.msix;
    if (msix->capability != 0)
        pci_msix_switch(&config.config, msix, d->message && plan_has_table(d->pci));
    config_set(d, d->message ? 0 : PCI_COMMAND_LINE_OFF,
               PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER |
                   (d->message ? PCI_COMMAND_LINE_OFF : 0));
}

// OVERLAP: to be tried again.
static status_t start_driver(struct driven *d)
{
    const char *what = nullptr;
    char fault[DRIVER_FAULT_BYTES];
    status_t status = mint_all(d, &what);
    if (status == STATUS_OVERLAP && now_ns() < d->deadline_ns)
        return status;
    if (status != STATUS_OK) {
        device_failed(d, what, status);
        return status;
    }
    take_fault(d, fault);
    switch_on(d);
    status = mint_hand_over(d, fault);
    if (status == STATUS_OK) {
        d->state = DEVICE_DRIVEN;
        d->fresh = false;
        return STATUS_OK;
    }
    config_set(d, PCI_COMMAND_BUS_MASTER, 0);
    mint_destroy(d);
    if (status == STATUS_BAD_STATE)
        device_failed(d, "its driver is held", STATUS_OK);
    else
        device_failed(d, "its driver does not start", status);
    return status;
}

// ---- the way back: reset, and the word that it is quiet

static void close_common(struct driven *d)
{
    if (d->common_mapped != nullptr)
        (void)memory_unmap(d->common_mapped);
    if (d->common_vmo.value != 0) {
        (void)object_destroy((handle_t){d->common_vmo.value});
        (void)handle_close((handle_t){d->common_vmo.value});
    }
    d->common_mapped = nullptr;
    d->common_vmo.value = 0;
}

static enum virtio_transport_kind kind_of(const struct driven *d)
{
    if (d->pci != nullptr && pci_is_virtio(d->pci))
        return VIRTIO_PCI;
    return d->slot != 0 ? VIRTIO_MMIO : VIRTIO_NONE;
}

// Where the registers are that hold the status; 0: nowhere.
static uint64_t status_address(const struct driven *d, uint64_t *bytes)
{
    *bytes = VIRTIO_MMIO_BYTES;
    if (d->slot != 0)
        return d->slot;
    const struct pci_virtio_region *region = &d->pci->function.virtio[PCI_VIRTIO_COMMON];
    const uint64_t base = d->pci->bar_address[region->bar];
    *bytes = region->bytes;
    return base == 0 || region->bytes < VIRTIO_COMMON_BYTES ? 0 : base + region->offset;
}

// Maps the page of the virtio status register for ourselves and asks for the reset.
static status_t ask_for_reset(struct driven *d)
{
    uint64_t bytes, address = status_address(d, &bytes);
    uint64_t first = align_down(address, PAGE_SIZE);
    bytes = align_up(address + bytes, PAGE_SIZE) - first;
    if (address == 0)
        return STATUS_NOT_FOUND;
    status_t status = machine_device_memory(start.machine, start.account, first, bytes,
                                            MEMORY_DEVICE, &d->common_vmo);
    if (status == STATUS_OK)
        status = memory_map_vmo(d->common_vmo, 0, bytes, PROT_READ | PROT_WRITE, &d->common_mapped);
    if (status != STATUS_OK) {
        close_common(d);
        return status;
    }
    d->common = (volatile uint8_t *)d->common_mapped + (address - first);
    virtio_ask_reset(kind_of(d), d->common);
    return STATUS_OK;
}

// Lets go of what the driver that ended had pinned. The kernel does it in batches.
static uint64_t let_go(const struct driven *d)
{
    uint64_t pages, all = 0;
    do {
        if (machine_device_quiet(start.machine, d->id, &pages) != STATUS_OK)
            break;
        all += pages;
    } while (pages != 0);
    return all;
}

static void next_step(struct driven *d, unsigned step)
{
    d->step = step;
    d->deadline_ns = now_ns() + STEP_NS;
}

static void reset_answered(struct driven *d)
{
    close_common(d);
    uint64_t pages = let_go(d);
    if (d->epoch > 0 && d->report != nullptr && (!d->fresh || pages > 0))
        log_line("%s: cleared away, %llu requests were in flight, %llu pages let go", d->service,
                 (unsigned long long)__atomic_load_n(&d->report->in_flight, __ATOMIC_RELAXED),
                 (unsigned long long)pages);
    next_step(d, RESET_GIVE);
}

// A function whose configuration space is all ones is not there, or dead.
static bool is_lost(const struct driven *d)
{
    return d->pci != nullptr && !tree_answers(d->pci);
}

// What does not answer may still be there and write: only its slot can switch it off.
static void lose(struct driven *d)
{
    close_common(d);
    if (d->pci->pluggable)
        d->step = RESET_LOST;
    else
        device_failed(d, "it is gone; its pages stay in quarantine", STATUS_OK);
}

static void begin_reset(struct driven *d)
{
    d->state = DEVICE_RESETTING;
    mint_destroy(d);
    if (is_lost(d)) {
        lose(d);
        return;
    }
    config_set(d, PCI_COMMAND_BUS_MASTER, PCI_COMMAND_MEMORY);
    // Where there is no reset that we know, bus mastering off is what there is.
    if (kind_of(d) != VIRTIO_NONE)
        next_step(d, RESET_ASK);
    else
        reset_answered(d);
}

// Goes on as far as it can. True: it has to be looked at again.
static bool reset_on(struct driven *d)
{
    status_t status;
    bool late = now_ns() >= d->deadline_ns;
    if (d->step != RESET_LOST && is_lost(d)) {
        lose(d);
        return false;
    }
    switch (d->step) {
    case RESET_LOST:
        return false;
    case RESET_ASK:
        status = ask_for_reset(d);
        if (status == STATUS_OVERLAP && !late)
            return true;
        if (status != STATUS_OK) {
            device_failed(d, "it cannot be reset", status);
            return false;
        }
        next_step(d, RESET_ANSWER);
        return reset_on(d);
    case RESET_ANSWER:
        if (virtio_is_reset(kind_of(d), d->common)) {
            reset_answered(d);
            return reset_on(d);
        }
        if (!late)
            return true;
        close_common(d);
        device_failed(d, "it does not answer its reset; its pages stay in quarantine", STATUS_OK);
        return false;
    case RESET_GIVE:
        if (d->leaves) {
            d->state = DEVICE_GONE;
            return false;
        }
        return start_driver(d) == STATUS_OVERLAP && d->state == DEVICE_RESETTING;
    }
    return false;
}

uint64_t devices_poll(void)
{
    uint64_t next = ABI_DEADLINE_NEVER;
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].state == DEVICE_RESETTING && reset_on(&devices[i]))
            next = now_ns() + POLL_NS;
    return next;
}

void device_driver_ended(uint64_t id)
{
    for (uint32_t i = 0; i < device_count; i++) {
        enum device_state state = devices[i].state;
        if (devices[i].id == id &&
            (state == DEVICE_DRIVEN || state == DEVICE_LEAVING || state == DEVICE_FAILED))
            begin_reset(&devices[i]);
    }
}

// ---- matching

// A page of registers goes to one driver. Where devices share one, the first has it; of PCI
// functions the plan sees to it.
static const struct driven *page_owner(const struct hwtree *hardware, const struct driven *d)
{
    for (uint32_t i = 0; i < device_count && d->pci == nullptr; i++)
        if (devices[i].pci == nullptr && devices[i].node != HWTREE_NONE &&
            match_shares_page(hardware, devices[i].node, d->node))
            return &devices[i];
    return nullptr;
}

// The machine's console has the console driver; other UARTs are for other things, such as a radio.
static const struct driven *console_with_driver(const struct hwtree *hardware, const char *driver)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].node != HWTREE_NONE && devices[i].node == hardware->console &&
            strcmp(devices[i].driver, driver) == 0)
            return &devices[i];
    return nullptr;
}

// What had the same place, and went.
static struct driven *gone_before(const struct driven *d)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].id == d->id && devices[i].node == HWTREE_NONE)
            return &devices[i];
    return nullptr;
}

// Puts what is there now in the place of what went. What that one left in quarantine ends with the
// reset of this one: it is the same slot, and it was off.
static void come_back(struct driven *before, const struct driven *now,
                      const struct hwtree *hardware, bool has_driver)
{
    before->node = now->node;
    before->pci = now->pci;
    before->leaves = false;
    before->fresh = true;
    (void)text_copy(before->driver, sizeof(before->driver), now->driver);
    (void)text_copy(before->compatible, sizeof(before->compatible),
                    has_driver ? now->compatible : hwtree_compatible_at(hardware, now->node, 0));
    if (has_driver)
        begin_reset(before);
    else
        before->state = DEVICE_UNCLAIMED;
}

static void add_device(struct tree *tree, uint32_t node)
{
    struct pci_device *pci = tree_function(tree, node);
    struct driven found = {.node = node,
                           .pci = pci,
                           .slot = slots_registers(tree->hardware, node),
                           .id = pci != nullptr ? pci->requester : PLAIN_ID + node};
    void *page;
    (void)text_copy(found.name, sizeof(found.name), hwtree_name(tree->hardware, node));
    bool has_driver = match_driver(&found, tree->hardware);
    struct driven *before = gone_before(&found);
    if (before != nullptr) {
        come_back(before, &found, tree->hardware, has_driver);
        return;
    }
    if (!has_driver)
        return;
    const struct driven *console = console_with_driver(tree->hardware, found.driver);
    if (console != nullptr) {
        log_line("%s is left alone: the console is %s", found.name, console->name);
        return;
    }
    const struct driven *owner = page_owner(tree->hardware, &found);
    if (owner != nullptr) {
        log_line("%s is left alone: its registers share a page with those of %s", found.name,
                 owner->name);
        return;
    }
    if (device_count == DEVICES_MAX) {
        log_line("%s is left alone: more than %u devices have drivers", found.name, DEVICES_MAX);
        return;
    }
    if (memory_create(PAGE_SIZE, 0, &found.report_vmo, &page) == STATUS_OK)
        found.report = page;
    devices[device_count] = found;
    begin_reset(&devices[device_count++]);
}

void devices_start(struct tree *tree)
{
    const uint32_t count = hwtree_count(tree->hardware, HWTREE_NODES);
    const uint32_t console = tree->hardware->console;
    mint_begin(tree);
    if (console < count && match_is_device(tree->hardware, console))
        add_device(tree, console);
    for (uint32_t i = 0; i < count; i++)
        if (i != console && match_is_device(tree->hardware, i))
            add_device(tree, i);
}

// ---- devices in slots

static bool in_slot(const struct driven *d, uint8_t bus)
{
    return d->pci != nullptr && d->pci->requester >> 8 == bus;
}

static void leave(struct driven *d)
{
    const struct init_driver_remove_request request = {.device = d->id};
    struct init_driver_remove_reply reply = {};
    d->leaves = true;
    if (d->state == DEVICE_UNCLAIMED) {
        d->state = DEVICE_GONE;
        return;
    }
    // What init is told first is what clients hear: that it does not come back by itself.
    status_t status = init_driver_remove(start.bootstrap, &request, &reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_OK && reply.ends != 0)
        d->state = DEVICE_LEAVING;
    else if (d->state != DEVICE_RESETTING)
        begin_reset(d);
}

void devices_leave(uint8_t bus)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (in_slot(&devices[i], bus) && !devices[i].leaves)
            leave(&devices[i]);
}

static bool lost_now(const struct driven *d)
{
    return d->state == DEVICE_RESETTING && d->step == RESET_LOST;
}

bool devices_are_out(uint8_t bus)
{
    for (uint32_t i = 0; i < device_count; i++) {
        const struct driven *d = &devices[i];
        if (in_slot(d, bus) && d->state != DEVICE_GONE && d->state != DEVICE_FAILED && !lost_now(d))
            return false;
    }
    return true;
}

bool devices_are_lost(uint8_t bus)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (in_slot(&devices[i], bus) && lost_now(&devices[i]))
            return true;
    return false;
}

void devices_gone(uint8_t bus, bool dark)
{
    for (uint32_t i = 0; i < device_count; i++) {
        struct driven *d = &devices[i];
        if (!in_slot(d, bus))
            continue;
        d->node = HWTREE_NONE;
        d->pci = nullptr;
        if (d->state != DEVICE_GONE && dark)
            reset_answered(d); // it never will, and need not
        if (d->state == DEVICE_GONE || dark)
            d->state = DEVICE_GONE;
        else
            device_failed(d, "its slot cannot be switched off; its pages stay in quarantine",
                          STATUS_OK);
    }
}

void devices_renumber(const uint32_t *numbers)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].node != HWTREE_NONE)
            devices[i].node = numbers[devices[i].node];
}

void devices_arrived(struct tree *tree, uint8_t bus)
{
    for (uint32_t i = 0; i < tree->function_count; i++)
        if (tree->functions[i].node != HWTREE_NONE && tree->functions[i].requester >> 8 == bus)
            add_device(tree, tree->functions[i].node);
}

uint32_t devices_count(void)
{
    return device_count;
}

const struct driven *device_at(uint32_t index)
{
    return index < device_count ? &devices[index] : nullptr;
}
