// SPDX-License-Identifier: MIT
//
// What CPUs cost each other. Each row is one region or more between marks, in which a plugin of
// the emulator counts on each CPU, so the rows stand here in the order of its regions:
//
//     row NAME REGIONS OPERATIONS    operations in one region
//
// The emulator runs one CPU at a time, until it rests or relaxes. So whoever is measured enters
// the kernel for nothing but what is measured, and who has to wait meanwhile relaxes in user mode.
#include <kit/kit.h>

#include "relax.h"

const char *const program_name = "bench";

constexpr uint32_t WARM_UP = 4, REPEATS = 8, TRIPS = 32, TURNS = 200;
constexpr uint64_t SPINNER_PRIORITY = 20, CLIENT_PRIORITY = 30, SERVER_PRIORITY = 31;
constexpr uint32_t PAIRS_MAX = 8;

enum mode : uint64_t { MODE_WAITER, MODE_SPINNER, MODE_SERVER, MODE_CLIENT };

// The page that root and clients share: what is counted there is no business of the kernel's.
struct meeting {
    uint32_t clients, ready, done;
};
constexpr uint64_t MEETING = 0x50'0000'0000;

[[gnu::noinline]] void mark_begin(void);
[[gnu::noinline]] void mark_end(void);

void mark_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

void mark_end(void)
{
    __asm__ volatile("nop" ::: "memory"); // not the same function as the other
}

static void turns(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        relax();
}

[[noreturn]] static void spin(void)
{
    for (;;)
        relax();
}

// ---- children: what they need follows in a message of its own, once they have their place

static void take_handles(handle_t *handles, uint32_t count)
{
    uint64_t message, token;
    must(channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &message, &token), "channel_receive");
    for (uint32_t i = 0; i < count; i++)
        handles[i].value = message_buffer()->handles[i];
}

[[noreturn]] static void wait_for_event(void)
{
    handle_t event;
    uint32_t signals;
    take_handles(&event, 1);
    for (;;) {
        must(object_wait(event, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
        mark_end();
        must(event_clear((event_t){event.value}, 1, &signals), "event_clear");
    }
}

[[noreturn]] static void serve(void)
{
    handle_t end;
    port_t port;
    uint64_t key, message = 0, token = 0;
    uint32_t signals;
    take_handles(&end, 1);
    must(port_create(start.account, &port), "port_create");
    must(port_bind(port, end, 0, SIGNAL_READABLE), "port_bind");
    must(port_receive(port, ABI_DEADLINE_NEVER, &key, &signals, &message, &token), "port_receive");
    for (;;)
        must(channel_reply_receive((channel_t){end.value}, token, MSG(0, 0), port,
                                   ABI_DEADLINE_NEVER, &key, &signals, &message, &token),
             "channel_reply_receive");
}

static void calls(channel_t server, uint32_t count)
{
    uint64_t reply;
    for (uint32_t i = 0; i < count; i++) {
        must(channel_call(server, MSG(0, 0), ABI_DEADLINE_NEVER, &reply), "channel_call");
        relax();
    }
}

[[noreturn]] static void be_client(void)
{
    handle_t got[3]; // the server, the meeting, the event that says that all are done
    take_handles(got, 3);
    must(vm_map(start.aspace, (vmo_t){got[1].value}, 0, MEETING, PAGE_SIZE, PROT_READ | PROT_WRITE),
         "vm_map");
    struct meeting *meeting = (struct meeting *)MEETING;
    calls((channel_t){got[0].value}, WARM_UP);
    __atomic_fetch_add(&meeting->ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&meeting->ready, __ATOMIC_SEQ_CST) < meeting->clients)
        relax();
    mark_begin();
    calls((channel_t){got[0].value}, TRIPS);
    mark_end();
    if (__atomic_add_fetch(&meeting->done, 1, __ATOMIC_SEQ_CST) == meeting->clients)
        must(event_signal((event_t){got[2].value}, 1), "event_signal");
    spin();
}

void child_main(void)
{
    switch ((enum mode)child_start.words[0]) {
    case MODE_WAITER:
        wait_for_event();
    case MODE_SPINNER:
        spin();
    case MODE_SERVER:
        serve();
    case MODE_CLIENT:
        be_client();
    }
}

static void start_child(struct child *child, account_t parent, enum mode mode, uint64_t priority,
                        uint32_t cpu)
{
    const struct child_spec spec = {.name = "other",
                                    .parent = parent,
                                    .pages = 320,
                                    .objects = 80,
                                    .priority = priority,
                                    .words = {mode}};
    must(child_create(child, &spec), "starting a child");
    must(thread_set_cpu(child->thread, cpu), "thread_set_cpu");
}

// Copies of these go to a child that waits for them.
static void hand_over(const struct child *child, const handle_t *handles, const uint32_t *rights,
                      uint32_t count)
{
    handle_t copies[3];
    for (uint32_t i = 0; i < count; i++)
        must(handle_duplicate(handles[i], rights[i] | RIGHT_TRANSFER, &copies[i]),
             "handle_duplicate");
    for (uint32_t i = 0; i < count; i++)
        message_buffer()->handles[i] = copies[i].value;
    must(channel_send(child->bootstrap, MSG(0, count), 0), "channel_send");
}

static void settle(void)
{
    must(thread_sleep(now_ns() + 5 * NS_PER_MS), "thread_sleep");
}

// ---- a wake on another CPU, which rests or runs something of less priority

static void wakes(const char *name, bool busy)
{
    struct child waiter, spinner;
    event_t event;
    must(event_create(start.account, &event), "event_create");
    start_child(&waiter, start.account, MODE_WAITER, SERVER_PRIORITY, 1);
    hand_over(&waiter, (const handle_t[]){{event.value}},
              (const uint32_t[]){RIGHT_WAIT | RIGHT_SIGNAL}, 1);
    if (busy)
        start_child(&spinner, start.account, MODE_SPINNER, SPINNER_PRIORITY, 1);
    settle();
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        if (i >= WARM_UP)
            mark_begin();
        must(event_signal(event, 1), "event_signal");
        turns(TURNS); // the other CPU ends the region meanwhile
    }
    say("row %s %u 1", name, REPEATS);
    child_end(&waiter);
    if (busy)
        child_end(&spinner);
    handle_close((handle_t){event.value});
}

