// SPDX-License-Identifier: MIT
//
// The longest stretches of the kernel: each case brings something as far as the limits allow, and has
// it done. A plugin of the emulator measures (tests/bench/entries_plugin.c), to which each case is
// announced by mark_case.
//
//     case NAME
#include <kit/kit.h>

const char *const program_name = "longest";

constexpr unsigned WORKERS = 40; // more than may wait for one object
constexpr unsigned WAITERS = 32, MANY = 64;
constexpr uint64_t PRIORITY = 30, WORKER_PRIORITY = 31; // above: each runs until it waits
constexpr uint64_t RW = PROT_READ | PROT_WRITE;
constexpr uint64_t GIB = 1ull << 30, HIGH = 512 * GIB; // where every table but the root is another
constexpr uint64_t HANDLES = 2048;
constexpr uint64_t BLOCKS = 512; // pages of contiguous memory

[[gnu::noinline]] void mark_case(void);
void mark_case(void)
{
    __asm__ volatile("" ::: "memory");
}

static void begin_case(const char *name)
{
    say("case %s", name);
    mark_case();
}

// ---- workers, who wait

static struct worker {
    event_t go;
    thread_t thread;
} workers[WORKERS];
static void (*task)(unsigned number);

static void work(void *argument)
{
    struct worker *worker = argument;
    uint32_t signals;
    for (;;) {
        must(object_wait((handle_t){worker->go.value}, 1, ABI_DEADLINE_NEVER, &signals), "waiting");
        must(event_clear(worker->go, 1, &signals), "event_clear");
        task((unsigned)(worker - workers));
    }
}

static void start_workers(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        must(event_create(start.account, &workers[i].go), "event_create");
        must(thread_spawn(work, &workers[i], WORKER_PRIORITY, &workers[i].thread), "thread_spawn");
    }
}

// Each of them does it, as far as where it waits.
static void all_do(void (*what)(unsigned number), unsigned count)
{
    task = what;
    for (unsigned i = 0; i < count; i++)
        must(event_signal(workers[i].go, 1), "event_signal");
}

// ---- what several cases need

static event_t new_event(void)
{
    event_t event;
    must(event_create(start.account, &event), "event_create");
    return event;
}

static void destroy(uint64_t handle)
{
    uint32_t signals;
    must(object_destroy((handle_t){handle}), "object_destroy");
    (void)object_wait((handle_t){handle}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals);
    must(handle_close((handle_t){handle}), "handle_close");
}

static channel_t end0, end1;

static void new_channel(uint64_t shape, uint64_t overflow)
{
    must(channel_create(start.account, start.account, shape, overflow, &end0, &end1),
         "channel_create");
}

static void fill_handles(void)
{
    for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++)
        message_buffer()->handles[i] = new_event().value;
}

static account_t new_account(account_t parent, uint64_t pages, uint64_t objects)
{
    account_t account;
    must(account_create(parent, pages, objects, 0, 0, 0, &account), "account_create");
    return account;
}

// ---- messages

constexpr unsigned DEEPEST = 2048; // of messages without payload
constexpr uint64_t LARGEST = MSG(ABI_MESSAGE_BYTES, ABI_MESSAGE_HANDLES);

static void largest_channels(void)
{
    begin_case("channels of the largest shapes");
    static const uint64_t shapes[] = {ABI_CHANNEL_SHAPE(8, ABI_MESSAGE_BYTES, 8, 64),
                                      ABI_CHANNEL_SHAPE(DEEPEST, 0, 0, 64)};
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        new_channel(shapes[i], OVERFLOW_REJECT);
        destroy(end0.value);
        destroy(end1.value);
    }
}

static void largest_messages(void)
{
    begin_case("the largest messages, and their end in the queue");
    uint64_t message, token;
    new_channel(ABI_CHANNEL_SHAPE(8, ABI_MESSAGE_BYTES, 8, 0), OVERFLOW_REJECT);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 8; i++) {
            fill_handles();
            must(channel_send(end0, LARGEST, 0), "channel_send");
        }
        for (unsigned i = 0; i < 8 && round == 0; i++) {
            must(channel_receive(end1, 0, &message, &token), "channel_receive");
            for (unsigned h = 0; h < ABI_MESSAGE_HANDLES; h++)
                must(handle_close((handle_t){message_buffer()->handles[h]}), "handle_close");
        }
    }
    destroy(end1.value);
    destroy(end0.value);
}

