// SPDX-License-Identifier: MIT
//
// Creates objects of each kind until the account that pays is full: the answer is an error, and
// when the account is gone, the one above it is as before.
#include "hostile.h"

constexpr uint64_t PAGES = 512, OBJECTS = 256; // of the account that is filled
constexpr uint64_t WINDOW = 0x50'0000'0000;
constexpr uint32_t HANDLES = 4096;

static account_t full;            // being filled
static port_t port;               // in it
static process_t process;         // in it
static aspace_t aspace;           // of that process
static dmaspace_t dmaspace;       // in it
static vmo_t vmo;                 // in it
static uint64_t handles[HANDLES]; // what to close afterwards
static uint32_t handle_count;
static uint64_t made;

static status_t keep(status_t status, uint64_t handle)
{
    if (status == STATUS_OK && handle_count < HANDLES)
        handles[handle_count++] = handle;
    return status;
}

static status_t make_account(void)
{
    account_t account;
    status_t status = account_create(full, 1, 1, 0, 0, 0, &account);
    return keep(status, account.value);
}

static status_t make_process(void)
{
    process_t new;
    aspace_t space;
    status_t status = process_create(full, (channel_t){0}, 0, 0, &new, &space);
    if (status == STATUS_OK)
        (void)keep(status, space.value);
    return keep(status, new.value);
}

static status_t make_thread(void)
{
    thread_t thread;
    status_t status = thread_create(process, 1, WINDOW + made * 2 * PAGE_SIZE, &thread);
    return keep(status, thread.value);
}

static status_t make_vmo(void)
{
    vmo_t new;
    status_t status = vmo_create(full, PAGE_SIZE, 0, &new);
    return keep(status, new.value);
}

static status_t make_big_vmo(void)
{
    vmo_t new;
    status_t status = vmo_create(full, 65 * PAGE_SIZE, 0, &new);
    return keep(status, new.value);
}

static status_t make_slice(void)
{
    vmo_t new;
    status_t status = vmo_slice(full, vmo, 0, PAGE_SIZE, RIGHT_READ, &new);
    return keep(status, new.value);
}

static status_t make_channel(void)
{
    channel_t end0, end1;
    status_t status =
        channel_create(full, full, ABI_CHANNEL_SHAPE(2, 64, 1, 1), OVERFLOW_REJECT, &end0, &end1);
    if (status == STATUS_OK)
        (void)keep(status, end1.value);
    return keep(status, end0.value);
}

static status_t make_port(void)
{
    port_t new;
    status_t status = port_create(full, &new);
    return keep(status, new.value);
}

static status_t make_event(void)
{
    event_t event;
    status_t status = event_create(full, &event);
    return keep(status, event.value);
}

static status_t make_timer(void)
{
    timer_t timer;
    status_t status = timer_create(full, &timer);
    if (status == STATUS_OK)
        must(timer_set(timer, now_ns() + made * 1000), "timer_set");
    return keep(status, timer.value);
}

// The port's account pays; the events are another's.
static status_t make_binding(void)
{
    event_t event;
    status_t status = event_create(start.account, &event);
    if (status != STATUS_OK)
        return status;
    (void)keep(status, event.value);
    return port_bind(port, (handle_t){event.value}, made, 1);
}

static status_t make_mapping(void)
{
    return vm_map(aspace, vmo, 0, WINDOW + (made << 21), PAGE_SIZE, PROT_READ);
}

static status_t make_interrupt(void)
{
    interrupt_t interrupt;
    status_t status = machine_interrupt(start.machine, full, spare_line, TRIGGER_EDGE, &interrupt);
    return keep(status, interrupt.value);
}

static status_t make_message_interrupt(void)
{
    interrupt_t interrupt;
    status_t status =
        machine_message_interrupt(start.machine, full, vector_table, made, 1, 0, &interrupt);
    return keep(status, interrupt.value);
}

static status_t make_io_range(void)
{
    iorange_t range;
    status_t status = machine_io_range(start.machine, full, spare_ports + made, 1, &range);
    return keep(status, range.value);
}

static status_t make_device_memory(void)
{
    vmo_t memory;
    status_t status = machine_device_memory(start.machine, full, spare_memory + made * PAGE_SIZE,
                                            PAGE_SIZE, MEMORY_DEVICE, &memory);
    return keep(status, memory.value);
}

static status_t make_dma_space(void)
{
    dmaspace_t space;
    status_t status = machine_dma_space(start.machine, full, 1, &space);
    return keep(status, space.value);
}

static status_t make_pin(void)
{
    pin_t pin;
    status_t status = pin_create(dmaspace, full, vmo, 0, PAGE_SIZE, DMA_BOTH, &pin);
    return keep(status, pin.value);
}

static status_t make_handle(void)
{
    handle_t copy;
    status_t status = handle_duplicate((handle_t){vmo.value}, RIGHT_INSPECT, &copy);
    return keep(status, copy.value);
}

