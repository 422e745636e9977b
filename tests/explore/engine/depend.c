// SPDX-License-Identifier: MIT
//
// What has happened, and which thread must be tried earlier because of it. Two events are
// dependent if their order matters:
//
//   a read and a later write of a location by another thread: reversed, it might be read. Nothing
//     orders them: reads and writes commute unless one reads the other, and so do writes, which
//     may be placed anywhere in modification order.
//   locks of one lock, sequentially consistent accesses of a location, such fences: symmetric.
//   in an ordered search: any two accesses of a location, one of which writes.
//
// For each such pair that nothing else orders, a node of the path gets a thread to try (source
// sets). What was tried sleeps below the siblings until a dependent event wakes it; a load, only
// for stores that came later (`mark`).
//
// Under a bound on preemptions an order may be out of reach though an equivalent one is not. So
// every pair counts, not only the last; the thread is also tried where the run of events of one
// thread begins in which it would preempt; nothing sleeps (Coons, Musuvathi, McKinley: Bounded
// Partial-Order Reduction, 2013). And a thread is tried before what it would have had to wait for: it
// may come as far as that, and to go on from there with any other one is no preemption.
#include <string.h>

#include "search.h"

struct event events[EVENTS_MAX];
unsigned event_count;
static uint16_t clocks[THREADS][THREADS];
static unsigned turn_started[THREADS]; // the event at which its turn began

void depend_begin(void)
{
    event_count = 0;
    memset(clocks, 0, sizeof clocks);
    memset(turn_started, 0, sizeof turn_started);
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

static bool is_access(const struct event *event)
{
    return event->reads || event->writes;
}

static bool symmetric_conflict(const struct event *a, const struct event *b)
{
    if (is_ordered() && is_access(a) && is_access(b) && a->location == b->location &&
        (a->writes || b->writes || a->might_write || b->might_write))
        return true;
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

// Whether an event would have had to wait, without an earlier one.
static bool lets_go_on(const struct event *earlier, const struct event *event)
{
    if (earlier->location != event->location)
        return false;
    return event->kind == OP_LOCK ? earlier->kind == OP_UNLOCK
                                  : event->kind == OP_WAIT && earlier->writes;
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

// The same under a bound: without thought of what else would show it.
static void add_conservatively(unsigned i, unsigned thread)
{
    struct node *node = &path[i];
    node->backtrack |= node->enabled & bit(thread) ? bit(thread) : node->enabled;
}

static void add_bounded(unsigned i, unsigned thread)
{
    unsigned start = i;
    while (start > 0 && path[start - 1].thread == path[i].thread)
        start--;
    add_conservatively(i, thread);
    add_conservatively(start, thread);
}

static bool is_load_like(const struct operation *op)
{
    return op->kind == OP_LOAD || op->kind == OP_RMW || op->kind == OP_CAS;
}

// Whether what a sleeping thread wants to do depends on what was just done.
static bool wakes(const struct operation *wanted, const struct operation *done,
                  const struct event *event)
{
    if (wanted->kind == OP_LOCK)
        return done->kind == OP_LOCK && done->address == wanted->address;
    if (wanted->kind == OP_WAIT)
        return event->writes && done->address == wanted->address;
    if (is_ordered() && wanted->address == done->address &&
        (event->writes || event->might_write || (event->reads && wanted->kind != OP_LOAD)))
        return true;
    if (wanted->order != __ATOMIC_SEQ_CST || !event->symmetric || done->kind == OP_LOCK)
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
            sleep = is_load_like(&threads[t].op) && !is_ordered() ? now + 1 : ASLEEP;
        if (sleep && wakes(&threads[t].op, &threads[thread].op, event))
            sleep = 0;
        sleeping[t] = config.mode == EXPLORE_DPOR && !config.bounded ? sleep : 0;
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
    bool dependent = event->writes || event->might_write || event->symmetric ||
                     (is_ordered() && event->reads) || (config.bounded && event->kind == OP_WAIT);
    for (unsigned i = now; dependent && config.mode == EXPLORE_DPOR && i-- > 0;) {
        const struct event *earlier = &events[i];
        if (earlier->thread == thread || (!config.bounded && found & bit(earlier->thread)))
            continue;
        bool symmetric = symmetric_conflict(earlier, event);
        if (!symmetric && !read_before_write(earlier, event) &&
            !(config.bounded && lets_go_on(earlier, event)))
            continue;
        found |= bit(earlier->thread);
        if (!comes_before(earlier, before)) {
            if (config.bounded)
                add_bounded(i, thread);
            else
                add_backtrack(i, now);
        }
        if (symmetric)
            clock_join(event->clock, earlier->clock);
        if (symmetric && !config.bounded)
            clock_join(before, earlier->clock);
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

bool search_is_void(unsigned event)
{
    return events[event].is_void;
}