static void send_largest(unsigned number)
{
    (void)number;
    fill_handles();
    (void)channel_send(end0, LARGEST, ABI_DEADLINE_NEVER);
}

static void senders(void)
{
    begin_case("as many senders as may wait for room");
    uint64_t message, token;
    for (unsigned round = 0; round < 2; round++) {
        new_channel(ABI_CHANNEL_SHAPE(1, ABI_MESSAGE_BYTES, 8, 0), OVERFLOW_BLOCK);
        all_do(send_largest, WAITERS + 1);
        for (unsigned i = 0; i < WAITERS / 2; i++)
            must(channel_receive(end1, 0, &message, &token), "channel_receive");
        destroy(round == 0 ? end0.value : end1.value);
        destroy(round == 0 ? end1.value : end0.value);
    }
}

static void call_largest(unsigned number)
{
    (void)number;
    uint64_t reply;
    fill_handles();
    (void)channel_call(end0, MSG_WITH_REPLY_HANDLES(LARGEST, 8), ABI_DEADLINE_NEVER, &reply);
}

static void calls(void)
{
    begin_case("as many calls as there are threads, answered, and left alone");
    uint64_t message, token;
    for (unsigned round = 0; round < 2; round++) {
        new_channel(ABI_CHANNEL_SHAPE(8, ABI_MESSAGE_BYTES, 8, 64), OVERFLOW_BLOCK);
        all_do(call_largest, WORKERS);
        for (unsigned i = 0; i < WORKERS / 4; i++) {
            must(channel_receive(end1, 0, &message, &token), "channel_receive");
            if (round == 0)
                must(channel_reply(end1, token, LARGEST), "channel_reply");
        }
        destroy(round == 0 ? end1.value : end0.value);
        destroy(round == 0 ? end0.value : end1.value);
    }
}

static void call_small(unsigned number)
{
    (void)number;
    uint64_t reply;
    (void)channel_call(end0, MSG(0, 0), ABI_DEADLINE_NEVER, &reply);
}

static void cancelled_deep_in_a_queue(void)
{
    begin_case("a call that is cancelled deep in a queue");
    new_channel(ABI_CHANNEL_SHAPE(DEEPEST, 0, 0, 64), OVERFLOW_REJECT);
    for (unsigned i = 2; i < DEEPEST; i++)
        must(channel_send(end0, MSG(0, 0), 0), "channel_send");
    all_do(call_small, 1);
    must(channel_send(end0, MSG(0, 0), 0), "channel_send");
    must(thread_cancel(workers[0].thread), "thread_cancel");
    destroy(end1.value);
    destroy(end0.value);
}

// ---- waiting

static event_t awaited;
static uint64_t deadline_ns;

static void wait_for_it(unsigned number)
{
    (void)number;
    uint32_t signals;
    (void)object_wait((handle_t){awaited.value}, 1, ABI_DEADLINE_NEVER, &signals);
}

static void sleep_until_then(unsigned number)
{
    (void)number;
    (void)thread_sleep(deadline_ns);
}

static void waiters(void)
{
    begin_case("as many waiters as an object may have");
    awaited = new_event();
    all_do(wait_for_it, WORKERS);
    must(event_signal(awaited, 1), "event_signal");
    uint32_t signals;
    must(event_clear(awaited, 1, &signals), "event_clear");
    all_do(wait_for_it, WORKERS);
    destroy(awaited.value);
    begin_case("all threads wake at one time");
    deadline_ns = now_ns() + 10 * NS_PER_MS;
    all_do(sleep_until_then, WORKERS);
    must(thread_sleep(deadline_ns + 10 * NS_PER_MS), "thread_sleep");
}

