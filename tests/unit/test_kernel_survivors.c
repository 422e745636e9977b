// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What survivors see when a process or an account dies, at every step of a request. A client gives
// memory to a service, the service to a driver, which has a device write into it; another thread of the
// client's waits for room to send. Any of the three may own the memory, and pay for the channels, and
// what is handed on may be a slice. The
// request is cut behind each system call, by the end of each party's process or account; and that end
// is stopped after each of its steps.
//
// What each survivor must see then is told by a few rules (is_dead_end, memory_lives, ...) and not by the kernel's
// structures: what its waits end with, what its handles answer, which events its port has, what its
// memory holds, what it is charged. No frame that the device reaches is let go before the device is
// quiet, and after all of it everything is back (A3, M4, M7, M8, I4).
#include <string.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x4000'0000, DEVICE = 7, LINE = 40;
constexpr uint64_t ELSEWHERE = ABI_INIT_MESSAGE_BUFFER + 64 * PAGE_SIZE; // where tables are already
constexpr uint64_t RW = PROT_READ | PROT_WRITE, PAGES = 2, KEY_CHANNEL = 5, KEY_LINE = 6;
constexpr uint64_t NEVER = ABI_DEADLINE_NEVER;
constexpr uint64_t SENT = 0x1111, UNTOUCHED = 0x2222, FROM_DEVICE = 0x3333;

enum party { CLIENT, SERVICE, DRIVER, PARTIES };
enum waits { NO_WAIT, A_REPLY, EVENTS };
constexpr unsigned EACH_ITS_END = PARTIES; // who pays for the channels
enum end { CLIENTS_END, SERVICES_END, SERVICES_CALLS, DRIVERS_END, ENDS };
static const enum party holder_of[ENDS] = {CLIENT, SERVICE, SERVICE, DRIVER};

static enum end peer_of(enum end end)
{
    return (enum end)(end ^ 1);
}

// ---- one world

static struct {
    enum party owner; // of the memory
    unsigned payer;   // of the channels
    enum party victim;
    bool by_account; // its account ends, not its process alone
    bool sliced;     // the client hands out a slice of the memory, which it pays for
} cut;

static struct side {
    struct actor *actor, *prober; // the prober: another thread of its process, with its handles
    uint64_t account;             // the boss's handle
    uint64_t memory, port;        // handles; 0: none yet
    bool mapped, has_slice;
    enum waits waits_for;
    uint64_t pages, objects; // charged before the death
} sides[PARTIES];

static struct actor *sender;
static uint64_t ends[ENDS], client_token, driver_token, gift, service_gift, pin, line;
static uint64_t addresses[PAGES], expected_page; // of the second page: what it holds
static bool called, call_queued, driver_called, send_waits, send_queued, clients_call,
    services_call, pinned, started, gift_moved, interrupted;
static uint64_t end_pages; // that an end costs its account

static struct actor *actor_for(enum party party)
{
    return sides[party].actor;
}

static unsigned payer_of(enum end end)
{
    return cut.payer == EACH_ITS_END ? holder_of[end] : cut.payer;
}

static struct account *account_of(enum party party)
{
    return account_behind(world.boss, sides[party].account);
}

static void make_channel(enum end first, uint64_t overflow)
{
    enum party maker = (enum party)payer_of(first);
    struct actor *by = actor_for(maker);
    uint64_t second = by->account;
    if (payer_of(peer_of(first)) != maker)
        second = grant(by, actor_for(holder_of[peer_of(first)]),
                       actor_for(holder_of[peer_of(first)])->account);
    uint64_t before = account_of(maker)->pages.used;
    struct outcome made =
        CALL(by, CHANNEL_CREATE, by->account, second, ABI_CHANNEL_SHAPE(1, 64, 2, 2), overflow);
    EXPECT_STATUS(made.status, OK);
    end_pages = (account_of(maker)->pages.used - before) / (second == by->account ? 2 : 1);
    for (unsigned i = 0; i < 2; i++) {
        enum end end = first + i;
        ends[end] = made.value[i];
        if (holder_of[end] != maker) {
            ends[end] = grant(actor_for(holder_of[end]), by, made.value[i]);
            MUST(by, HANDLE_CLOSE, made.value[i]);
        }
    }
}

