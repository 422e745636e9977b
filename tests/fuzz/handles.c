// SPDX-License-Identifier: MIT
// build: tests/fuzz/kernel_fuzz.c tests/fuzz/kernel_pages.c tests/unit/kernel_alone.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Handle values. Two processes make events, duplicate, close, destroy, send and receive handles to
// them, and look them up with values that are right, stale, somebody else's or forged; slots come
// to the end of their generations. The model is a table of what was given to whom: each answer must
// be the one that follows from it, each lookup that succeeds must come to the object that was meant,
// and no value is ever given twice.
#include <string.h>

#include "kernel_fuzz.h"
#include "process.h"

constexpr size_t RECORD = 6;
constexpr unsigned STEPS_MAX = 80, VALUES_MAX = 256, OBJECTS_MAX = 128, DEPTH = 2;
constexpr uint64_t OLDEST = UINT32_MAX; // the last generation of a slot

// ---- the model

static struct target {
    uint64_t id; // as the kernel told when it was made
    bool gone;
    uint32_t handles; // to it, in tables and in messages
    uint64_t signals;
} objects[OBJECTS_MAX];

struct holding {
    uint64_t value;
    struct target *object;
    uint32_t rights;
    bool held;
};

static struct side {
    struct actor *actor;
    uint64_t end; // of the channel between the two
    // What it has from the beginning: not part of the game.
    uint64_t fixed[HANDLES_PER_PAGE];
    unsigned fixed_count;
    struct holding values[VALUES_MAX]; // all that it was ever given
    unsigned count;
    struct holding queue[DEPTH]; // messages that wait for it: one handle each
    unsigned queued;
} sides[2];
static unsigned object_count;

static struct holding *model_find(struct side *side, uint64_t value)
{
    for (unsigned i = 0; i < side->count; i++)
        if (side->values[i].held && side->values[i].value == value)
            return &side->values[i];
    return nullptr;
}

static bool is_fixed(const struct side *side, uint64_t value)
{
    for (unsigned i = 0; i < side->fixed_count; i++)
        if (side->fixed[i] == value)
            return true;
    return false;
}

static void model_give(struct side *side, uint64_t value, struct target *object, uint32_t rights)
{
    for (unsigned i = 0; i < side->count; i++)
        FUZZ_EXPECT(side->values[i].value != value);
    FUZZ_EXPECT(!is_fixed(side, value) && value != 0);
    FUZZ_EXPECT(side->count < VALUES_MAX);
    side->values[side->count++] = (struct holding){value, object, rights, true};
}

// The last handle to an event takes it along.
static void model_drop(struct target *object)
{
    object->handles--;
    object->gone |= object->handles == 0;
}

static status_t model_lookup(struct side *side, uint64_t value, uint32_t rights)
{
    const struct holding *found = model_find(side, value);
    if (!found)
        return STATUS_BAD_HANDLE;
    if ((found->rights & rights) != rights)
        return STATUS_NO_RIGHT;
    return found->object->gone ? STATUS_GONE : STATUS_OK;
}

// ---- choosing a value

// One that it was given at some time, maybe; never one of those that it always has.
static uint64_t choose(struct side *side, struct input *input)
{
    struct side *other = side == &sides[0] ? &sides[1] : &sides[0];
    uint64_t how = input_below(input, 16), value = input_number(input, 2);
    const struct side *from = how == 13 ? other : side;
    if (how < 15)
        value = from->count ? from->values[value % from->count].value : value;
    if (how < 8 && from->count) // the newest
        value = from->values[from->count - 1].value;
    if (how == 14)
        value ^= 1ull << input_below(input, 64);
    if (how == 15)
        value |= input_number(input, 1) << 32;
    return is_fixed(side, value) ? 0 : value;
}

// ---- steps

static struct abi_inspect *inspected(struct side *side)
{
    return (struct abi_inspect *)(void *)side->actor->thread->message->data;
}

static void make(struct side *side)
{
    struct outcome out = CALL(side->actor, EVENT_CREATE, side->actor->account);
    if (object_count == OBJECTS_MAX || out.status == STATUS_NO_OBJECTS)
        return;
    EXPECT_STATUS(out.status, OK);
    EXPECT_CALL(OK, side->actor, OBJECT_INSPECT, out.value[0]);
    struct target *object = &objects[object_count++];
    *object = (struct target){.id = inspected(side)->id, .handles = 1};
    model_give(side, out.value[0], object, RIGHTS_EVENT);
}