static void ports(void)
{
    begin_case("a port with many bindings that have nothing to tell");
    port_t port;
    must(port_create(start.account, &port), "port_create");
    event_t events[MANY];
    uint64_t key, message, token;
    uint32_t signals;
    for (unsigned i = 0; i < MANY; i++) {
        events[i] = new_event();
        must(port_bind(port, (handle_t){events[i].value}, i, 1), "port_bind");
        must(event_signal(events[i], 1), "event_signal");
        must(event_clear(events[i], 1, &signals), "event_clear");
    }
    (void)port_receive(port, 0, &key, &signals, &message, &token);
    for (unsigned i = 0; i < MANY / 2; i++)
        destroy(events[i].value);
    (void)port_receive(port, 0, &key, &signals, &message, &token);
    destroy(port.value);
    for (unsigned i = MANY / 2; i < MANY; i++)
        destroy(events[i].value);
    begin_case("many timers at one time, told to a port");
    must(port_create(start.account, &port), "port_create");
    timer_t timers[MANY];
    deadline_ns = now_ns() + 10 * NS_PER_MS;
    for (unsigned i = 0; i < MANY; i++) {
        must(timer_create(start.account, &timers[i]), "timer_create");
        must(port_bind(port, (handle_t){timers[i].value}, i, SIGNAL_FIRED), "port_bind");
        must(timer_set(timers[i], deadline_ns), "timer_set");
    }
    must(thread_sleep(deadline_ns + 10 * NS_PER_MS), "thread_sleep");
    for (unsigned i = 0; i < MANY; i++)
        must(port_receive(port, 0, &key, &signals, &message, &token), "port_receive");
    destroy(port.value);
    for (unsigned i = 0; i < MANY; i++)
        destroy(timers[i].value);
}

// ---- memory

static void memory(void)
{
    begin_case("a large VMO, mapped across the end of all tables");
    vmo_t vmo;
    must(vmo_create(start.account, 3000 * PAGE_SIZE, 0, &vmo), "vmo_create");
    for (unsigned i = 1; i <= 3; i++) {
        uint64_t at = i * HIGH - 33 * PAGE_SIZE;
        must(vm_map(start.aspace, vmo, 0, at, 1024 * PAGE_SIZE, RW), "vm_map");
        must(vm_protect(start.aspace, at, PROT_READ), "vm_protect");
    }
    destroy(vmo.value);
    begin_case("a large VMO of many mappings");
    must(vmo_create(start.account, 1100 * PAGE_SIZE, 0, &vmo), "vmo_create");
    for (unsigned i = 0; i < 200; i++)
        must(vm_map(start.aspace, vmo, i * PAGE_SIZE, 4 * HIGH + i * GIB, 64 * PAGE_SIZE, RW),
             "vm_map");
    for (unsigned i = 0; i < 200; i += 2)
        must(vm_unmap(start.aspace, 4 * HIGH + i * GIB), "vm_unmap");
    destroy(vmo.value);
}

// Side by side, and each within the one before; each with mappings of its own.
static void slices(void)
{
    constexpr unsigned SLICES = 200;
    static vmo_t cut[SLICES];
    for (unsigned deep = 0; deep < 2; deep++) {
        begin_case(deep ? "slices of slices" : "a VMO of many slices");
        uint64_t at = (8 + 8 * deep) * HIGH; // what was there before may still be going
        vmo_t vmo;
        must(vmo_create(start.account, 64 * PAGE_SIZE, 0, &vmo), "vmo_create");
        for (unsigned i = 0; i < SLICES; i++) {
            must(vmo_slice(start.account, deep && i > 0 ? cut[i - 1] : vmo, 0, 64 * PAGE_SIZE,
                           RIGHTS_VMO, &cut[i]),
                 "vmo_slice");
            must(vm_map(start.aspace, cut[i], 0, at + i * GIB, 64 * PAGE_SIZE, RW), "vm_map");
        }
        destroy(vmo.value);
        for (unsigned i = 0; i < SLICES; i++)
            must(handle_close((handle_t){cut[i].value}), "handle_close");
    }
    begin_case("a slice that hands its mappings up");
    vmo_t vmo;
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(vmo_slice(start.account, vmo, 0, PAGE_SIZE, RIGHTS_VMO, &cut[0]), "vmo_slice");
    must(vmo_slice(start.account, cut[0], 0, PAGE_SIZE, RIGHTS_VMO, &cut[1]), "vmo_slice");
    for (unsigned i = 0; i < SLICES; i++)
        must(vm_map(start.aspace, cut[1], 0, 24 * HIGH + i * PAGE_SIZE, PAGE_SIZE, RW), "vm_map");
    for (unsigned i = 2; i-- > 0;)
        must(handle_close((handle_t){cut[i].value}), "handle_close");
    destroy(vmo.value);
}