static void bind_port(enum party party, enum end end)
{
    struct actor *actor = actor_for(party);
    sides[party].port = MUST(actor, PORT_CREATE, actor->account);
    MUST(actor, PORT_BIND, sides[party].port, ends[end], KEY_CHANNEL,
         SIGNAL_READABLE | SIGNAL_PEER_CLOSED);
}

static void begin(void)
{
    static bool begun; // a world ends as it began: one is enough
    if (!begun)
        world_begin((struct world_options){.ram_bytes = 4 << 20});
    begun = true;
    memset(sides, 0, sizeof sides);
    called = call_queued = driver_called = send_waits = send_queued = clients_call = services_call =
        pinned = started = gift_moved = interrupted = false;
    expected_page = UNTOUCHED;
    for (enum party party = CLIENT; party < PARTIES; party++) {
        struct side *side = &sides[party];
        side->account = new_account(60, 40);
        side->actor = spawn(side->account, 10);
        side->prober = spawn_thread(side->actor, 60);
    }
    sender = spawn_thread(actor_for(CLIENT), 10);
    make_channel(CLIENTS_END, OVERFLOW_BLOCK);
    make_channel(SERVICES_CALLS, OVERFLOW_REJECT);
    bind_port(SERVICE, SERVICES_END);
    bind_port(DRIVER, DRIVERS_END);
    struct actor *driver = actor_for(DRIVER), *owner = actor_for(cut.owner);
    uint64_t machine = grant(driver, world.boss, world.machine);
    line = MUST(driver, MACHINE_INTERRUPT, machine, driver->account, LINE, TRIGGER_EDGE);
    MUST(driver, PORT_BIND, sides[DRIVER].port, line, KEY_LINE, SIGNAL_INTERRUPT);
    uint64_t memory = MUST(owner, VMO_CREATE, owner->account, PAGES * PAGE_SIZE, 0);
    sides[cut.owner].memory = memory;
    if (cut.owner != CLIENT)
        sides[CLIENT].memory = grant(actor_for(CLIENT), owner, memory);
    gift = MUST(sender, EVENT_CREATE, sender->account);
}

// ---- memory, as user code sees it; nullptr: not at all

static uint64_t *page_at(enum party party, unsigned page)
{
    pte_t leaf = pagetable_get(actor_for(party)->process->aspace, AT + page * PAGE_SIZE);
    return pte_present(leaf) ? arch_ram(pte_address(leaf)) : nullptr;
}

static void map_memory(enum party party)
{
    struct actor *actor = actor_for(party);
    MUST(actor, VM_MAP, actor->own_aspace, sides[party].memory, 0, AT, PAGES * PAGE_SIZE, RW);
    sides[party].mapped = true;
}

static uint64_t copy_of_memory(enum party party)
{
    if (party == CLIENT && cut.sliced)
        return MUST(actor_for(CLIENT), VMO_SLICE, actor_for(CLIENT)->account, sides[CLIENT].memory,
                    0, PAGES * PAGE_SIZE, RIGHTS_VMO);
    return MUST(actor_for(party), HANDLE_DUPLICATE, sides[party].memory, RIGHTS_VMO);
}

static void waits(enum party party, enum waits for_what)
{
    sides[party].waits_for = for_what;
}

static void waits_no_more(enum party party)
{
    sides[party].waits_for = NO_WAIT;
}

// ---- the request

static void client_maps(void)
{
    map_memory(CLIENT);
    *page_at(CLIENT, 0) = SENT;
    *page_at(CLIENT, 1) = UNTOUCHED;
}

static void client_calls(void)
{
    set_handles(actor_for(CLIENT), 1, (const uint64_t[]){copy_of_memory(CLIENT)});
    EXPECT_CALL(BLOCKED, actor_for(CLIENT), CHANNEL_CALL, ends[CLIENTS_END],
                MSG_WITH_REPLY_HANDLES(MSG(8, 1), 1), NEVER);
    waits(CLIENT, A_REPLY);
    called = call_queued = clients_call = true;
}

static void another_sends(void)
{
    set_handles(sender, 1, &gift);
    EXPECT_CALL(BLOCKED, sender, CHANNEL_SEND, ends[CLIENTS_END], MSG(4, 1), NEVER);
    send_waits = true;
}

static void service_receives(void)
{
    struct outcome got = CALL(actor_for(SERVICE), PORT_RECEIVE, sides[SERVICE].port, 0);
    EXPECT_EQUAL(got.value[2], MSG(8, 1) | MSG_CALL);
    client_token = got.value[3];
    sides[SERVICE].memory = handle_of(actor_for(SERVICE), 0);
    sides[SERVICE].has_slice = cut.sliced;
    EXPECT_STATUS(ended(sender).status, OK);
    call_queued = send_waits = false;
    send_queued = true;
}

