// SPDX-License-Identifier: MIT
//
// The attacks. They say relax between their calls: the emulator lets the next CPU go on there, and one that has not come
// to run still spends its time. Each is a function that every thread of the tenant calls for ever, on all CPUs at once; it has
// a few objects of its own for each thread. What fails, since another thread has used it up, is tried again.
#include "tenant.h"

constexpr uint64_t WINDOW = 0x50'0000'0000, WINDOW_BYTES = 0x1'0000'0000;
constexpr uint32_t MANY = 48;
constexpr uint64_t PINNED_PAGES = 64; // MANY times, they are more than the tenant may have

static uint64_t cpus;
static channel_t desk;
static process_t crowd; // of threads that only fault
static channel_t crowd_faults;
static event_t shared;
static dmaspace_t space; // of a device that is not there

struct attacker {
    uint64_t number, turn;
    event_t event, events[MANY];
    timer_t timers[MANY];
    port_t port;
    channel_t end0, end1;
    vmo_t vmo;
    thread_t self, target;
    uint64_t handles[MANY];
    bool ready;
};
static struct attacker attackers[64];

static uint64_t place_of(const struct attacker *a)
{
    return WINDOW + a->number * WINDOW_BYTES;
}

// ---- what each thread has

static void make_events(struct attacker *a)
{
    (void)port_create(start.account, &a->port);
    for (uint32_t i = 0; i < MANY; i++) {
        (void)event_create(start.account, &a->events[i]);
        (void)port_bind(a->port, (handle_t){a->events[i].value}, i, 1);
    }
}

static void make_timers(struct attacker *a)
{
    for (uint32_t i = 0; i < MANY; i++)
        (void)timer_create(start.account, &a->timers[i]);
}

static void make_channel(struct attacker *a)
{
    (void)channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(8, 512, 8, 8),
                         OVERFLOW_REJECT, &a->end0, &a->end1);
    (void)event_create(start.account, &a->event);
}

static void make_memory(struct attacker *a)
{
    (void)vmo_create(start.account, 16 * PAGE_SIZE, 0, &a->vmo);
}

static void make_pinned(struct attacker *a)
{
    (void)vmo_create(start.account, PINNED_PAGES * PAGE_SIZE, 0, &a->vmo);
}

// ---- the attacks

static void idle(struct attacker *a)
{
    (void)a;
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}

static void spin(struct attacker *a)
{
    for (uint32_t i = 0; i < 200; i++)
        (void)*(volatile uint64_t *)&a->turn;
}

static void yield(struct attacker *a)
{
    (void)a;
    (void)thread_yield();
}

static void pages(struct attacker *a)
{
    (void)a;
    vmo_t vmo;
    if (vmo_create(start.account, 300 * PAGE_SIZE, 0, &vmo) == STATUS_OK)
        handle_close((handle_t){vmo.value});
}

static void objects(struct attacker *a)
{
    uint32_t made = 0;
    event_t event;
    for (; made < MANY && event_create(start.account, &event) == STATUS_OK; relax())
        a->handles[made++] = event.value;
    for (; made > 0; relax())
        handle_close((handle_t){a->handles[--made]});
}

static void handles(struct attacker *a)
{
    uint32_t made = 0;
    handle_t copy;
    for (;
         made < MANY && handle_duplicate((handle_t){shared.value}, RIGHT_WAIT, &copy) == STATUS_OK;
         relax())
        a->handles[made++] = copy.value;
    for (; made > 0; relax())
        handle_close((handle_t){a->handles[--made]});
}

[[noreturn]] static void leave(void)
{
    (void)thread_exit();
    for (;;) {}
}

static void threads(struct attacker *a)
{
    thread_t thread;
    uint32_t signals;
    if (thread_create(start.process, TENANT_PRIORITY, place_of(a), &thread) != STATUS_OK)
        return;
    relax();
    (void)thread_set_cpu(thread, (a->number + a->turn) % cpus);
    relax();
    (void)thread_start(thread, (uintptr_t)leave, place_of(a) + PAGE_SIZE, 0, (handle_t){0});
    relax();
    (void)object_wait((handle_t){thread.value}, SIGNAL_TERMINATED, now_ns() + NS_PER_MS, &signals);
    relax();
    (void)object_destroy((handle_t){thread.value});
    relax();
    handle_close((handle_t){thread.value});
}

// All wait for one event; the first wakes them all.
static void waiters(struct attacker *a)
{
    uint32_t signals;
    if (a->number != 0) {
        (void)object_wait((handle_t){shared.value}, 1, ABI_DEADLINE_NEVER, &signals);
        return;
    }
    (void)event_signal(shared, 1);
    (void)event_clear(shared, 1, &signals);
}

