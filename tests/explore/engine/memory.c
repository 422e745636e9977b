// SPDX-License-Identifier: MIT
//
// The weak memory: for each atomic location the stores in modification order, for each thread
// what it knows. A load reads any store that is not before what its thread knows of the location;
// a store goes anywhere behind that; a read-modify-write stands right behind the store that it
// reads, which it closes. A release hands on what its thread knows with the store, an acquire
// takes it in; fences do so for the relaxed accesses before and after them. Sequentially
// consistent fences share what they know through one more view; such accesses, per location.
#include "memory.h"

#include <stdlib.h>
#include <string.h>

// What a thread, a store, a lock hands on: the newest store known of each location, and how far
// each thread had come (its releases counted).
struct knowledge {
    uint16_t clock[THREADS];
    uint16_t count; // entries of seen[]; the rest: the initial store
    uint16_t seen[];
};

struct thread_memory {
    struct knowledge *now, *acquired, *released; // released: at the last release fence
    bool has_released;
    bool pure; // since the last turn of a waiting loop: nothing but loads
    unsigned read_count;
    struct {
        uint16_t location, store;
    } reads[CHOICES_MAX];
    uint64_t signature, last_signature; // of the loads since the last turn, and before
};

struct location {
    uintptr_t address;
    uint8_t size;
    bool lock, held, rewritten;
    uint16_t first, last;
    uint32_t floor;            // stores of a lower rank are of an earlier life
    struct knowledge *message; // of a lock
    int event;                 // a lock's last unlock
};

static struct location locations[LOCATIONS_MAX];
static unsigned location_count;
struct store stores[STORES_MAX];
static uint32_t store_count; // 0 is no store
static struct thread_memory memories[THREADS];
static struct knowledge *sequential;

// ---- memory of one execution

static uint8_t *arena;
static size_t arena_used;
constexpr size_t ARENA_BYTES = 64 << 20;
constexpr size_t KNOWLEDGE_BYTES = sizeof(struct knowledge) + LOCATIONS_MAX * sizeof(uint16_t);

static void *take(size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (arena_used + bytes > ARENA_BYTES)
        explore_fail("limit", "the execution is too long for the explorer's memory");
    void *at = arena + arena_used;
    arena_used += bytes;
    return at;
}

static struct knowledge *knowledge_copy(const struct knowledge *from)
{
    size_t bytes = sizeof *from + from->count * sizeof(uint16_t);
    return memcpy(take(bytes), from, bytes);
}

static struct knowledge *knowledge_full(void)
{
    struct knowledge *fresh = take(KNOWLEDGE_BYTES);
    memset(fresh->clock, 0, sizeof fresh->clock);
    fresh->count = 0;
    return fresh;
}

static uint32_t rank_of(uint16_t store)
{
    return store ? stores[store].rank : 0;
}

static uint16_t seen(const struct knowledge *of, uint16_t location)
{
    return location < of->count ? of->seen[location] : 0;
}

static void see(struct knowledge *full, uint16_t location, uint16_t store)
{
    while (full->count <= location)
        full->seen[full->count++] = 0;
    if (rank_of(store) > rank_of(full->seen[location]))
        full->seen[location] = store;
}

static void join_views(struct knowledge *full, const struct knowledge *other)
{
    while (full->count < other->count)
        full->seen[full->count++] = 0;
    for (unsigned i = 0; i < other->count; i++)
        if (other->seen[i] && rank_of(other->seen[i]) > rank_of(full->seen[i]))
            full->seen[i] = other->seen[i];
}

static void join(struct knowledge *full, const struct knowledge *other)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (other->clock[i] > full->clock[i])
            full->clock[i] = other->clock[i];
    join_views(full, other);
}

void memory_reset(void)
{
    if (!arena)
        arena = malloc(ARENA_BYTES);
    arena_used = 0;
    location_count = 0;
    store_count = 0;
    sequential = knowledge_full();
    order_reset();
    for (unsigned i = 0; i < THREADS; i++) {
        memories[i] = (struct thread_memory){.now = knowledge_full(),
                                             .acquired = knowledge_full(),
                                             .released = knowledge_full(),
                                             .pure = true};
        memories[i].now->clock[i] = 1;
    }
}

const uint16_t *memory_thread_clocks(unsigned thread)
{
    return memories[thread].now->clock;
}

// ---- locations

constexpr unsigned BUCKETS = 8192;
static struct {
    uint64_t execution;
    uint16_t location;
} buckets[BUCKETS];