static void service_maps(void)
{
    map_memory(SERVICE);
    EXPECT_EQUAL(*page_at(SERVICE, 0), SENT);
}

static void service_calls(void)
{
    set_handles(actor_for(SERVICE), 1, (const uint64_t[]){copy_of_memory(SERVICE)});
    EXPECT_CALL(BLOCKED, actor_for(SERVICE), CHANNEL_CALL, ends[SERVICES_CALLS], MSG(8, 1), NEVER);
    waits(SERVICE, A_REPLY);
    services_call = true;
}

static void driver_receives(void)
{
    struct outcome got = CALL(actor_for(DRIVER), PORT_RECEIVE, sides[DRIVER].port, 0);
    EXPECT_EQUAL(got.value[2], MSG(8, 1) | MSG_CALL);
    driver_token = got.value[3];
    driver_called = true;
    sides[DRIVER].memory = handle_of(actor_for(DRIVER), 0);
    sides[DRIVER].has_slice = cut.sliced;
}

static void driver_pins(void)
{
    struct actor *driver = actor_for(DRIVER);
    uint64_t machine = grant(driver, world.boss, world.machine);
    uint64_t space = MUST(driver, MACHINE_DMA_SPACE, machine, driver->account, DEVICE);
    pin = MUST(driver, PIN_CREATE, space, driver->account, sides[DRIVER].memory, 0,
               PAGES * PAGE_SIZE, DMA_BOTH);
    pinned = true;
}

static void driver_starts_the_device(void)
{
    struct actor *driver = actor_for(DRIVER);
    EXPECT_EQUAL(MUST(driver, PIN_ADDRESSES, pin, 0), PAGES);
    memcpy(addresses, driver->thread->message->data, sizeof addresses);
    for (unsigned i = 0; i < PAGES; i++)
        ghost_add(DEVICE, (paddr_t){addresses[i]});
    started = true;
}

static void wait_for_events(enum party party)
{
    EXPECT_CALL(BLOCKED, actor_for(party), PORT_RECEIVE, sides[party].port, NEVER);
    waits(party, EVENTS);
}

static void driver_waits(void)
{
    wait_for_events(DRIVER);
}

static void device_writes(void)
{
    *(uint64_t *)arch_ram((paddr_t){addresses[1]}) = expected_page = FROM_DEVICE;
    host_line_pulse(LINE);
    settle();
    EXPECT_EQUAL(ended(actor_for(DRIVER)).value[0], KEY_LINE);
    waits_no_more(DRIVER);
    interrupted = true;
}

static void driver_syncs(void)
{
    MUST(actor_for(DRIVER), PIN_SYNC, pin, 0, PAGES * PAGE_SIZE, SYNC_CPU);
}

static void driver_releases(void)
{
    ghost_quiet(DEVICE); // its device is done
    MUST(actor_for(DRIVER), PIN_RELEASE, pin);
    pinned = started = false;
}

static void driver_acknowledges(void)
{
    MUST(actor_for(DRIVER), INTERRUPT_ACKNOWLEDGE, line);
}

static void driver_replies(void)
{
    EXPECT_CALL(BLOCKED, actor_for(DRIVER), CHANNEL_REPLY_RECEIVE, ends[DRIVERS_END], driver_token,
                MSG(8, 0), sides[DRIVER].port, NEVER);
    waits(DRIVER, EVENTS);
    EXPECT_STATUS(ended(actor_for(SERVICE)).status, OK);
    waits_no_more(SERVICE);
    services_call = false;
}

static void service_replies(void)
{
    struct actor *service = actor_for(SERVICE);
    service_gift = MUST(service, EVENT_CREATE, service->account);
    set_handles(service, 1, &service_gift);
    struct outcome got = CALL(service, CHANNEL_REPLY_RECEIVE, ends[SERVICES_END], client_token,
                              MSG(8, 1), sides[SERVICE].port, NEVER);
    EXPECT_EQUAL(got.value[2], MSG(4, 1)); // what the other thread has sent
    EXPECT_EQUAL(ended(actor_for(CLIENT)).value[0], MSG(8, 1));
    waits_no_more(CLIENT);
    clients_call = send_queued = false;
    gift_moved = true;
}

