// SPDX-License-Identifier: MIT
//
// The tree of decisions, depth first. A node is an event: which thread went on, with which
// outcome. Two events are dependent if their order matters:
//
//   a read and a later write of a location by another thread: reversed, it might be read. Nothing
//     orders them: reads and writes commute unless one reads the other, and so do writes, which
//     may be placed anywhere in modification order.
//   locks of one lock, sequentially consistent accesses of a location, such fences: symmetric.
//
// For each such pair that nothing else orders, a node of the path gets a thread to try (source
// sets). What was tried sleeps below the siblings until a dependent event wakes it; a load, only
// for stores that came later (`mark`).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

constexpr uint32_t ASLEEP = UINT32_MAX;

struct node {
    uint8_t thread, enabled, available, backtrack, done;
    uint16_t choice, choices; // choices 0: not counted yet
    uint16_t plain;           // the choice's number with nothing left out
    uint32_t sleep[THREADS];
};

struct event {
    uint8_t thread;
    enum operation_kind kind;
    bool reads, writes, symmetric, is_void;
    bool might_write;
    uint16_t location;
    uint16_t clock[THREADS]; // events of each thread that come before, this one included
};

static struct node path[EVENTS_MAX];
static unsigned path_length; // decided: the rest of the execution is new
static struct event events[EVENTS_MAX];
static unsigned event_count, point_count;
static uint16_t clocks[THREADS][THREADS];
static uint32_t sleeping[THREADS];
static unsigned turn_started[THREADS]; // the event at which its turn began
static uint64_t dice;
static bool replaying;

unsigned search_event_count(void)
{
    return event_count;
}

unsigned search_point_count(void)
{
    return point_count;
}

void search_begin(void)
{
    event_count = point_count = 0;
    memset(clocks, 0, sizeof clocks);
    memset(sleeping, 0, sizeof sleeping);
    memset(turn_started, 0, sizeof turn_started);
    if (config.mode == EXPLORE_RANDOM && !replaying)
        path_length = 0;
}

void search_reset(void)
{
    dice = config.seed * 0x9e37'79b97f4a7c15ull + 1;
    path_length = 0;
}

static uint64_t roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

// ---- which thread goes on

static uint8_t bit(unsigned thread)
{
    return (uint8_t)(1u << thread);
}

static bool is_load_like(const struct operation *op)
{
    return op->kind == OP_LOAD || op->kind == OP_RMW || op->kind == OP_CAS;
}

static uint32_t mark_of(const struct node *node, unsigned thread)
{
    return node->sleep[thread] == ASLEEP ? 0 : node->sleep[thread];
}

static void node_open(struct node *node)
{
    *node = (struct node){};
    memcpy(node->sleep, sleeping, sizeof sleeping);
    for (unsigned t = 0; t < thread_count; t++) {
        if (threads[t].state != THREAD_READY || !memory_enabled(t))
            continue;
        node->enabled |= bit(t);
        if (sleeping[t] == 0 || (sleeping[t] != ASLEEP && memory_choices(t, sleeping[t]) > 0))
            node->available |= bit(t);
    }
}

static unsigned nth(uint8_t mask, unsigned n)
{
    while (n-- > 0)
        mask &= (uint8_t)(mask - 1);
    return (unsigned)__builtin_ctz(mask);
}

static bool node_choose(struct node *node)
{
    if (!node->available)
        return false;
    node->thread =
        (uint8_t)(current < THREADS && node->available & bit(current) ? current
                                                                      : nth(node->available, 0));
    if (config.mode == EXPLORE_RANDOM)
        node->thread = (uint8_t)nth(
            node->available, (unsigned)(roll() % (unsigned)__builtin_popcount(node->available)));
    node->backtrack = config.mode == EXPLORE_NAIVE ? node->enabled : bit(node->thread);
    return true;
}