// Once pins that were destroyed have come into quarantine.
static void quiet(uint64_t device)
{
    must(thread_sleep(now_ns() + 20 * NS_PER_MS), "thread_sleep");
    uint64_t count;
    do
        must(machine_device_quiet(start.machine, device, &count), "machine_device_quiet");
    while (count > 0);
}

static void pins(void)
{
    begin_case("the largest pins");
    dmaspace_t space;
    vmo_t vmo;
    pin_t pin;
    must(machine_dma_space(start.machine, start.account, 1, &space), "machine_dma_space");
    must(vmo_create(start.account, ABI_PIN_MAX_PAGES * PAGE_SIZE, 0, &vmo), "vmo_create");
    must(pin_create(space, start.account, vmo, 0, ABI_PIN_MAX_PAGES * PAGE_SIZE, DMA_BOTH, &pin),
         "pin_create");
    uint64_t count;
    must(pin_addresses(pin, 0, &count), "pin_addresses");
    must(pin_sync(pin, 1, ABI_PIN_SYNC_BYTES, SYNC_CPU), "pin_sync");
    must(pin_sync(pin, 1, ABI_PIN_SYNC_BYTES, SYNC_DEVICE), "pin_sync");
    must(handle_close((handle_t){vmo.value}), "handle_close");
    destroy(pin.value); // not released: quarantine
    quiet(1);
    destroy(space.value);
}

// Pins of one page of memory, which end without being released.
static void quarantined(uint64_t device, vmo_t vmo, unsigned count)
{
    dmaspace_t space;
    must(machine_dma_space(start.machine, start.account, device, &space), "machine_dma_space");
    for (unsigned i = 0; i < count; i++) {
        pin_t pin;
        must(pin_create(space, start.account, vmo, 0, PAGE_SIZE, DMA_BOTH, &pin), "pin_create");
        must(object_destroy((handle_t){pin.value}), "object_destroy");
        must(handle_close((handle_t){pin.value}), "handle_close");
    }
    destroy(space.value);
}

static void quarantine(void)
{
    begin_case("pins in quarantine, most of them of another device");
    vmo_t vmo;
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    quarantined(1, vmo, 800);
    quarantined(2, vmo, MANY);
    quiet(2);
    quiet(1);
    destroy(vmo.value);
}

// ---- processes and accounts