static void service_waits(void)
{
    wait_for_events(SERVICE);
}

static void client_unmaps(void)
{
    struct actor *client = actor_for(CLIENT);
    EXPECT_EQUAL(*page_at(CLIENT, 1), FROM_DEVICE);
    MUST(client, VM_UNMAP, client->own_aspace, AT);
    sides[CLIENT].mapped = false;
}

static void (*const steps[])(void) = {
    client_maps,     client_calls,    another_sends,   service_receives,         service_maps,
    service_calls,   driver_receives, driver_pins,     driver_starts_the_device, driver_waits,
    device_writes,   driver_syncs,    driver_releases, driver_acknowledges,      driver_replies,
    service_replies, service_waits,   client_unmaps,
};
constexpr unsigned STEPS = ARRAY_SIZE(steps);

// ---- the rules

// Ends with its account, and with its last handle, which its holder has.
static bool is_dead_end(enum end end)
{
    return holder_of[end] == cut.victim || (cut.by_account && payer_of(end) == cut.victim);
}

// Whoever has a handle to it keeps it, but not beyond its account.
static bool memory_lives(void)
{
    return !cut.by_account || cut.owner != cut.victim;
}

static status_t memory_answers(bool slice)
{
    bool lives = memory_lives() && !(slice && cut.by_account && cut.victim == CLIENT);
    return lives ? STATUS_OK : STATUS_GONE;
}

// The slice goes with the memory, and with the last who has a handle to it; one in a message that was
// not taken goes back.
static bool slice_ended(void)
{
    bool nobody = cut.victim == SERVICE && !call_queued && !driver_called;
    return cut.sliced && called && (nobody || !memory_lives());
}

// What a wait at the end may have ended with; STATUS_BLOCKED: it goes on.
static bool may_wake_with(enum end end, status_t status)
{
    if (is_dead_end(end)) // one of the two was first
        return status == STATUS_GONE || (is_dead_end(peer_of(end)) && status == STATUS_PEER_CLOSED);
    return status == (is_dead_end(peer_of(end)) ? STATUS_PEER_CLOSED : STATUS_BLOCKED);
}

static status_t woken_with(const struct actor *actor)
{
    return actor->calling ? STATUS_BLOCKED : actor->out.status;
}

// A message through it that is too large, which tells whether it is there, and changes nothing.
static status_t sends(enum end end)
{
    return is_dead_end(end)            ? STATUS_GONE
           : is_dead_end(peer_of(end)) ? STATUS_PEER_CLOSED
                                       : STATUS_TOO_BIG;
}

#define SEND_TOO_MUCH(end) ends[end], MSG(65, 0), 0

// ---- looking at a survivor, when all is over

static struct abi_inspect inspected(enum party party, uint64_t handle)
{
    MUST(sides[party].prober, OBJECT_INSPECT, handle);
    return *(const struct abi_inspect *)(const void *)text_of(sides[party].prober);
}

static void check_ends(enum party party)
{
    struct actor *prober = sides[party].prober;
    for (enum end end = CLIENTS_END; end < ENDS; end++) {
        if (holder_of[end] != party)
            continue;
        struct outcome sent = CALL(prober, CHANNEL_SEND, SEND_TOO_MUCH(end));
        EXPECT_EQUAL(sent.status, sends(end));
        if (is_dead_end(end))
            EXPECT_CALL(GONE, prober, OBJECT_INSPECT, ends[end]);
        else
            EXPECT_EQUAL((inspected(party, ends[end]).signals & SIGNAL_PEER_CLOSED) != 0,
                         is_dead_end(peer_of(end)));
    }
}

// Events and messages that the port has told since the death, to whoever waited and to us.
struct heard {
    unsigned messages;
    uint32_t signals;
    status_t handle; // of the last message's handle
};

static void hear(const struct outcome *out, struct actor *by, struct heard *heard)
{
    uint32_t signals = (uint32_t)out->value[1];
    EXPECT_EQUAL(out->value[0], KEY_CHANNEL);
    heard->signals |= signals & ~(uint32_t)SIGNAL_READABLE;
    if (!(signals & SIGNAL_READABLE))
        return;
    heard->messages++;
    if (MSG_HANDLES((uint32_t)out->value[2]) > 0)
        heard->handle = CALL(by, OBJECT_INSPECT, handle_of(by, 0)).status;
}