unsigned search_pick(unsigned *choice, uint32_t *mark)
{
    if (event_count == EVENTS_MAX)
        explore_fail("livelock", "the execution goes on for %u events", EVENTS_MAX);
    struct node *node = &path[event_count];
    if (event_count >= path_length) {
        node_open(node);
        if (!node_choose(node))
            return THREADS;
        path_length = event_count + 1;
    } else if (replaying) {
        unsigned thread = node->thread, wanted = node->choice;
        node_open(node);
        node->thread = (uint8_t)thread;
        node->choice = (uint16_t)wanted;
        if (!(node->enabled & bit(thread)))
            explore_fail("schedule", "thread %s cannot go on at event %u", threads[thread].name,
                         event_count);
    }
    point_count += (node->enabled & (node->enabled - 1)) != 0;
    if (node->choices == 0) {
        node->choices = (uint16_t)memory_choices(node->thread, mark_of(node, node->thread));
        if (config.mode == EXPLORE_RANDOM && !replaying)
            node->choice = (uint16_t)(roll() % node->choices);
        if (node->choices == 0)
            explore_fail("engine", "a thread has no outcome");
    }
    *choice = node->choice;
    *mark = mark_of(node, node->thread);
    return node->thread;
}

bool search_next(void)
{
    if (config.mode == EXPLORE_RANDOM)
        return true;
    for (unsigned d = path_length; d-- > 0;) {
        struct node *node = &path[d];
        path_length = d + 1;
        if (node->choice + 1u < node->choices) {
            node->choice++;
            return true;
        }
        node->done |= bit(node->thread);
        uint8_t left = node->backtrack & node->available & (uint8_t)~node->done;
        if (left) {
            node->thread = (uint8_t)nth(left, 0);
            node->choice = node->choices = 0;
            return true;
        }
    }
    return false;
}

// ---- what depends on what

static bool comes_before(const struct event *earlier, const uint16_t *clock)
{
    return earlier->clock[earlier->thread] <= clock[earlier->thread];
}

static void clock_join(uint16_t *into, const uint16_t *other)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (other[i] > into[i])
            into[i] = other[i];
}

static bool symmetric_conflict(const struct event *a, const struct event *b)
{
    if (!a->symmetric || !b->symmetric)
        return false;
    if (a->kind == OP_LOCK || b->kind == OP_LOCK)
        return a->kind == b->kind && a->location == b->location;
    if (a->kind == OP_FENCE || b->kind == OP_FENCE)
        return true;
    return a->location == b->location &&
           (a->writes || b->writes || a->might_write || b->might_write);
}

static bool read_before_write(const struct event *a, const struct event *b)
{
    return a->reads && !a->is_void && (b->writes || b->might_write) && a->location == b->location;
}

// The path gets another thread to try at event i, so that `last` comes before it.
static void add_backtrack(unsigned i, unsigned last)
{
    struct node *node = &path[i];
    uint8_t seen = 0, initials = 0;
    uint16_t first[THREADS];
    for (unsigned k = i + 1; k <= last; k++) {
        const struct event *event = &events[k];
        if (k != last && comes_before(&events[i], event->clock))
            continue;
        if (seen & bit(event->thread))
            continue;
        bool initial = true;
        for (unsigned t = 0; t < thread_count; t++)
            initial &= !(seen & bit(t)) || event->clock[t] < first[t];
        seen |= bit(event->thread);
        first[event->thread] = event->clock[event->thread];
        if (initial)
            initials |= bit(event->thread);
    }
    // A load that sleeps but for stores that are not there yet covers nothing: after another
    // initial it may read that one's store.
    if (initials & ((node->backtrack & node->available) | node->done))
        return;
    for (unsigned t = 0; t < thread_count; t++)
        if (initials & bit(t) && node->sleep[t] == ASLEEP)
            return;
    uint8_t possible = initials & node->available;
    if (possible & bit(events[last].thread))
        node->backtrack |= bit(events[last].thread);
    else if (possible)
        node->backtrack |= bit(nth(possible, 0));
    else
        node->backtrack |= node->enabled;
}

// Whether what a sleeping thread wants to do depends on what was just done.
static bool wakes(const struct operation *wanted, const struct operation *done,
                  const struct event *event)
{
    if (wanted->kind == OP_LOCK)
        return done->kind == OP_LOCK && done->address == wanted->address;
    if (wanted->kind == OP_WAIT)
        return event->writes && done->address == wanted->address;
    bool sequential = wanted->order == __ATOMIC_SEQ_CST || config.sequential;
    if (!sequential || !event->symmetric || done->kind == OP_LOCK)
        return false;
    if (wanted->kind == OP_FENCE || done->kind == OP_FENCE)
        return wanted->kind != OP_CHOOSE && wanted->kind != OP_UNLOCK;
    return wanted->address == done->address && wanted->kind != OP_UNLOCK &&
           wanted->kind != OP_CHOOSE &&
           (event->writes || event->might_write || wanted->kind != OP_LOAD);
}

