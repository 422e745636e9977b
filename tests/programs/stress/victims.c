// SPDX-License-Identifier: MIT
//
// Processes that die in the middle. A victim calls root and is called by it, with a handle in
// each message; it makes threads, kills them, moves them, maps and unmaps, makes accounts inside
// its account. After a moment root kills it, in one of several ways, while its threads and root's
// move from CPU to CPU. Root must get an answer to each of its own calls, one way or the other,
// and everything that the victim cost.
#include "stress.h"

constexpr uint64_t KILLER_PRIORITY = 35;
constexpr uint64_t SHAPE = ABI_CHANNEL_SHAPE(4, 64, 1, 4);
constexpr uint32_t CHURNED = 6;
constexpr uint64_t PLACE = 0x6000'0000;

// ---- root's side

static _Atomic uint64_t end_now; // root's end of the channel to the victim of now; 0: none
static _Atomic bool stop = true, stopped = true;
static event_t begin; // bit 0: there is a victim
static struct worker *killer, *caller, *replier;

static _Atomic uint32_t hunting; // hunters that may hold something

// The channel to the victim of now. 0: there is none; else the caller is a hunter until hunt_over.
static uint64_t hunt(void)
{
    uint32_t signals;
    hunting++;
    uint64_t end = end_now;
    if (end != 0)
        return end;
    hunting--;
    (void)object_wait((handle_t){begin.value}, 1, now_ns() + NS_PER_MS, &signals);
    return 0;
}

static uint64_t a_gift(void)
{
    event_t event;
    sure(event_create(start.account, &event), "event_create");
    return event.value;
}

// What a call on a channel may answer whose other side dies, and whose own end is closed, at any
// moment. BAD_HANDLE: it was closed before the call.
static bool dead(status_t status)
{
    return status == STATUS_PEER_CLOSED || status == STATUS_BAD_HANDLE || status == STATUS_GONE;
}

static void call_victims(struct worker *worker)
{
    for (;;) {
        worker_turn(worker, 4);
        uint64_t end = hunt(), reply, gift;
        if (end == 0)
            continue;
        message_buffer()->handles[0] = gift = a_gift();
        status_t status = channel_call((channel_t){end}, MSG(8, 1), ABI_DEADLINE_NEVER, &reply);
        if (status == STATUS_OK)
            tally(CALLS_ANSWERED, 1);
        else if (dead(status))
            tally(DEAD_SERVERS, 1);
        else if (status != STATUS_FULL)
            WRONG("a call to a victim answered %s", status_name(status));
        (void)handle_close((handle_t){gift}); // unless it has gone with the message
        hunting--;
        if (status != STATUS_OK)
            sure(thread_sleep(now_ns() + NS_PER_MS / 20), "thread_sleep");
        if (random_below(&worker->dice, 8) == 0)
            move_somewhere(worker, replier->self);
    }
}

static void reply_to_victims(struct worker *worker)
{
    for (;;) {
        worker_turn(worker, 3);
        uint64_t end = hunt(), message, token;
        if (end == 0)
            continue;
        status_t status = channel_receive((channel_t){end}, ABI_DEADLINE_NEVER, &message, &token);
        if (status == STATUS_OK) {
            for (uint32_t i = 0; i < MSG_HANDLES(message); i++)
                (void)handle_close((handle_t){message_buffer()->handles[i]});
            if (random_below(&worker->dice, 4) == 0)
                sure(thread_sleep(now_ns() + random_below(&worker->dice, NS_PER_MS / 2)), "sleep");
            status = channel_reply((channel_t){end}, token, MSG(8, 0));
            if (status != STATUS_OK)
                tally(DEAD_CALLERS, 1);
            if (status != STATUS_OK && !dead(status) && status != STATUS_CANCELLED &&
                status != STATUS_NOT_FOUND)
                WRONG("a reply to a victim answered %s", status_name(status));
        } else if (dead(status)) {
            sure(thread_sleep(now_ns() + NS_PER_MS / 20), "thread_sleep");
        } else {
            WRONG("receiving from a victim answered %s", status_name(status));
        }
        hunting--;
        if (random_below(&worker->dice, 8) == 0)
            move_somewhere(worker, caller->self);
    }
}

static void make_victim(struct worker *worker, struct child *victim)
{
    const struct child_spec spec = {.name = "victim",
                                    .pages = 600,
                                    .objects = 120,
                                    .priority = LOAD_PRIORITY,
                                    .no_exceptions = true,
                                    .extra = {board_vmo.value},
                                    .extra_rights = RIGHTS_VMO,
                                    .words = {PART_VICTIM, random_next(&worker->dice)}};
    sure(child_create(victim, &spec), "starting a victim");
    channel_t mine, theirs;
    sure(channel_create(start.account, victim->account, SHAPE, OVERFLOW_REJECT, &mine, &theirs),
         "channel_create");
    message_buffer()->handles[0] = theirs.value;
    sure(channel_send(victim->bootstrap, MSG(0, 1), 0), "handing over the channel");
    end_now = mine.value;
    uint32_t before;
    sure(event_signal(begin, 1), "event_signal");
    sure(event_clear(begin, 1, &before), "event_clear");
}

static void kill_victim(struct worker *worker, struct child *victim)
{
    uint64_t end = end_now;
    end_now = 0;
    uint64_t how = random_below(&worker->dice, 4);
    if (how == 1)
        sure(object_destroy((handle_t){victim->process.value}), "destroying a process");
    if (how == 2)
        (void)object_destroy((handle_t){victim->thread.value}); // it may have ended by itself
    if (how == 3)
        sure(handle_close((handle_t){end}), "closing the channel under its users");
    move_somewhere(worker, caller->self);
    child_end(victim);
    if (how != 3)
        sure(handle_close((handle_t){end}), "closing the channel");
    tally(PROCESSES_KILLED, 1);
}