static void flood(struct attacker *a)
{
    uint64_t reply;
    if (a->turn % 8 == 0)
        (void)channel_call(desk, MSG(512, 0), now_ns() + NS_PER_MS, &reply);
    else
        (void)channel_send(desk, MSG(512, 0), 0);
}

static void unanswered(struct attacker *a)
{
    uint64_t reply, message, token;
    (void)channel_call(a->end0, MSG(64, 0), now_ns() + 20'000, &reply);
    if (a->turn % 2 == 0)
        (void)channel_receive(a->end1, 0, &message, &token); // and never replied to
}

static void timers(struct attacker *a)
{
    uint64_t due = now_ns() + 100'000;
    for (uint32_t i = 0; i < MANY; i++, relax())
        (void)timer_set(a->timers[i], due);
    (void)thread_sleep(due + 1);
}

static void mapping(struct attacker *a)
{
    uint64_t at = place_of(a);
    if (vm_map(start.aspace, a->vmo, 0, at, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE) != STATUS_OK)
        return;
    for (uint32_t i = 0; i < 16; i += 4)
        *(volatile uint64_t *)(at + i * PAGE_SIZE) = i;
    relax();
    (void)vm_protect(start.aspace, at, PROT_READ);
    relax();
    (void)vm_unmap(start.aspace, at);
}

static bool pin_some(struct attacker *a, uint64_t pages, uint64_t *handle)
{
    pin_t pin;
    if (pin_create(space, start.account, a->vmo, 0, pages * PAGE_SIZE, DMA_BOTH, &pin) != STATUS_OK)
        return false;
    *handle = pin.value;
    return true;
}

static void pins(struct attacker *a)
{
    uint64_t pin;
    if (!pin_some(a, 1, &pin))
        return;
    (void)pin_release((pin_t){pin});
    handle_close((handle_t){pin});
}

// As many pages as the account pays for, and all of them let go of.
static void pin_quota(struct attacker *a)
{
    uint32_t made = 0;
    for (; made < MANY && pin_some(a, PINNED_PAGES, &a->handles[made]); relax())
        made++;
    for (; made > 0; relax()) {
        made--;
        (void)pin_release((pin_t){a->handles[made]});
        handle_close((handle_t){a->handles[made]});
    }
}

// None is said to be done with: they stay in quarantine, and their end is root's.
static void kept_pins(struct attacker *a)
{
    uint64_t pin;
    if (pin_some(a, 1 + a->turn % PINNED_PAGES, &pin))
        handle_close((handle_t){pin});
}

// The crowd's thread faults at once, and again when it is resumed.
static void faults(struct attacker *a)
{
    uint64_t message, token;
    if (a->turn == 0) {
        thread_t thread;
        if (thread_create(crowd, TENANT_PRIORITY, place_of(a), &thread) == STATUS_OK) {
            (void)thread_set_cpu(thread, a->number % cpus);
            (void)thread_start(thread, 0x1000, 0x2000, 0, (handle_t){0});
        }
    }
    if (channel_receive(crowd_faults, ABI_DEADLINE_NEVER, &message, &token) != STATUS_OK)
        return;
    struct abi_fault_reply reply = {FAULT_RESUME};
    memcpy(message_buffer()->data, &reply, sizeof(reply));
    (void)channel_reply(crowd_faults, token, MSG(sizeof(reply), 0));
}

static void accounts(struct attacker *a)
{
    account_t account;
    vmo_t vmo;
    uint32_t signals;
    (void)a;
    if (account_create(start.account, 40, 20, 0, 0, 0, &account) != STATUS_OK)
        return;
    (void)account_budget(start.account, account, a->turn % cpus, ABI_BUDGET_MIN_NS,
                         2 * ABI_BUDGET_PERIOD_MIN_NS);
    if (vmo_create(account, 16 * PAGE_SIZE, 0, &vmo) == STATUS_OK)
        handle_close((handle_t){vmo.value});
    for (uint32_t i = 0; i < 8; i++, relax()) {
        event_t event;
        if (event_create(account, &event) == STATUS_OK)
            a->handles[i] = event.value;
    }
    (void)object_destroy((handle_t){account.value});
    (void)object_wait((handle_t){account.value}, SIGNAL_TERMINATED, now_ns() + NS_PER_MS, &signals);
    for (uint32_t i = 0; i < 8; i++)
        handle_close((handle_t){a->handles[i]});
    handle_close((handle_t){account.value});
}

static void messages(struct attacker *a)
{
    uint64_t message, token;
    struct abi_message_buffer *buffer = message_buffer();
    for (uint32_t i = 0; i < 8; i++) {
        handle_t copy = {0};
        (void)handle_duplicate((handle_t){a->event.value}, RIGHT_TRANSFER | RIGHT_WAIT, &copy);
        buffer->handles[i] = copy.value;
    }
    if (channel_send(a->end0, MSG(512, 8), 0) != STATUS_OK) {
        for (uint32_t i = 0; i < 8; i++)
            handle_close((handle_t){buffer->handles[i]});
        return;
    }
    if (channel_receive(a->end1, 0, &message, &token) == STATUS_OK)
        for (uint32_t i = 0; i < MSG_HANDLES(message); i++)
            handle_close((handle_t){buffer->handles[i]});
}

static void port(struct attacker *a)
{
    uint64_t key, message, token;
    uint32_t signals;
    for (uint32_t i = 0; i < MANY; i++, relax())
        (void)event_signal(a->events[i], 1);
    for (; port_receive(a->port, 0, &key, &signals, &message, &token) == STATUS_OK; relax())
        (void)event_clear(a->events[key], 1, &signals);
}

// Each wakes the next one, which is on another CPU.
static void wakes(struct attacker *a)
{
    struct attacker *next = &attackers[(a->number + 1) % (4 * cpus)];
    uint32_t signals;
    (void)event_signal(next->event, 1);
    (void)object_wait((handle_t){a->event.value}, 1, now_ns() + 50'000, &signals);
    (void)event_clear(a->event, 1, &signals);
}

// Each moves the next one, and changes its priority.
static void moves(struct attacker *a)
{
    struct attacker *next = &attackers[(a->number + 1) % (4 * cpus)];
    if (next->self.value == 0)
        return;
    (void)thread_set_cpu(next->self, (a->number + a->turn) % cpus);
    (void)thread_set_priority(next->self, TENANT_PRIORITY - a->turn % 2);
}

static void log_lines(struct attacker *a)
{
    if (a->turn % 64 != 0) {
        for (uint32_t i = 0; i < 1000; i++)
            (void)*(volatile uint64_t *)&a->turn;
        return;
    }
    memset(message_buffer()->data, 'x', 100);
    (void)log_write(start.log, 100);
}

static const struct attack {
    const char *name;
    void (*run)(struct attacker *);
    void (*make)(struct attacker *);
    uint32_t threads; // on each CPU
} attacks[] = {
    {"idle", idle, nullptr, 1},
    {"spin", spin, nullptr, 1},
    {"yield", yield, nullptr, 4},
    {"pages", pages, nullptr, 1},
    {"objects", objects, nullptr, 1},
    {"handles", handles, nullptr, 1},
    {"threads", threads, nullptr, 2},
    {"waiters", waiters, nullptr, 4},
    {"queue flood", flood, nullptr, 2},
    {"unanswered calls", unanswered, make_channel, 4},
    {"timers", timers, make_timers, 1},
    {"mappings", mapping, make_memory, 1},
    {"pins", pins, make_pinned, 1},
    {"all pins", pin_quota, make_pinned, 1},
    {"pins kept", kept_pins, make_pinned, 1},
    {"faults", faults, nullptr, 1},
    {"accounts", accounts, nullptr, 2},
    {"messages", messages, make_channel, 1},
    {"port", port, make_events, 1},
    {"wakes", wakes, make_channel, 4},
    {"moves", moves, nullptr, 4},
    {"log", log_lines, nullptr, 1},
};
static const struct attack *attack;

uint32_t attack_count(void)
{
    return ARRAY_SIZE(attacks);
}

const char *attack_name(uint64_t number)
{
    return attacks[number].name;
}

static void run(void *argument)
{
    struct attacker *a = argument;
    if (attack->make)
        attack->make(a);
    for (a->turn = 0;; a->turn++) {
        attack->run(a);
        relax();
    }
}

void tenant_main(void)
{
    cpus = child_start.words[1];
    attack = &attacks[child_start.words[2]];
    uint64_t gifts[2];
    receive_handles(gifts, 2);
    desk.value = gifts[0];
    space.value = gifts[1];
    must(event_create(start.account, &shared), "event_create");
    channel_t theirs;
    aspace_t unused;
    must(channel_create(start.account, start.account,
                        ABI_CHANNEL_SHAPE(8, sizeof(struct abi_fault), 0, 16), OVERFLOW_REJECT,
                        &crowd_faults, &theirs),
         "channel_create");
    must(process_create(start.account, theirs, 0, 0, &crowd, &unused), "process_create");
    for (uint64_t i = 0; i < attack->threads * cpus; i++) {
        struct attacker *a = &attackers[i];
        a->number = i;
        must(thread_spawn(run, a, TENANT_PRIORITY, &a->self), "thread_spawn");
        must(thread_set_cpu(a->self, i % cpus), "thread_set_cpu");
    }
    (void)thread_sleep(ABI_DEADLINE_NEVER);
}