static void look(struct side *side, uint64_t value)
{
    status_t wanted = model_lookup(side, value, RIGHT_INSPECT);
    FUZZ_EXPECT(CALL(side->actor, OBJECT_INSPECT, value).status == wanted);
    if (wanted != STATUS_OK)
        return;
    const struct target *object = model_find(side, value)->object;
    FUZZ_EXPECT(inspected(side)->id == object->id && inspected(side)->type == OBJECT_EVENT);
    FUZZ_EXPECT((inspected(side)->signals & 0xffff) == object->signals);
    FUZZ_EXPECT(inspected(side)->handles == object->handles);
}

static void raise_signal(struct side *side, uint64_t value, struct input *input)
{
    uint64_t bit = 1ull << input_below(input, 16);
    status_t wanted = model_lookup(side, value, RIGHT_SIGNAL);
    FUZZ_EXPECT(CALL(side->actor, EVENT_SIGNAL, value, bit).status == wanted);
    if (wanted == STATUS_OK)
        model_find(side, value)->object->signals |= bit;
}

static void duplicate(struct side *side, uint64_t value, struct input *input)
{
    static const uint32_t left_out[] = {0,          RIGHT_DUPLICATE, RIGHT_TRANSFER, RIGHT_INSPECT,
                                        RIGHT_WAIT, RIGHT_MANAGE,    RIGHT_SIGNAL,   RIGHT_SIGNAL};
    uint32_t rights = RIGHTS_EVENT & ~left_out[input_below(input, ARRAY_SIZE(left_out))];
    if (input_below(input, 2))
        rights |= RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_INSPECT;
    status_t wanted = model_lookup(side, value, RIGHT_DUPLICATE);
    const struct holding *from = model_find(side, value);
    if (wanted == STATUS_OK && (rights & ~from->rights))
        wanted = STATUS_INVALID;
    struct outcome out = CALL(side->actor, HANDLE_DUPLICATE, value, rights);
    FUZZ_EXPECT(out.status == wanted);
    if (wanted != STATUS_OK)
        return;
    from->object->handles++;
    model_give(side, out.value[0], from->object, rights);
}

static void close_one(struct side *side, uint64_t value)
{
    struct holding *found = model_find(side, value);
    FUZZ_EXPECT(CALL(side->actor, HANDLE_CLOSE, value).status ==
                (found ? STATUS_OK : STATUS_BAD_HANDLE));
    if (!found)
        return;
    found->held = false;
    model_drop(found->object);
}

static void destroy(struct side *side, uint64_t value)
{
    status_t wanted = model_lookup(side, value, RIGHT_MANAGE);
    FUZZ_EXPECT(CALL(side->actor, OBJECT_DESTROY, value).status == wanted);
    if (wanted == STATUS_OK)
        model_find(side, value)->object->gone = true;
}

static void send(struct side *side, uint64_t value)
{
    struct side *to = side == &sides[0] ? &sides[1] : &sides[0];
    struct holding *found = model_find(side, value);
    status_t wanted = to->queued == DEPTH ? STATUS_FULL : model_lookup(side, value, RIGHT_TRANSFER);
    set_handles(side->actor, 1, &value);
    FUZZ_EXPECT(CALL(side->actor, CHANNEL_SEND, side->end, MSG(0, 1), 0).status == wanted);
    if (wanted != STATUS_OK)
        return;
    found->held = false;
    to->queue[to->queued++] = *found;
}

static void receive(struct side *side)
{
    struct outcome out = CALL(side->actor, CHANNEL_RECEIVE, side->end, 0);
    FUZZ_EXPECT(out.status == (side->queued > 0 ? STATUS_OK : STATUS_TIMED_OUT));
    if (out.status != STATUS_OK)
        return;
    FUZZ_EXPECT(MSG_HANDLES(out.value[0]) == 1);
    model_give(side, handle_of(side->actor, 0), side->queue[0].object, side->queue[0].rights);
    memmove(side->queue, side->queue + 1, sizeof side->queue - sizeof side->queue[0]);
    side->queued--;
}