static void sleep_on(unsigned now, unsigned thread, const struct event *event)
{
    const struct node *node = &path[now];
    for (unsigned t = 0; t < thread_count; t++) {
        uint32_t sleep = t == thread ? 0 : node->sleep[t];
        if (t != thread && node->done & bit(t))
            sleep = is_load_like(&threads[t].op) && !config.sequential ? now + 1 : ASLEEP;
        if (sleep && wakes(&threads[t].op, &threads[thread].op, event))
            sleep = 0;
        sleeping[t] = config.mode == EXPLORE_DPOR ? sleep : 0;
    }
}

void search_performed(const struct conflict *conflict)
{
    unsigned now = event_count, thread = conflict->thread;
    struct event *event = &events[now];
    *event = (struct event){.thread = (uint8_t)thread,
                            .kind = conflict->kind,
                            .reads = conflict->reads,
                            .writes = conflict->writes,
                            .symmetric = conflict->symmetric,
                            .might_write = conflict->might_write,
                            .location = conflict->location};
    uint16_t before[THREADS];
    memcpy(before, clocks[thread], sizeof before);
    memcpy(event->clock, before, sizeof before);
    if (conflict->from >= 0)
        clock_join(event->clock, events[conflict->from].clock);
    event->clock[thread] = ++clocks[thread][thread];
    uint8_t found = 0; // threads whose last conflicting event has been dealt with
    bool dependent = event->writes || event->might_write || event->symmetric;
    for (unsigned i = now; dependent && config.mode == EXPLORE_DPOR && i-- > 0;) {
        const struct event *earlier = &events[i];
        if (earlier->thread == thread || found & bit(earlier->thread))
            continue;
        bool symmetric = symmetric_conflict(earlier, event);
        if (!symmetric && !read_before_write(earlier, event))
            continue;
        found |= bit(earlier->thread);
        if (!comes_before(earlier, before))
            add_backtrack(i, now);
        if (symmetric) {
            clock_join(event->clock, earlier->clock);
            clock_join(before, earlier->clock);
        }
    }
    memcpy(clocks[thread], event->clock, sizeof event->clock);
    path[now].plain =
        (uint16_t)(conflict->kind == OP_CHOOSE ? path[now].choice : memory_plain_choice);
    sleep_on(now, thread, event);
    event_count++;
}

void search_turn(unsigned thread, bool waits)
{
    for (unsigned i = turn_started[thread]; waits && i < event_count; i++)
        if (events[i].thread == thread)
            events[i].is_void = true;
    turn_started[thread] = event_count;
}

// ---- schedules as text: "a12b3.1a" is 12 events of thread 0, 3 of thread 1 of which the last has
// its second outcome, one more of thread 0

void search_describe(char *out, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < event_count && at + 16 < size;) {
        unsigned run = 1;
        while (i + run < event_count && path[i + run - 1].plain == 0 &&
               path[i + run].thread == path[i].thread)
            run++;
        at += (size_t)snprintf(out + at, size - at, "%c", 'a' + path[i].thread);
        if (run > 1)
            at += (size_t)snprintf(out + at, size - at, "%u", run);
        if (path[i + run - 1].plain)
            at += (size_t)snprintf(out + at, size - at, ".%u", path[i + run - 1].plain);
        i += run;
    }
    out[at] = '\0';
}

static unsigned take_number(const char **text)
{
    unsigned number = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        number = 10 * number + (unsigned)(**text - '0');
    return number;
}

bool search_replay(const char *schedule)
{
    replaying = schedule != nullptr;
    path_length = 0;
    while (schedule && *schedule) {
        if (*schedule < 'a' || *schedule >= (char)('a' + THREADS))
            return false;
        unsigned thread = (unsigned)(*schedule++ - 'a');
        unsigned run = *schedule >= '0' && *schedule <= '9' ? take_number(&schedule) : 1;
        unsigned choice = 0;
        if (*schedule == '.') {
            schedule++;
            choice = take_number(&schedule);
        }
        if (path_length + run > EVENTS_MAX)
            return false;
        for (; run > 0; run--)
            path[path_length++] = (struct node){
                .thread = (uint8_t)thread, .choice = run == 1 ? (uint16_t)choice : (uint16_t)0};
    }
    return true;
}
