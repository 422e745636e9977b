// SPDX-License-Identifier: MIT
//
// Sequential consistency, as a memory model like the other one: a load may read any store, and a
// store be placed anywhere, as long as one order of all events explains everything that was read,
// that is: program order, reads-from, modification order, and from each read to the stores behind
// the one that it read, have no cycle. So the search is the same as for weak memory, with its few
// executions; the naive search, which knows only newest values, agrees with it (random.c).
//
// Reading the newest store and placing a store last are always allowed: nothing is behind them.
#include <string.h>

#include "memory.h"

constexpr uint16_t NOTHING = UINT16_MAX;

static struct {
    uint16_t next; // of its thread
    uint16_t read, written;
    uint16_t reader;     // another one of the store that it read
    uint16_t lock_after; // the lock that its unlock has let in
    uint32_t visited;
} nodes[EVENTS_MAX];

static uint16_t last_of[THREADS], first_reader[STORES_MAX];
static uint32_t visit;
static uint16_t stack[EVENTS_MAX];
static unsigned stack_depth;

void order_reset(void)
{
    memset(last_of, 0xff, sizeof last_of);
    memset(first_reader, 0xff, sizeof first_reader);
}

static uint16_t node_new(unsigned thread)
{
    uint16_t event = (uint16_t)search_event_count();
    uint32_t visited = nodes[event].visited;
    nodes[event].next = nodes[event].reader = nodes[event].lock_after = NOTHING;
    nodes[event].read = nodes[event].written = 0;
    nodes[event].visited = visited;
    if (last_of[thread] != NOTHING)
        nodes[last_of[thread]].next = event;
    last_of[thread] = event;
    return event;
}

void order_note(unsigned thread, uint16_t read, uint16_t written)
{
    uint16_t event = node_new(thread);
    nodes[event].read = read;
    nodes[event].written = written;
    if (read) {
        nodes[event].reader = first_reader[read];
        first_reader[read] = event;
    }
}

void order_note_lock(unsigned thread, int unlocked)
{
    uint16_t event = node_new(thread);
    if (unlocked >= 0)
        nodes[unlocked].lock_after = event;
}

// ---- what comes after what

static void push(uint16_t event)
{
    if (event == NOTHING || nodes[event].visited == visit)
        return;
    nodes[event].visited = visit;
    stack[stack_depth++] = event;
}

// The next store behind it that an event has made: not plain code, in order with everything.
static uint16_t store_after(uint16_t store)
{
    do
        store = stores[store].next;
    while (store && stores[store].thread == THREADS);
    return store;
}

static void push_store_after(uint16_t store)
{
    uint16_t after = store_after(store);
    if (after)
        push((uint16_t)stores[after].event);
}

static void push_all_after(uint16_t event)
{
    push(nodes[event].next);
    push(nodes[event].lock_after);
    if (nodes[event].written) {
        push_store_after(nodes[event].written);
        for (uint16_t at = first_reader[nodes[event].written]; at != NOTHING; at = nodes[at].reader)
            if (!search_is_void(at))
                push(at);
    }
    if (nodes[event].read && !search_is_void(event))
        push_store_after(nodes[event].read);
}

static bool is_visited(uint16_t event)
{
    return event != NOTHING && nodes[event].visited == visit;
}

bool order_allows(unsigned thread, uint16_t store, bool writes)
{
    visit++;
    stack_depth = 0;
    push_store_after(store);
    while (stack_depth > 0)
        push_all_after(stack[--stack_depth]);
    // Is anything that it would come after behind what it would come before?
    if (is_visited(last_of[thread]) ||
        (stores[store].thread < THREADS && is_visited((uint16_t)stores[store].event)))
        return false;
    for (uint16_t at = first_reader[store]; writes && at != NOTHING; at = nodes[at].reader)
        if (is_visited(at) && !search_is_void(at))
            return false;
    return true;
}