// As if the slot that is taken next had been used four thousand million times.
static void age(struct side *side, struct input *input)
{
    struct process *process = side->actor->process;
    uint32_t slot = process->free_head;
    if (slot == UINT32_MAX)
        return;
    struct handle_entry *entry = &process->pages[slot / HANDLES_PER_PAGE][slot % HANDLES_PER_PAGE];
    uint64_t generation = OLDEST - input_below(input, 2);
    if (entry->tag >> 2 < generation)
        entry->tag = generation << 2 | HANDLE_FREE;
}

enum what : uint8_t { MAKE, DUPLICATE, CLOSE, DESTROY, SEND, RECEIVE, SIGNAL, AGE, LOOK, WHATS };

static void one_step(struct input *record)
{
    uint64_t what = record->bytes ? input_number(record, 1) : 0;
    struct side *side = &sides[what & 1];
    uint64_t value = choose(side, record);
    switch ((enum what)((what >> 1) % WHATS)) {
    case MAKE:
        make(side);
        break;
    case DUPLICATE:
        duplicate(side, value, record);
        break;
    case CLOSE:
        close_one(side, value);
        break;
    case DESTROY:
        destroy(side, value);
        break;
    case SEND:
        send(side, value);
        break;
    case RECEIVE:
        receive(side);
        break;
    case SIGNAL:
        raise_signal(side, value, record);
        break;
    case AGE:
        age(side, record);
        break;
    case LOOK:
    case WHATS:
        look(side, value);
        break;
    }
}

// So that slots come round soon: most are taken for good.
static void fill(struct side *side)
{
    struct process *process = side->actor->process;
    while (process->handles_used < HANDLES_PER_PAGE - 12)
        (void)grant(side->actor, side->actor, side->actor->own_thread);
    for (uint32_t slot = 0; slot < HANDLES_PER_PAGE; slot++)
        if ((process->pages[0][slot].tag & 3) == HANDLE_LIVE)
            side->fixed[side->fixed_count++] = process->pages[0][slot].tag >> 2 << 32 | slot;
}

void fuzz_begin(void)
{
    kernel_begin();
    sides[0].actor = spawn(new_account(40, 40), 10);
    sides[1].actor = spawn_on(1, new_account(40, 40), 10);
    struct ends ends = new_channel(sides[0].actor, DEPTH, 64, 2, 0);
    sides[0].end = ends.end0;
    sides[1].end = grant(sides[1].actor, sides[0].actor, ends.end1);
    MUST(sides[0].actor, HANDLE_CLOSE, ends.end1);
    for (unsigned i = 0; i < 2; i++)
        fill(&sides[i]);
    kernel_ready();
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    struct input input = {.data = data, .bytes = bytes}, record;
    kernel_restore();
    object_count = 0;
    for (unsigned i = 0; i < 2; i++)
        sides[i].count = sides[i].queued = 0;
    for (unsigned step = 0; step < STEPS_MAX && input_record(&input, RECORD, &record); step++)
        one_step(&record);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned value = 0; value < sides[i].count; value++)
            look(&sides[i], sides[i].values[value].value);
    kernel_end();
}

// What belongs together is put in together: what one side does to the newest that it has.
static const enum what chains[][4] = {
    {MAKE, DUPLICATE, CLOSE, LOOK}, {MAKE, DUPLICATE, DESTROY, LOOK},
    {AGE, MAKE, CLOSE, MAKE},       {AGE, MAKE, SEND, MAKE},
    {MAKE, SIGNAL, LOOK, CLOSE},    {MAKE, DUPLICATE, SIGNAL, LOOK},
    {MAKE, SEND, LOOK, MAKE},       {RECEIVE, LOOK, SIGNAL, CLOSE},
};

static size_t put_chain(uint8_t *data, size_t count, struct dice *dice)
{
    const enum what *chain = chains[dice_below(dice, ARRAY_SIZE(chains))];
    uint64_t side = dice_below(dice, 2), at = dice_below(dice, count + 1);
    for (unsigned i = 0; i < ARRAY_SIZE(chains[0]); i++) {
        uint8_t *record = insert_record(data, count++, at++, RECORD);
        put_low_first(record, dice_next(dice), RECORD);
        record[0] = (uint8_t)((unsigned)chain[i] << 1 | side);
        record[1] &= 7; // the newest
    }
    return count * RECORD;
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    if (dice_below(dice, 3) == 0 && bytes / RECORD + ARRAY_SIZE(chains[0]) <= room / RECORD)
        return put_chain(data, bytes / RECORD, dice);
    return mutate_records(data, bytes, room, RECORD, dice);
}