static uint64_t read_memory(uintptr_t address, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, size);
    return value;
}

static uint16_t store_new(uint16_t location, uint64_t value)
{
    if (store_count + 1 >= STORES_MAX)
        explore_fail("limit", "the execution makes too many stores");
    stores[++store_count] =
        (struct store){.location = location, .value = value, .thread = THREADS, .event = -1};
    return (uint16_t)store_count;
}

static void place_last(struct location *location, uint16_t store)
{
    stores[store].previous = location->last;
    stores[store].rank = location->last ? stores[location->last].rank + 1 : 0;
    if (location->last)
        stores[location->last].next = store;
    else
        location->first = store;
    location->last = store;
}

static uint16_t location_at(uintptr_t address, unsigned size, bool lock)
{
    // One chain for all that may overlap.
    unsigned bucket = (unsigned)((address >> 3) * 0x9e37'79b1u) % BUCKETS;
    for (;; bucket = (bucket + 1) % BUCKETS) {
        if (buckets[bucket].execution != execution)
            break;
        struct location *known = &locations[buckets[bucket].location];
        if (known->lock != lock)
            continue;
        if (!lock && (known->address != address || known->size != size) &&
            known->address < address + size && address < known->address + known->size)
            explore_fail("mixed size", "atomic accesses of %u and %u bytes at %p", known->size,
                         size, (void *)address);
        if (known->address != address)
            continue;
        uint16_t number = buckets[bucket].location;
        if (known->rewritten) { // plainly, in order with all accesses: race.c has seen to that
            known->rewritten = false;
            place_last(known, store_new(number, read_memory(address, size)));
            stores[known->last].event = (int)search_event_count();
            known->floor = stores[known->last].rank;
        }
        return number;
    }
    if (location_count == LOCATIONS_MAX)
        explore_fail("limit", "there are too many atomic locations");
    uint16_t number = (uint16_t)location_count++;
    buckets[bucket].execution = execution;
    buckets[bucket].location = number;
    locations[number] =
        (struct location){.address = address, .size = (uint8_t)size, .lock = lock, .event = -1};
    if (!lock)
        place_last(&locations[number], store_new(number, read_memory(address, size)));
    return number;
}

void memory_written_plainly(uintptr_t address, size_t bytes)
{
    for (unsigned i = 0; i < location_count; i++) {
        struct location *location = &locations[i];
        if (!location->lock && location->address < address + bytes &&
            address < location->address + location->size)
            location->rewritten = true;
    }
}

bool memory_enabled(unsigned thread)
{
    const struct operation *op = &threads[thread].op;
    if (op->kind == OP_LOCK)
        return !locations[location_at(op->address, 0, true)].held;
    if (op->kind == OP_WAIT)
        return stores[locations[location_at(op->address, op->size, false)].last].value != 0;
    return true;
}

// ---- what is possible

unsigned memory_plain_choice;

static bool is_sequential(const struct operation *op)
{
    return op->order == __ATOMIC_SEQ_CST && !config.sequential;
}

static bool acquires(uint8_t order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL ||
           order == __ATOMIC_SEQ_CST || config.sequential;
}

static bool releases(uint8_t order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST ||
           config.sequential;
}

// The lowest rank that the operation may read, or write behind.
static uint32_t lower_bound(unsigned thread, const struct operation *op, uint16_t number)
{
    uint32_t bound = rank_of(seen(memories[thread].now, number));
    if (is_sequential(op)) {
        uint32_t other = rank_of(seen(sequential, number));
        bound = other > bound ? other : bound;
    }
    const struct location *location = &locations[number];
    if (config.sequential && config.mode == EXPLORE_NAIVE)
        bound = stores[location->last].rank;
    return bound > location->floor ? bound : location->floor;
}

static bool can_take(unsigned thread, const struct operation *op, uint16_t store)
{
    bool writes = op->kind == OP_STORE || op->kind == OP_RMW ||
                  (op->kind == OP_CAS && stores[store].value == op->expected);
    if (writes && stores[store].closed)
        return false;
    return !config.sequential || !stores[store].next || order_allows(thread, store, writes);
}

// The `choice`th outcome, newest first; counts them when `choice` is out of reach.
static uint16_t outcome(unsigned thread, const struct operation *op, uint16_t number,
                        unsigned choice, uint32_t mark, unsigned *count)
{
    uint32_t bound = lower_bound(thread, op, number);
    unsigned found = 0, all = 0;
    for (uint16_t at = locations[number].last; at && stores[at].rank >= bound;
         at = stores[at].previous) {
        bool possible = can_take(thread, op, at);
        bool fresh = op->kind == OP_STORE || stores[at].event + 1 >= (int)mark;
        if (possible && fresh && found++ == choice) {
            memory_plain_choice = all;
            return at;
        }
        all += possible;
        if (stores[at].rank == 0)
            break;
    }
    *count = found;
    return 0;
}

unsigned memory_choices(unsigned thread, uint32_t mark)
{
    const struct operation *op = &threads[thread].op;
    unsigned count = 1;
    switch (op->kind) {
    case OP_LOAD:
    case OP_STORE:
    case OP_RMW:
    case OP_CAS:
        (void)outcome(thread, op, location_at(op->address, op->size, false), UINT32_MAX, mark,
                      &count);
        return count < CHOICES_MAX ? count : CHOICES_MAX;
    case OP_CHOOSE:
        return op->choices;
    case OP_NONE:
    case OP_FENCE:
    case OP_LOCK:
    case OP_UNLOCK:
    case OP_WAIT:
        break;
    }
    return 1;
}

// ---- doing it

static void wake_readers(uint16_t number, uint16_t store)
{
    for (unsigned i = 0; i < thread_count; i++) {
        if (threads[i].state != THREAD_BLOCKED)
            continue;
        for (unsigned n = 0; n < memories[i].read_count; n++)
            if (memories[i].reads[n].location == number) {
                threads[i].state = THREAD_READY;
                see(memories[i].now, number, store); // reading the old one again shows nothing new
                break;
            }
        if (threads[i].state == THREAD_READY)
            memories[i].read_count = 0;
    }
}

static void do_read(unsigned thread, struct operation *op, uint16_t number, uint16_t store,
                    uint8_t order)
{
    struct thread_memory *mine = &memories[thread];
    op->old = stores[store].value;
    see(mine->now, number, store);
    if (stores[store].message)
        join(acquires(order) ? mine->now : mine->acquired, stores[store].message);
    mine->signature = (mine->signature ^ op->pc ^ op->address) * 0x100'0000'01b3;
    if (mine->read_count < CHOICES_MAX) {
        mine->reads[mine->read_count].location = number;
        mine->reads[mine->read_count++].store = store;
    } else {
        mine->pure = false;
    }
}

static uint16_t do_write(unsigned thread, const struct operation *op, uint16_t number,
                         uint16_t behind, uint64_t value, const struct knowledge *also)
{
    struct thread_memory *mine = &memories[thread];
    struct location *location = &locations[number];
    uint16_t store = store_new(number, value);
    stores[store].thread = (uint8_t)thread;
    stores[store].event = (int)search_event_count();
    if (behind == location->last) {
        if (explore_on_store)
            explore_on_store(location->address, stores[behind].value, value);
        place_last(location, store);
        save_memory(location->address, location->size);
        memcpy((void *)location->address, &value, location->size);
    } else {
        stores[store].previous = behind;
        stores[store].next = stores[behind].next;
        stores[stores[behind].next].previous = store;
        stores[behind].next = store;
        uint32_t rank = stores[behind].rank;
        for (uint16_t at = store; at; at = stores[at].next)
            stores[at].rank = ++rank;
    }
    see(mine->now, number, store);
    if (is_sequential(op))
        see(sequential, number, store);
    struct knowledge *message = nullptr;
    if (releases(op->order)) {
        message = knowledge_copy(mine->now);
        mine->now->clock[thread]++;
    } else if (mine->has_released) {
        message = knowledge_full();
        join(message, mine->released);
        see(message, number, store);
    }
    if (also) { // a read-modify-write goes on with what the store that it read hands on
        struct knowledge *both = knowledge_full();
        join(both, also);
        if (message)
            join(both, message);
        see(both, number, store);
        message = both;
    }
    stores[store].message = message;
    mine->pure = false;
    wake_readers(number, store);
    return store;
}

static uint64_t changed(const struct operation *op)
{
    uint64_t result = op->value;
    switch (op->rmw) {
    case RMW_EXCHANGE:
        break;
    case RMW_ADD:
        result = op->old + op->value;
        break;
    case RMW_SUB:
        result = op->old - op->value;
        break;
    case RMW_AND:
        result = op->old & op->value;
        break;
    case RMW_OR:
        result = op->old | op->value;
        break;
    case RMW_XOR:
        result = op->old ^ op->value;
        break;
    case RMW_NAND:
        result = ~(op->old & op->value);
        break;
    }
    return op->size == 8 ? result : result & ((1ull << op->size * 8) - 1);
}

static void do_fence(unsigned thread, const struct operation *op)
{
    struct thread_memory *mine = &memories[thread];
    if (acquires(op->order))
        join(mine->now, mine->acquired);
    if (is_sequential(op)) {
        join_views(mine->now, sequential);
        join_views(sequential, mine->now);
    }
    if (releases(op->order)) {
        join(mine->released, mine->now);
        mine->has_released = true;
        mine->now->clock[thread]++;
    }
}

static void do_lock(unsigned thread, const struct operation *op, struct conflict *conflict)
{
    uint16_t number = location_at(op->address, 0, true);
    struct location *lock = &locations[number];
    conflict->location = number;
    conflict->symmetric = op->kind == OP_LOCK;
    conflict->from = lock->event;
    memories[thread].pure = false;
    if (op->kind == OP_LOCK) {
        if (lock->held)
            explore_fail("engine", "a held lock is taken");
        lock->held = true;
        if (lock->message)
            join(memories[thread].now, lock->message);
        return;
    }
    if (!lock->held)
        explore_fail("check", "a lock is released that nobody holds");
    lock->held = false;
    lock->message = knowledge_copy(memories[thread].now);
    lock->event = (int)search_event_count();
    memories[thread].now->clock[thread]++;
}

void memory_perform(unsigned thread, unsigned choice, uint32_t mark)
{
    struct operation *op = &threads[thread].op;
    struct conflict conflict = {.thread = thread, .kind = op->kind, .from = -1};
    if (op->kind == OP_FENCE) {
        do_fence(thread, op);
        conflict.symmetric = is_sequential(op);
        order_note(thread, 0, 0);
    } else if (op->kind == OP_LOCK || op->kind == OP_UNLOCK) {
        do_lock(thread, op, &conflict);
        order_note_lock(thread, op->kind == OP_LOCK ? conflict.from : -1);
    } else if (op->kind == OP_CHOOSE) {
        op->chosen = choice;
        order_note(thread, 0, 0);
    } else {
        uint16_t number = location_at(op->address, op->size, false);
        unsigned count = 0;
        uint16_t store = op->kind == OP_WAIT ? locations[number].last
                                             : outcome(thread, op, number, choice, mark, &count);
        if (!store)
            explore_fail("engine", "outcome %u of %u does not exist", choice, count);
        op->success = op->kind != OP_CAS || stores[store].value == op->expected;
        conflict.location = number;
        conflict.reads = op->kind != OP_STORE;
        conflict.writes = op->kind != OP_LOAD && op->kind != OP_WAIT && op->success;
        conflict.might_write = op->kind == OP_CAS;
        conflict.symmetric = is_sequential(op);
        conflict.from = conflict.reads && stores[store].thread < THREADS ? stores[store].event : -1;
        race_atomic(op->address, op->size, conflict.writes, op->pc);
        uint8_t order = op->success ? op->order : op->failure_order;
        if (conflict.reads)
            do_read(thread, op, number, store, order);
        if (conflict.reads && conflict.writes)
            stores[store].closed = 1;
        uint16_t written = 0;
        if (conflict.writes)
            written =
                do_write(thread, op, number, store, op->kind == OP_RMW ? changed(op) : op->value,
                         conflict.reads ? stores[store].message : nullptr);
        order_note(thread, conflict.reads ? store : 0, written);
    }
    search_performed(&conflict);
}

enum turn memory_turn(unsigned thread)
{
    struct thread_memory *mine = &memories[thread];
    bool newest = true, same = mine->pure && mine->signature == mine->last_signature;
    for (unsigned i = 0; i < mine->read_count; i++)
        newest &= locations[mine->reads[i].location].last == mine->reads[i].store;
    mine->last_signature = mine->pure ? mine->signature : 0;
    mine->signature = 0;
    mine->pure = true;
    if (same && newest)
        return TURN_WAITS; // the reads are forgotten when it is woken
    // At random it goes on: what it does not know yet it sees next.
    for (unsigned i = 0; same && i < mine->read_count; i++)
        see(mine->now, mine->reads[i].location, locations[mine->reads[i].location].last);
    mine->read_count = 0;
    return same ? TURN_STALE : TURN_GOES_ON;
}