static void kill_all(struct worker *worker)
{
    struct child victim;
    for (;;) {
        worker_turn(worker, 60); // roughly what a victim takes to make and to clear away
        stopped = stop;
        if (stop) {
            sure(thread_sleep(now_ns() + NS_PER_MS), "thread_sleep");
            continue;
        }
        move_somewhere(worker, worker->self); // its first thread begins there
        make_victim(worker, &victim);
        sure(thread_sleep(now_ns() + random_below(&worker->dice, 8 * NS_PER_MS)), "thread_sleep");
        kill_victim(worker, &victim);
    }
}

void victims_go(void)
{
    stopped = false;
    stop = false;
}

void victims_stop(void)
{
    stop = true;
    while ((!stopped || hunting != 0) && board->failed == 0)
        sure(thread_sleep(now_ns() + NS_PER_MS), "thread_sleep");
}

void victims_start(void)
{
    uint32_t cpus = (uint32_t)board->cpus;
    sure(event_create(start.account, &begin), "event_create");
    caller = worker_start(call_victims, "hunter", 0, LOAD_PRIORITY, 0);
    replier = worker_start(reply_to_victims, "hunter", 1, LOAD_PRIORITY, 1 % cpus);
    killer = worker_start(kill_all, "killer", 0, KILLER_PRIORITY, cpus - 1);
}

// ---- the victim's

static channel_t to_root;

static void call_root(struct worker *worker)
{
    for (;;) {
        uint64_t reply, gift;
        message_buffer()->handles[0] = gift = a_gift();
        status_t status = channel_call(to_root, MSG(8, 1), ABI_DEADLINE_NEVER, &reply);
        worker_turn(worker, 3);
        (void)handle_close((handle_t){gift});
        if (dead(status))
            thread_exit();
    }
}

static void reply_to_root(struct worker *worker)
{
    for (;;) {
        uint64_t message, token;
        status_t status = channel_receive(to_root, ABI_DEADLINE_NEVER, &message, &token);
        worker_turn(worker, 3);
        if (dead(status))
            thread_exit();
        if (status != STATUS_OK)
            continue;
        for (uint32_t i = 0; i < MSG_HANDLES(message); i++)
            (void)handle_close((handle_t){message_buffer()->handles[i]});
        if ((message & MSG_CALL) != 0)
            (void)channel_reply(to_root, token, MSG(8, 0));
    }
}

static event_t never;

// Lives until it is killed: waits, sleeps, calls, or runs.
static void live(void *argument)
{
    uint32_t signals;
    uint64_t reply;
    for (;;)
        switch ((uintptr_t)argument % 4) {
        case 0:
            (void)object_wait((handle_t){never.value}, 1, now_ns() + NS_PER_MS, &signals);
            break;
        case 1:
            (void)thread_sleep(now_ns() + NS_PER_MS / 4);
            break;
        case 2:
            (void)channel_call(to_root, MSG(8, 0), ABI_DEADLINE_NEVER, &reply);
            (void)thread_sleep(now_ns() + NS_PER_MS / 4);
            break;
        default:
            (void)thread_yield();
            break;
        }
}

static void churn(struct worker *worker)
{
    for (uintptr_t i = 0; i < CHURNED; i++) {
        thread_t thread;
        if (thread_spawn(live, (void *)i, LOAD_PRIORITY, &thread) != STATUS_OK)
            break;
        move_somewhere(worker, thread);
        (void)thread_sleep(now_ns() + random_below(&worker->dice, NS_PER_MS / 2));
        if (random_below(&worker->dice, 2) == 0)
            move_somewhere(worker, thread);
        else
            (void)thread_cancel(thread);
        if (object_destroy((handle_t){thread.value}) == STATUS_OK)
            tally(THREADS_KILLED, 1);
        move_somewhere(worker, thread);
        worker_turn(worker, 12);
    }
    for (;;) {
        account_t account;
        vmo_t vmo;
        if (account_create(start.account, 8, 4, 0, 0, 0, &account) != STATUS_OK)
            break;
        if (vmo_create(account, 4 * PAGE_SIZE, 0, &vmo) == STATUS_OK) {
            if (vm_map(start.aspace, vmo, 0, PLACE, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE) ==
                STATUS_OK)
                *(volatile uint64_t *)PLACE = 1;
            (void)vm_unmap(start.aspace, PLACE);
            (void)handle_close((handle_t){vmo.value});
        }
        (void)object_destroy((handle_t){account.value});
        (void)handle_close((handle_t){account.value});
        worker_turn(worker, 8);
        (void)thread_sleep(now_ns() + NS_PER_MS / 8);
    }
    thread_exit();
}

void victim_main(void)
{
    uint64_t message, token;
    if (channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &message, &token) != STATUS_OK)
        process_exit(0);
    to_root.value = message_buffer()->handles[0];
    sure(event_create(start.account, &never), "event_create");
    uint32_t cpus = (uint32_t)board->cpus, here = (uint32_t)(child_start.words[1] % cpus);
    worker_start(call_root, "", 0, LOAD_PRIORITY, here);
    worker_start(reply_to_root, "", 1, LOAD_PRIORITY, (here + 1) % cpus);
    worker_start(churn, "", 2, LOAD_PRIORITY, (here + 2) % cpus);
    sure(thread_sleep(ABI_DEADLINE_NEVER), "thread_sleep");
}