static struct heard all_heard(enum party party)
{
    struct side *side = &sides[party];
    struct heard heard = {.handle = STATUS_COUNT};
    if (side->waits_for == EVENTS && !side->actor->calling) {
        EXPECT_STATUS(side->actor->out.status, OK);
        hear(&side->actor->out, side->actor, &heard);
    }
    for (;;) {
        struct outcome out = CALL(side->prober, PORT_RECEIVE, side->port, 0);
        if (out.status != STATUS_OK) {
            EXPECT_STATUS(out.status, TIMED_OUT);
            return heard;
        }
        hear(&out, side->prober, &heard);
    }
}

static void check_port(enum party party, enum end end, unsigned messages)
{
    struct heard heard = all_heard(party);
    bool gone = is_dead_end(end), drains = is_dead_end(peer_of(end));
    EXPECT_EQUAL(heard.messages, gone ? 0 : messages);
    // GONE is the last event; that its peer has closed may have been told before.
    EXPECT_EQUAL((heard.signals & SIGNAL_GONE) != 0, gone);
    if (!gone)
        EXPECT_EQUAL((heard.signals & SIGNAL_PEER_CLOSED) != 0, drains);
    if (heard.messages > 0 && party == DRIVER)
        EXPECT_EQUAL(heard.handle, memory_answers(cut.sliced));
}

// The answer that is owed: to one who waits, or does not any more.
static void check_reply(enum party party, enum end end, uint64_t token, bool owed,
                        enum party caller)
{
    if (!owed)
        return;
    struct outcome out = CALL(sides[party].prober, CHANNEL_REPLY, ends[end], token, MSG(8, 0));
    bool abandoned = is_dead_end(peer_of(end));
    EXPECT_EQUAL(out.status, is_dead_end(end) ? STATUS_GONE
                             : abandoned      ? STATUS_CANCELLED
                                              : STATUS_OK);
    if (out.status == STATUS_OK) {
        EXPECT_STATUS(ended(actor_for(caller)).status, OK);
        EXPECT_EQUAL(actor_for(caller)->out.value[0], MSG(8, 0));
    }
}

static void check_memory_of(enum party party)
{
    struct side *side = &sides[party];
    struct actor *prober = side->prober;
    if (side->memory) {
        status_t status = memory_answers(side->has_slice);
        EXPECT_EQUAL(CALL(prober, OBJECT_INSPECT, side->memory).status, status);
        EXPECT_EQUAL(CALL(prober, VM_MAP, prober->own_aspace, side->memory, 0, ELSEWHERE, PAGE_SIZE,
                          PROT_READ)
                         .status,
                     status);
        if (status == STATUS_OK)
            MUST(prober, VM_UNMAP, prober->own_aspace, ELSEWHERE);
    }
    EXPECT_EQUAL(page_at(party, 0) != nullptr, side->mapped);
    if (!side->mapped)
        return;
    EXPECT_EQUAL(*page_at(party, 0), SENT);
    EXPECT_EQUAL(*page_at(party, 1), expected_page);
    // It is still the same memory for all who are left.
    *page_at(party, 0) = SENT + 1;
    for (enum party other = CLIENT; other < PARTIES; other++)
        if (other != cut.victim && sides[other].mapped)
            EXPECT_EQUAL(*page_at(other, 0), SENT + 1);
    *page_at(party, 0) = SENT;
}

static void check_pin_of_survivor(void)
{
    struct actor *prober = sides[DRIVER].prober;
    EXPECT_EQUAL(MUST(prober, PIN_ADDRESSES, pin, 0), PAGES);
    if (started)
        EXPECT_EQUAL(memcmp(addresses, prober->thread->message->data, sizeof addresses), 0);
    MUST(prober, PIN_SYNC, pin, 0, PAGES * PAGE_SIZE, SYNC_CPU);
    EXPECT_EQUAL(dma_quarantined_pages(), 0);
}