static const struct kind {
    const char *name;
    status_t (*make)(void);
    uint64_t expected; // statuses, one bit each
} kinds[] = {
#define FULL(status) (1u << STATUS_##status)
    {"account", make_account, FULL(NO_OBJECTS)},
    {"process", make_process, FULL(NO_OBJECTS)},
    {"thread", make_thread, FULL(NO_PAGES) | FULL(NO_OBJECTS)},
    {"vmo", make_vmo, FULL(NO_OBJECTS)},
    {"big vmo", make_big_vmo, FULL(NO_PAGES)},
    {"slice", make_slice, FULL(NO_OBJECTS)},
    {"channel", make_channel, FULL(NO_PAGES) | FULL(NO_OBJECTS)},
    {"port", make_port, FULL(NO_OBJECTS)},
    {"event", make_event, FULL(NO_OBJECTS)},
    {"timer", make_timer, FULL(NO_OBJECTS)},
    {"binding", make_binding, FULL(NO_OBJECTS)},
    {"mapping", make_mapping, FULL(NO_PAGES) | FULL(NO_OBJECTS)},
    {"interrupt", make_interrupt, FULL(OVERLAP)},
    {"message interrupt", make_message_interrupt,
     FULL(NO_RESOURCE) | FULL(OVERLAP) | FULL(NO_OBJECTS)},
    {"io range", make_io_range, FULL(NO_OBJECTS) | FULL(NOT_SUPPORTED)},
    {"device memory", make_device_memory, FULL(NO_OBJECTS)},
    {"dma space", make_dma_space, FULL(NO_OBJECTS)},
    {"pin", make_pin, FULL(NO_PAGES) | FULL(NO_OBJECTS)},
    {"handle", make_handle, FULL(NO_HANDLES)},
};

static void own_figures(struct abi_inspect *out)
{
    inspect(start.account.value, out);
}

static void open_account(void)
{
    must(account_create(start.account, PAGES, OBJECTS, 0, 0, 0, &full), "account_create");
    must(port_create(full, &port), "port_create");
    must(process_create(full, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(vmo_create(full, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(machine_dma_space(start.machine, full, 1, &dmaspace), "machine_dma_space");
}

static void close_account(void)
{
    uint32_t signals;
    must(object_destroy((handle_t){full.value}), "object_destroy");
    must(object_wait((handle_t){full.value}, SIGNAL_TERMINATED, now_ns() + 10 * NS_PER_S, &signals),
         "the end of a full account");
    const uint64_t own[] = {full.value,   port.value, process.value,
                            aspace.value, vmo.value,  dmaspace.value};
    for (uint32_t i = 0; i < ARRAY_SIZE(own); i++)
        must(handle_close((handle_t){own[i]}), "handle_close");
    while (handle_count > 0)
        must(handle_close((handle_t){handles[--handle_count]}), "handle_close");
}

static void fill(const struct kind *kind)
{
    struct abi_inspect before, after;
    own_figures(&before);
    open_account();
    status_t status;
    for (made = 0; (status = kind->make()) == STATUS_OK; made++) {}
    if ((kind->expected >> status & 1) == 0)
        failed("fill: %s: %s after %lu", kind->name, status_name(status), made);
    close_account();
    uint64_t pages;
    do
        must(machine_device_quiet(start.machine, 1, &pages), "machine_device_quiet");
    while (pages != 0);
    (void)thread_sleep(now_ns() + NS_PER_MS); // events of another account end, pins let go
    own_figures(&after);
    // The own handle table may have grown.
    bool equal = after.account.objects_used == before.account.objects_used &&
                 after.account.objects_children == before.account.objects_children &&
                 after.account.pages_children == before.account.pages_children &&
                 after.account.pages_used - before.account.pages_used <= 16 &&
                 after.account.quarantined_pages == 0;
    if (!equal)
        failed("fill: %s: objects %lu, %lu below, pages %lu, %lu below, quarantined %lu; before "
               "%lu, %lu, %lu, %lu",
               kind->name, after.account.objects_used, after.account.objects_children,
               after.account.pages_used, after.account.pages_children,
               after.account.quarantined_pages, before.account.objects_used,
               before.account.objects_children, before.account.pages_used,
               before.account.pages_children);
    say("fill: %lu of kind %s, then %s", made, kind->name, status_name(status));
}

void fill_child(void)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++)
        fill(&kinds[i]);
    // Whoever fills the own account can go on living in it.
    event_t event;
    full = start.account;
    status_t status;
    for (made = 0; (status = make_event()) == STATUS_OK; made++) {}
    must(handle_close((handle_t){handles[--handle_count]}), "handle_close");
    (void)thread_sleep(now_ns() + NS_PER_MS);
    if (event_create(start.account, &event) != STATUS_OK)
        failed("fill: what was given back is not there");
    if (failures == 0)
        say("ok fill: %zu kinds until full, and the own account (%lu, then %s)", ARRAY_SIZE(kinds),
            made, status_name(status));
}