// Pages one by one, so that no two free ones are side by side; then all come together again.
static void contiguous_memory(void)
{
    begin_case("contiguous memory, broken up as far as it can be");
    account_t top, inner, spread;
    must(account_create(start.account, 2000, 1500, BLOCKS, 0, 0, &top), "account_create");
    // All digits at once, and back.
    for (unsigned round = 0; round < 2; round++) {
        must(account_create(top, 1, 1, BLOCKS - 1, 0, 0, &inner), "account_create");
        if (round == 0)
            must(account_resize(top, inner, 0, 0, -(int64_t)(BLOCKS - 1)), "account_resize");
        destroy(inner.value);
    }
    must(account_create(top, 1, 1, 0, 0, 0, &inner), "account_create");
    must(account_create(top, 1, 1, 0, 0, 0, &spread), "account_create");
    for (unsigned i = 0; i < BLOCKS / 2; i++) {
        must(account_resize(top, inner, 0, 0, 1), "account_resize");
        must(account_resize(top, spread, 0, 0, 1), "account_resize");
    }
    destroy(inner.value);
    // As many digits as there are, of which the last is not to be had.
    vmo_t vmo;
    status_t status = account_create(top, 1, 1, BLOCKS / 2 - 1, 0, 0, &inner);
    if (status != STATUS_NO_RESOURCE)
        failed("pages that do not lie side by side: %s", abi_status_names[status]);
    status = vmo_create(top, 2 * PAGE_SIZE, VMO_CONTIGUOUS, &vmo);
    if (status != STATUS_NO_RESOURCE)
        failed("two pages that do not lie side by side: %s", abi_status_names[status]);
    destroy(spread.value);
    static vmo_t pages[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        must(vmo_create(top, PAGE_SIZE, VMO_CONTIGUOUS, &pages[i]), "vmo_create");
    for (unsigned i = 0; i < BLOCKS; i++)
        must(handle_close((handle_t){pages[i].value}), "handle_close");
    while ((status = vmo_create(top, BLOCKS * PAGE_SIZE, VMO_CONTIGUOUS, &vmo)) == STATUS_NO_PAGES)
        must(thread_yield(), "thread_yield");
    must(status, "vmo_create");
    must(handle_close((handle_t){vmo.value}), "handle_close");
    destroy(top.value);
}

static void processes(void)
{
    begin_case("a process of many threads, in an account of many children");
    account_t top = new_account(start.account, 3200, 1800), below = top;
    uint64_t bytes;
    must(account_budget(start.account, top, 0, 500'000'000, ABI_BUDGET_PERIOD_MAX_NS),
         "account_budget");
    for (unsigned i = 1; i < ABI_ACCOUNT_DEPTH; i++)
        below = new_account(below, 2900 - i * 10, 1400 - i * 5);
    process_t process;
    aspace_t aspace;
    must(process_create(below, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    static thread_t threads[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        must(thread_create(process, 5, HIGH + i * PAGE_SIZE, &threads[i]), "thread_create");
        must(thread_set_priority(threads[i], 6), "thread_set_priority");
        must(handle_close((handle_t){threads[i].value}), "handle_close");
    }
    for (unsigned i = 0; i < MANY; i++) {
        account_t beside = new_account(top, 1, 2);
        must(account_resize(top, beside, 0, 1, 0), "account_resize");
        // A page of the account's only one.
        must(account_budget(top, beside, 0, ABI_BUDGET_MIN_NS, ABI_BUDGET_PERIOD_MAX_NS),
             "account_budget");
        must(account_cpu(beside, 0, &bytes), "account_cpu");
        event_t event;
        must(event_create(beside, &event), "event_create");
        must(handle_close((handle_t){beside.value}), "handle_close");
    }
    destroy(top.value);
}

static void handles(void)
{
    begin_case("as many handles as a process may have");
    static handle_t copies[HANDLES];
    event_t event = new_event();
    unsigned count = 0;
    while (count < HANDLES &&
           handle_duplicate((handle_t){event.value}, RIGHT_WAIT, &copies[count]) == STATUS_OK)
        count++;
    must(object_destroy((handle_t){event.value}), "object_destroy");
    while (count > 0)
        must(handle_close(copies[--count]), "handle_close");
    must(handle_close((handle_t){event.value}), "handle_close");
}

// ---- what is told

static void told(void)
{
    begin_case("all that is told");
    uint64_t bytes, next;
    must(machine_info(start.machine, &bytes), "machine_info");
    must(machine_cpu(start.machine, 0, &bytes), "machine_cpu");
    const uint64_t objects[] = {start.account.value, start.process.value, start.aspace.value,
                                workers[0].thread.value, workers[0].go.value};
    for (unsigned i = 0; i < sizeof objects / sizeof objects[0]; i++)
        must(object_inspect((handle_t){objects[i]}, &bytes), "object_inspect");
    for (unsigned i = 0; i < 40; i++)
        say("%*s", 200, "a line of the log");
    for (uint64_t cursor = 0, got = 1; got > 0; cursor = next)
        must(log_read(start.log, cursor, &got, &next), "log_read");
}

void child_main(void)
{
}

static event_t done;

static void cases(void *argument)
{
    (void)argument;
    told();
    largest_channels();
    largest_messages();
    senders();
    calls();
    cancelled_deep_in_a_queue();
    waiters();
    ports();
    memory();
    slices();
    pins();
    contiguous_memory();
    quarantine();
    processes();
    handles();
    say("ok all cases");
    must(event_signal(done, 1), "event_signal");
}

void root_main(void)
{
    uint32_t signals;
    thread_t thread;
    done = new_event();
    start_workers();
    must(thread_spawn(cases, nullptr, PRIORITY, &thread), "thread_spawn");
    must(object_wait((handle_t){done.value}, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
}