// What the survivor's account pays less for: ends and events that died with the victim.
static void check_charge(enum party party)
{
    uint64_t pages = sides[party].pages, objects = sides[party].objects;
    for (enum end end = CLIENTS_END; end < ENDS; end++)
        if (payer_of(end) == party && is_dead_end(end)) {
            pages -= end_pages;
            objects--;
        }
    // In the queue of an end that has gone; or moved to who has gone.
    if (party == CLIENT && send_queued && is_dead_end(SERVICES_END))
        objects--;
    objects -= party == CLIENT && slice_ended();
    if (party == CLIENT && gift_moved && cut.victim == SERVICE)
        objects--;
    if (party == SERVICE && gift_moved && cut.victim == CLIENT)
        objects--;
    // The binding of what has gone was paid for until its last event was taken.
    const enum end bound[PARTIES] = {ENDS, SERVICES_END, DRIVERS_END};
    if (bound[party] != ENDS && is_dead_end(bound[party]))
        objects--;
    EXPECT_EQUAL(account_of(party)->pages.used, pages);
    EXPECT_EQUAL(account_of(party)->objects.used, objects);
}

static void check_waits(enum party party)
{
    struct side *side = &sides[party];
    if (side->waits_for == A_REPLY)
        EXPECT(
            may_wake_with(party == CLIENT ? CLIENTS_END : SERVICES_CALLS, woken_with(side->actor)));
    if (party == CLIENT && send_waits) {
        // With its handle back, under its old value.
        status_t status = woken_with(sender);
        EXPECT(may_wake_with(CLIENTS_END, status));
        EXPECT_EQUAL(CALL(side->prober, OBJECT_INSPECT, gift).status,
                     status == STATUS_BLOCKED ? STATUS_BAD_HANDLE : STATUS_OK);
    }
    // Room for a reply's handle is kept as long as its call.
    bool reserved = party == CLIENT && clients_call && actor_for(CLIENT)->calling;
    EXPECT_EQUAL(side->actor->process->handles_reserved, reserved);
}

static void check_survivor(enum party party)
{
    check_waits(party);
    check_memory_of(party);
    if (party == DRIVER && pinned)
        check_pin_of_survivor();
    check_ends(party);
    if (party == SERVICE) {
        // The client's threads end one after the other: the first may make room for the second.
        if (cut.victim == CLIENT && send_waits)
            send_queued = true;
        check_port(SERVICE, SERVICES_END,
                   cut.victim == CLIENT ? send_queued
                                        : (unsigned)call_queued + (send_queued || send_waits));
        check_reply(SERVICE, SERVICES_END, client_token, clients_call && !call_queued, CLIENT);
    }
    if (party == DRIVER) {
        bool queued = services_call && !driver_called;
        check_port(DRIVER, DRIVERS_END, queued && cut.victim != SERVICE);
        check_reply(DRIVER, DRIVERS_END, driver_token, services_call && driver_called, SERVICE);
    }
    check_charge(party);
}

// ---- the death

// The frames that a device reaches: as they are, and counted, until it is quiet.
static void check_device_memory(void)
{
    for (unsigned i = 0; i < PAGES && started; i++) {
        const struct frame *frame = frame_of((paddr_t){addresses[i]});
        EXPECT(frame->state == FRAME_USER && frame->pins == 1);
    }
}

// After each step of the kernel's, in its middle as far as survivors go: what they have mapped is as it
// was, what a device reaches stays, no account has more than it may.
static unsigned windows;
static uint64_t own_calls; // objects that calls of a survivor's own may still cost

static void look(void)
{
    windows++;
    check_device_memory();
    for (enum party party = CLIENT; party < PARTIES; party++) {
        if (party == cut.victim)
            continue;
        const struct account *account = account_of(party);
        EXPECT(account->pages.used <= sides[party].pages);
        EXPECT(account->objects.used <= sides[party].objects + own_calls);
        if (!sides[party].mapped)
            continue;
        EXPECT_EQUAL(*page_at(party, 0), SENT);
        EXPECT_EQUAL(*page_at(party, 1), expected_page);
    }
}

static void run_request(unsigned count)
{
    client_token = driver_token = 0;
    for (unsigned i = 0; i < count; i++)
        steps[i]();
    for (enum party party = CLIENT; party < PARTIES; party++) {
        sides[party].pages = account_of(party)->pages.used;
        sides[party].objects = account_of(party)->objects.used;
    }
}

static void die(void)
{
    const struct side *victim = &sides[cut.victim];
    MUST(world.boss, OBJECT_DESTROY,
         cut.by_account ? victim->account : victim->actor->process_handle);
}