// ---- calls of pairs that have nothing in common: two processes each, in an account of their own

static struct pair {
    account_t account;
    struct child server, client;
    channel_t ends[2];
} pairs[PAIRS_MAX];

static void start_pair(struct pair *pair, uint32_t server_cpu, uint32_t client_cpu)
{
    constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(1, 64, 0, 1);
    must(account_create(start.account, 800, 200, 0, 0, 0, &pair->account), "account_create");
    must(channel_create(pair->account, pair->account, SHAPE, OVERFLOW_REJECT, &pair->ends[0],
                        &pair->ends[1]),
         "channel_create");
    start_child(&pair->server, pair->account, MODE_SERVER, SERVER_PRIORITY, server_cpu);
    start_child(&pair->client, pair->account, MODE_CLIENT, CLIENT_PRIORITY, client_cpu);
    hand_over(&pair->server, (const handle_t[]){{pair->ends[0].value}},
              (const uint32_t[]){RIGHTS_CHANNEL}, 1);
}

static void end_pair(struct pair *pair)
{
    uint32_t signals;
    child_end(&pair->client);
    child_end(&pair->server);
    must(object_destroy((handle_t){pair->account.value}), "object_destroy");
    must(object_wait((handle_t){pair->account.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER,
                     &signals),
         "object_wait");
    handle_close((handle_t){pair->account.value});
    handle_close((handle_t){pair->ends[0].value});
    handle_close((handle_t){pair->ends[1].value});
}

static void pair_rows(uint32_t count, uint32_t cpus_each)
{
    vmo_t vmo;
    event_t done;
    uint32_t signals;
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(vm_map(start.aspace, vmo, 0, MEETING, PAGE_SIZE, PROT_READ | PROT_WRITE), "vm_map");
    must(event_create(start.account, &done), "event_create");
    ((struct meeting *)MEETING)->clients = count;
    for (uint32_t i = 0; i < count; i++)
        start_pair(&pairs[i], (i + 1) * cpus_each - 1, i * cpus_each);
    settle();
    // The last one is on this CPU, and runs only when this thread waits: so that is over before
    // any region begins.
    for (uint32_t i = count; i-- > 0;)
        hand_over(&pairs[i].client,
                  (const handle_t[]){{pairs[i].ends[1].value}, {vmo.value}, {done.value}},
                  (const uint32_t[]){RIGHTS_CHANNEL, RIGHTS_VMO, RIGHT_SIGNAL}, 3);
    must(object_wait((handle_t){done.value}, 1, ABI_DEADLINE_NEVER, &signals), "object_wait");
    say("row pairs-%u-on-%u 1 %u", count, count * cpus_each, count * TRIPS);
    for (uint32_t i = 0; i < count; i++)
        end_pair(&pairs[i]);
    must(vm_unmap(start.aspace, MEETING), "vm_unmap");
    handle_close((handle_t){vmo.value});
    handle_close((handle_t){done.value});
}

// ---- unmapping what other CPUs may hold in their TLBs

static void unmap_row(uint64_t pages, uint32_t cpus)
{
    vmo_t vmo;
    must(vmo_create(start.account, pages * PAGE_SIZE, 0, &vmo), "vmo_create");
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        must(vm_map(start.aspace, vmo, 0, MEETING, pages * PAGE_SIZE, PROT_READ | PROT_WRITE),
             "vm_map");
        turns(TURNS);
        if (i >= WARM_UP)
            mark_begin();
        must(vm_unmap(start.aspace, MEETING), "vm_unmap");
        if (i >= WARM_UP)
            mark_end();
    }
    say("row unmap-%lu-on-%u %u 1", pages, cpus, REPEATS);
    handle_close((handle_t){vmo.value});
}

static void run_spin(void *argument)
{
    (void)argument;
    spin();
}

static void shootdowns(uint32_t cpus)
{
    uint32_t active = 1;
    for (uint32_t i = 1; i <= cpus; i *= 2) {
        for (; active < i; active++) {
            thread_t thread;
            must(thread_spawn(run_spin, nullptr, SPINNER_PRIORITY, &thread), "thread_spawn");
            must(thread_set_cpu(thread, active), "thread_set_cpu");
        }
        settle();
        unmap_row(1, i);
        unmap_row(64, i);
    }
}

void root_main(void)
{
    uint64_t bytes;
    must(machine_info(start.machine, &bytes), "machine_info");
    const uint32_t cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    wakes("wake-resting", false);
    wakes("wake-busy", true);
    for (uint32_t i = 1; i <= cpus; i *= 2)
        pair_rows(i, 1);
    for (uint32_t i = 1; i * 2 <= cpus; i *= 2)
        pair_rows(i, 2);
    shootdowns(cpus);
}