// What is left of the victim: its pins, whose pages its parent or its account pays for.
static void check_victim(void)
{
    EXPECT(is_dead(actor_for(cut.victim)) && is_dead(sides[cut.victim].prober));
    if (cut.victim == CLIENT)
        EXPECT(is_dead(sender));
    uint64_t left = cut.victim == DRIVER && pinned ? PAGES : 0;
    EXPECT_EQUAL(dma_quarantined_pages(), left);
    EXPECT_EQUAL(world.root->quarantined_pages, cut.by_account ? left : 0);
    EXPECT_EQUAL(account_of(cut.victim)->quarantined_pages, cut.by_account ? 0 : left);
    if (cut.by_account) {
        MUST(world.boss, OBJECT_WAIT, sides[cut.victim].account, SIGNAL_TERMINATED, 0);
        EXPECT_EQUAL(account_of(cut.victim)->pages.used, 0);
        EXPECT_EQUAL(account_of(cut.victim)->objects.used, 0);
    }
}

static void check_all(void)
{
    settle();
    world_check();
    check_device_memory();
    check_victim();
    for (enum party party = CLIENT; party < PARTIES; party++)
        if (party != cut.victim)
            check_survivor(party);
    world_check();
}

// Nobody gets what the device may still write; then it is quiet, and all is back.
static void end_world(void)
{
    check_device_memory();
    if (cut.victim == DRIVER && pinned) {
        ghost_quiet(DEVICE);
        started = false;
        EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, DEVICE), PAGES);
        EXPECT_EQUAL(MUST(world.boss, MACHINE_DEVICE_QUIET, world.machine, DEVICE), 0);
        EXPECT_EQUAL(dma_quarantined_pages(), 0);
        world_check();
    } else if (pinned) {
        ghost_quiet(DEVICE);
        started = false;
        MUST(sides[DRIVER].prober, PIN_RELEASE, pin);
        world_check();
    }
    world_end_after_quarantine(DEVICE);
}

// The way-th of the ways to end that party, whoever owns and pays. false: there are no more.
constexpr unsigned WAYS = 2 * 2 * PARTIES * (PARTIES + 1);

static bool choose(enum party victim, unsigned way)
{
    cut.victim = victim;
    cut.by_account = way & 1;
    cut.sliced = way >> 1 & 1;
    cut.owner = (enum party)(way / 4 % PARTIES);
    cut.payer = way / 4 / PARTIES;
    return way < WAYS;
}

// All of them, but where mutants are tried, each of which costs a run.
static unsigned next_way(unsigned way)
{
    return way + (test_amount(50, 1) < 50 ? 7 : 1);
}

static void dies_behind_each_step(enum party victim)
{
    unsigned worlds = 0;
    windows = 0;
    for (unsigned way = 0; choose(victim, way); way = next_way(way))
        for (unsigned step = 0; step <= STEPS; step++, worlds++) {
            begin();
            run_request(step);
            host_on_window = look;
            die();
            host_on_window = nullptr;
            check_all();
            end_world();
        }
    test_note("%u deaths, looked at after each of %u steps", worlds, windows);
    EXPECT(worlds >= 4 * (STEPS + 1) && windows > 20 * worlds);
}

// IPC-7, IPC-10, IPC-11, IPC-39, IPC-40, IPC-41, OBJ-13, OBJ-15, MEM-3, MEM-9, MEM-17
TEST(the_client_dies)
{
    dies_behind_each_step(CLIENT);
}

// IPC-7, IPC-11, IPC-23, IPC-32, IPC-38, IPC-41, IPC-47, OBJ-13, OBJ-15, MEM-3, MEM-9, MEM-17
TEST(the_service_dies)
{
    dies_behind_each_step(SERVICE);
}

// IPC-7, IPC-11, IPC-41, OBJ-13, OBJ-15, OBJ-28, MEM-3, MEM-9, MEM-17, MEM-19, MEM-20
TEST(the_driver_dies)
{
    dies_behind_each_step(DRIVER);
}

// ---- in the middle of the death

// What a call of the survivor's answers while the victim ends is what it answered before, or what it
// will answer, and it disturbs nothing. What is its own is always there.
static void call_in_between(enum party party)
{
    struct side *side = &sides[party];
    struct actor *prober = side->prober;
    uint64_t as = prober->own_aspace;
    status_t lives = memory_answers(side->has_slice), status;
    for (enum end end = CLIENTS_END; end < ENDS; end++)
        if (holder_of[end] == party) {
            status = HELD(prober, CHANNEL_SEND, SEND_TOO_MUCH(end)).status;
            EXPECT(status == STATUS_TOO_BIG || status == sends(end) ||
                   (status == STATUS_PEER_CLOSED && is_dead_end(peer_of(end))));
        }
    if (side->memory) {
        status = HELD(prober, OBJECT_INSPECT, side->memory).status;
        EXPECT(status == STATUS_OK || status == lives);
        status = HELD(prober, VM_MAP, as, side->memory, 0, ELSEWHERE, PAGE_SIZE, PROT_READ).status;
        EXPECT(status == STATUS_OK || status == lives);
        if (status == STATUS_OK)
            EXPECT_STATUS(HELD(prober, VM_UNMAP, as, ELSEWHERE).status, OK);
    }
    if (party == DRIVER && pinned)
        EXPECT_STATUS(HELD(prober, PIN_SYNC, pin, 0, PAGE_SIZE, SYNC_CPU).status, OK);
    struct outcome made = HELD(prober, EVENT_CREATE, prober->account);
    EXPECT_STATUS(made.status, OK);
    EXPECT_STATUS(HELD(prober, HANDLE_CLOSE, made.value[0]).status, OK);
}

// false: the end was over before that step.
static bool call_at_step(enum party party, unsigned request, unsigned step)
{
    begin();
    run_request(request);
    struct actor *prober = sides[party].prober;
    hold_after(prober, step);
    die();
    bool reached = steps_left() == 0;
    if (reached)
        call_in_between(party);
    hold_after(prober, 0);
    own_calls = 1; // an event that was made and is not quite gone
    host_on_window = look;
    settle();
    host_on_window = nullptr;
    check_all();
    end_world();
    return reached;
}

// All of them in the long form.
static unsigned calls_of(enum party party, unsigned request, unsigned first, unsigned stride)
{
    unsigned reached = 0;
    for (unsigned step = first; call_at_step(party, request, step); step += stride)
        reached++;
    return reached;
}

static void calls_in_between(enum party victim)
{
    unsigned stride = 400 / test_amount(5, 80), reached = 0, tried = 0;
    for (unsigned way = 0; choose(victim, way); way = next_way(way))
        for (unsigned request = 0; request <= STEPS; request++)
            for (enum party party = CLIENT; party < PARTIES; party++)
                if (party != victim)
                    reached += calls_of(party, request, 1 + tried++ % stride, stride);
    test_note("calls at %u steps of deaths", reached);
    EXPECT(reached > 4 * (STEPS + 1) / stride);
}

// IPC-9, OBJ-4, OBJ-10, OBJ-13, OBJ-15, MEM-3, MEM-9, MEM-17
TEST(calls_while_the_client_dies)
{
    calls_in_between(CLIENT);
}

// IPC-9, OBJ-4, OBJ-10, OBJ-13, OBJ-15, MEM-3, MEM-9, MEM-17
TEST(calls_while_the_service_dies)
{
    calls_in_between(SERVICE);
}

// IPC-9, OBJ-4, OBJ-10, OBJ-13, OBJ-15, MEM-3, MEM-9, MEM-17, MEM-19
TEST(calls_while_the_driver_dies)
{
    calls_in_between(DRIVER);
}

// ---- after the death

// What the driver does for a client that is gone is done to its end, and the service is told: the
// device writes into memory whose owner may be no more, since the pin has paid for it.
// IPC-11, IPC-40, MEM-16, MEM-17
TEST(the_request_of_a_dead_client_is_carried_out)
{
    // From when the memory is pinned, to the driver's reply.
    constexpr unsigned FIRST = 8, RELEASES = 12, LAST = 14;
    unsigned worlds = 0;
    for (unsigned way = 0; choose(CLIENT, way); way = next_way(way))
        for (unsigned step = FIRST; step <= LAST; step++) {
            if (cut.by_account && cut.payer == CLIENT)
                continue; // the driver's channel ends, too
            begin();
            run_request(step);
            die();
            for (unsigned next = step; next <= LAST; next++) {
                steps[next]();
                world_check();
                check_device_memory();
            }
            EXPECT_EQUAL(*page_at(SERVICE, 1), FROM_DEVICE);
            if (step <= RELEASES) {
                sides[DRIVER].pages -= PAGES;
                sides[DRIVER].objects -= 2; // the pin, and the slot of what it pins
            }
            check_all();
            end_world();
            worlds++;
        }
    EXPECT(worlds >= 3 * (LAST - FIRST + 1));
}
