// SPDX-License-Identifier: MIT
//
// Actions, made in the kernel and in the model, and compared.
#include "perform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abi_table.h>

#include "model.h"

constexpr unsigned SETUP_MAX = 40;
constexpr uint64_t NO_HANDLE = 1ull << 32 | HANDLES_MAX; // a value that none ever has; not 0
constexpr uint64_t TIME_BEGIN = 5 * TIME_UNIT;
constexpr uint64_t ACTOR_PAGES = 7, ACTOR_OBJECTS = 4; // what an actor costs

const struct world_definition *here;
struct hands hands[M_ACTORS];
uint8_t hands_count, register_count = REGISTERS, actor_priority = 10, actor_cpu;
unsigned world_cpus = 1;

static struct {
    uint64_t pages, objects;
    uint8_t priority, cpu;
    bool machine;
    uint32_t whole_cpus;
} rooms[M_ACTORS];
static struct action setup[SETUP_MAX];
static struct done setup_done[SETUP_MAX];
static unsigned setup_count;
struct done last_done;

// ---- making a world

uint8_t make_actor(uint64_t pages, uint64_t objects)
{
    uint64_t account = MUST(world.boss, ACCOUNT_CREATE, world.root_account, ACTOR_PAGES + pages,
                            ACTOR_OBJECTS + objects, here->contiguous);
    uint8_t number = hands_count++;
    struct hands *hand = &hands[number];
    *hand = (struct hands){.actor = spawn_on(actor_cpu, account, actor_priority)};
    for (unsigned i = FIRST; i < REGISTERS; i++)
        hand->registers[i] = NO_HANDLE;
    hand->registers[ACCOUNT] = hand->actor->account;
    hand->registers[ASPACE] = hand->actor->own_aspace;
    hand->registers[THREAD] = hand->actor->own_thread;
    rooms[number].pages = pages;
    rooms[number].objects = objects;
    rooms[number].priority = actor_priority;
    rooms[number].cpu = actor_cpu;
    const struct account *payer = account_behind(world.boss, account);
    if (payer->pages.used != ACTOR_PAGES || payer->objects.used != ACTOR_OBJECTS)
        search_fail("setup", "an actor costs %lu pages and %lu objects",
                    (unsigned long)payer->pages.used, (unsigned long)payer->objects.used);
    uint32_t handles[3];
    for (unsigned i = 0; i < FIRST; i++)
        handles[i] = object_behind(hand->actor, hand->registers[i])->handles;
    model_actor(actor_priority, payer->pages.limit, payer->pages.used, payer->objects.limit,
                payer->objects.used, here->contiguous, handles);
    return number;
}

// From its next period on, a second later, it has more than all that is done here takes, however
// often parts of it go to children and come back.
void give_cpu(uint8_t actor, uint32_t cpu)
{
    constexpr uint64_t SECOND = 1'000'000'000;
    struct actor *of = hands[actor].actor;
    uint64_t account = grant(world.boss, of, of->account);
    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, account, cpu, SECOND, SECOND);
    MUST(world.boss, HANDLE_CLOSE, account);
    model_whole_cpu(actor, cpu);
    model_time(SECOND);
    advance(SECOND);
    rooms[actor].whole_cpus |= 1u << cpu;
}

uint8_t give_machine(uint8_t actor)
{
    struct hands *hand = &hands[actor];
    const struct object *machine = object_behind(world.boss, world.machine);
    hand->registers[FIRST] = grant(hand->actor, world.boss, world.machine);
    rooms[actor].machine = true;
    model_machine(actor, FIRST, machine->handles);
    return FIRST;
}

void prepare(struct action action)
{
    if (setup_count == SETUP_MAX)
        abort();
    setup[setup_count] = action;
    if (!action_possible(&setup[setup_count]))
        search_fail("setup", "action %u cannot be done", setup_count);
    action_perform(&setup[setup_count]);
    setup_done[setup_count++] = last_done;
}

void world_make(const struct world_definition *definition)
{
    here = definition;
    world_begin((struct world_options){.ram_bytes = definition->contiguous ? 5 << 20 : 1 << 20,
                                       .contiguous_bytes = definition->contiguous ? 2 << 20 : 0,
                                       .cpus = world_cpus});
    // So that a deadline that is due is not one that was never set.
    model_time(TIME_BEGIN);
    advance(TIME_BEGIN);
    definition->setup();
    world_check();
}

// ---- what can be done

static unsigned empty_registers(uint8_t actor)
{
    unsigned count = 0;
    for (unsigned i = 0; i < register_count; i++)
        count += !handle_entry_of(hands[actor].actor, hands[actor].registers[i]);
    return count;
}

bool action_possible(const struct action *action)
{
    if (action->kind == ACTION_TIME || action->kind == ACTION_LINE)
        return true;
    const struct actor *actor = hands[action->actor].actor;
    if (is_dead(actor) || actor->calling)
        return false;
    return empty_registers(action->actor) >= action->new_handles + action->takes;
}

// ---- performing in the kernel

static uint64_t operand_value(const struct hands *hand, struct operand operand)
{
    switch (operand.kind) {
    case OPERAND_VALUE:
        return operand.value;
    case OPERAND_REGISTER:
        return hand->registers[operand.value];
    case OPERAND_AFTER:
        return host_ticks + operand.value * TIME_UNIT;
    case OPERAND_TOKEN:
        return hand->token;
    }
    abort();
}

// What is in the actor's hands before the call is made.
static void load(const struct action *action, uint64_t arguments[6])
{
    struct hands *hand = &hands[action->actor];
    struct abi_message_buffer *buffer = hand->actor->thread->message;
    for (unsigned i = 0; i < action->sends; i++)
        buffer->handles[i] = hand->registers[action->sent[i]];
    buffer->data[0] = (uint8_t)(action->actor + 1);
    for (unsigned i = 0; i < 6; i++)
        arguments[i] = operand_value(hand, action->argument[i]);
    hand->waiting = action;
}

static void call(const struct action *action)
{
    uint64_t arguments[6];
    load(action, arguments);
    (void)call_number(hands[action->actor].actor, action->number, arguments);
}

static void kernel_access(const struct action *action)
{
    struct actor *actor = hands[action->actor].actor;
    uint64_t address = action->argument[0].value;
    enum host_access kind = (enum host_access)action->argument[1].value;
    hold(actor);
    paddr_t physical;
    bool works = host_access(actor->cpu, address, kind, &physical);
    settle();
    bool expected = model_access(action->actor, address, kind);
    last_done.status = works ? STATUS_OK : STATUS_NOT_FOUND;
    if (works != expected)
        search_fail("model", "the access %s, and should%s", works ? "works" : "faults",
                    expected ? "" : " not");
}

static void line_changes(const struct action *action)
{
    uint32_t line = (uint32_t)action->argument[0].value;
    uint64_t what = action->argument[1].value;
    model_line(line, what);
    if (what == 0)
        host_line_pulse(line);
    else
        host_line_level(line, what == 1);
    settle();
}

static void grant_setup(const struct action *action)
{
    uint8_t to = (uint8_t)action->argument[1].value, at = (uint8_t)action->argument[2].value;
    hands[to].registers[at] = grant(hands[to].actor, hands[action->actor].actor,
                                    hands[action->actor].registers[action->argument[0].value]);
    model_grant(action->actor, (uint8_t)action->argument[0].value, to, at);
}

// ---- comparing

static const char *status_name(uint64_t status)
{
    return status < STATUS_COUNT ? abi_status_names[status] : "BLOCKED";
}

static uint8_t first_empty(uint8_t number)
{
    for (uint8_t i = 0; i < register_count; i++)
        if (!handle_entry_of(hands[number].actor, hands[number].registers[i]))
            return i;
    search_fail("harness", "no register is empty");
}

// Which result of a call is the message that it brings; NOTHING: none.
static uint8_t message_result(uint16_t number)
{
    switch (number) {
    case SYSCALL_CHANNEL_RECEIVE:
    case SYSCALL_CHANNEL_CALL:
        return 0;
    case SYSCALL_PORT_RECEIVE:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        return 2;
    default:
        return NOTHING;
    }
}

static void keep(uint8_t number, enum kept_from from, unsigned index, uint64_t value)
{
    struct kept *kept = &last_done.kept[last_done.kept_count++];
    *kept = (struct kept){number, NOTHING, from, (uint8_t)index};
    if (from == KEPT_TOKEN) {
        hands[number].token = value;
        return;
    }
    kept->at = first_empty(number);
    hands[number].registers[kept->at] = value;
}

// A port tells by its key which end: no two have the same.
static struct object *end_with_key(uint64_t key)
{
    for (uint32_t i = 0; i < objects_total(); i++) {
        struct object *object = object_at(i);
        if (object->life == LIFE_LIVE && object->type == OBJECT_CHANNEL && object->binding.port &&
            object->binding.key == key)
            return object;
    }
    return nullptr;
}

// Puts the results where later actions find them.
static void keep_results(uint8_t number, const struct action *action, const struct outcome *out)
{
    struct hands *hand = &hands[number];
    for (unsigned i = 0; i < action->new_handles; i++)
        keep(number, KEPT_RESULT, i, out->value[i]);
    uint8_t result = message_result(action->number);
    if (result == NOTHING)
        return;
    bool is_port = result == 2;
    uint64_t message = out->value[result];
    for (unsigned i = 0; i < MSG_HANDLES(message); i++)
        keep(number, KEPT_MESSAGE, i, handle_of(hand->actor, i));
    if (!(message & MSG_CALL))
        return;
    keep(number, KEPT_TOKEN, is_port ? 3 : 1, out->value[is_port ? 3 : 1]);
    struct object *object =
        is_port ? end_with_key(out->value[0])
                : object_behind(hand->actor, hand->registers[action->argument[0].value]);
    hand->token_end = object ? object_reference(object) : (struct object_ref){};
}

static const char *shown(bool over, uint64_t status)
{
    return over ? status_name(status) : "it waits";
}

// Whether what became of an actor's call is not what the model says.
static bool outcome_differs(uint8_t number, char *said, size_t size)
{
    const struct hands *hand = &hands[number];
    const struct m_outcome *predicted = &model.actors[number].outcome;
    bool over = has_ended(hand->actor);
    const char *name = abi_calls[hand->waiting->number].name;
    const struct outcome *out = &hand->actor->out;
    if (over != predicted->over || (over && out->status != predicted->status)) {
        snprintf(said, size, "%s of actor %u: kernel: %s; model: %s", name, number,
                 shown(over, out->status), shown(predicted->over, predicted->status));
        return true;
    }
    for (unsigned i = 0; over && i < 4; i++)
        if (predicted->compared >> i & 1 && out->value[i] != predicted->value[i]) {
            snprintf(said, size, "%s of actor %u: result %u: kernel: %#lx; model: %#lx", name,
                     number, i, (unsigned long)out->value[i], (unsigned long)predicted->value[i]);
            return true;
        }
    if (over && predicted->tag && text_of(hand->actor)[0] != (char)predicted->tag) {
        snprintf(said, size, "%s of actor %u: another message than that of actor %u", name, number,
                 predicted->tag - 1u);
        return true;
    }
    struct abi_inspect inspect;
    memcpy(&inspect, hand->actor->thread->message->data, sizeof inspect);
    if (!over || !predicted->inspected ||
        (inspect.type == predicted->inspected && inspect.signals == predicted->signals &&
         inspect.handles == predicted->handles))
        return false;
    snprintf(said, size, "object_inspect of actor %u: kernel: type %u, signals %#x, %u handles",
             number, inspect.type, inspect.signals, inspect.handles);
    return true;
}

// Keeps the results of an actor's call, if it is over.
static void finish_call(uint8_t number)
{
    struct hands *hand = &hands[number];
    if (!has_ended(hand->actor))
        return;
    if (hand->actor->out.status == STATUS_OK)
        keep_results(number, hand->waiting, &hand->actor->out);
    hand->waiting = nullptr;
    model.actors[number].outcome = (struct m_outcome){};
}

// Whether the kernel is not where the model is. Keeps the results of what has ended.
static bool world_differs(char *said, size_t size)
{
    for (uint8_t i = 0; i < hands_count; i++) {
        if (is_dead(hands[i].actor))
            hands[i].waiting = nullptr;
        if (!hands[i].waiting)
            continue;
        if (outcome_differs(i, said, size))
            return true;
        finish_call(i);
    }
    static struct description kernel, expected;
    describe(&kernel);
    model_describe(&expected);
    return description_differs(&kernel, &expected, said, size);
}

void action_perform(const struct action *action)
{
    last_done = (struct done){};
    switch (action->kind) {
    case ACTION_CALL: {
        struct m_outcome *predicted = model_call(action);
        last_done.status = predicted->over ? predicted->status : STATUS_BLOCKED;
        call(action);
        break;
    }
    case ACTION_TIME:
        last_done.status = STATUS_OK;
        model_time(action->argument[0].value * TIME_UNIT);
        advance(action->argument[0].value * TIME_UNIT);
        break;
    case ACTION_ACCESS:
        kernel_access(action);
        break;
    case ACTION_LINE:
        last_done.status = STATUS_OK;
        line_changes(action);
        break;
    case ACTION_GRANT:
        last_done.status = STATUS_OK;
        grant_setup(action);
        break;
    }
    char said[1500];
    if (world_differs(said, sizeof said))
        search_fail("model", "%s", said);
    world_check();
}

// ---- two at once

static status_t answer_of(const struct action *action)
{
    const struct actor *actor = hands[action->actor].actor;
    return has_ended(actor) ? actor->out.status : STATUS_BLOCKED;
}

// A call that fails in the end may have paid for a part, for a moment: another that lacks just that is
// refused, though no order of the two would have it so.
static bool may_be_refused(const struct action *action, const struct action *by)
{
    status_t answer = answer_of(action), other = answer_of(by);
    return (answer == STATUS_NO_PAGES || answer == STATUS_NO_OBJECTS ||
            answer == STATUS_NO_HANDLES) &&
           other != STATUS_OK && other != STATUS_BLOCKED;
}

// Whether the kernel did what the model does with these two, one after the other, or with the first
// alone.
static bool explained_by(const struct action *first, const struct action *second, bool refused,
                         char *said, size_t size)
{
    if (refused && !may_be_refused(second, first))
        return false;
    (void)model_call(first);
    if (refused)
        model.actors[second->actor].outcome =
            (struct m_outcome){.over = true, .status = (uint8_t)answer_of(second)};
    else
        (void)model_call(second);
    return !world_differs(said, size);
}

static void must_be_explained(const struct action *one, const struct action *two)
{
    static struct model model_before;
    static struct hands hands_before[M_ACTORS];
    const struct done done_before = last_done;
    char said[4][700] = {};
    model_before = model;
    memcpy(hands_before, hands, sizeof hands_before);
    for (unsigned i = 0; i < 4; i++) {
        model = model_before;
        last_done = done_before;
        memcpy(hands, hands_before, sizeof hands_before);
        if (explained_by(i % 2 ? two : one, i % 2 ? one : two, i >= 2, said[i], sizeof said[i]))
            return;
    }
    search_fail("model", "no order explains it: %s; or %s", said[0], said[1]);
}

void pair_perform(const struct action *one, const struct action *two, uint64_t seed)
{
    uint64_t arguments[6];
    last_done = (struct done){};
    load(one, arguments);
    plan_call(hands[one->actor].actor, one->number, arguments);
    load(two, arguments);
    plan_call(hands[two->actor].actor, two->number, arguments);
    run_planned(&(struct random){seed});
    settle();
    must_be_explained(one, two);
    world_check();
}

// ---- printing

static void print_operand(const struct action *action, unsigned index)
{
    struct operand operand = action->argument[index];
    switch (operand.kind) {
    case OPERAND_VALUE:
        if (operand.value == ABI_DEADLINE_NEVER)
            printf(", ABI_DEADLINE_NEVER");
        else
            printf(operand.value < 10 ? ", %lu" : ", %#lx", (unsigned long)operand.value);
        break;
    case OPERAND_REGISTER:
        printf(", r%u[%lu]", action->actor, (unsigned long)operand.value);
        break;
    case OPERAND_AFTER:
        printf(", host_ticks + %lu", (unsigned long)(operand.value * TIME_UNIT));
        break;
    case OPERAND_TOKEN:
        printf(", token%u", action->actor);
        break;
    }
}

static void print_sent(const struct action *action)
{
    if (action->sends == 0)
        return;
    printf("    set_handles(a%u, %u, (uint64_t[]){", action->actor, action->sends);
    for (unsigned i = 0; i < action->sends; i++)
        printf("%sr%u[%u]", i ? ", " : "", action->actor, action->sent[i]);
    printf("});\n");
}

// The actor, the call and its arguments, as the macros take them.
static void print_made(const struct action *action)
{
    printf("a%u, ", action->actor);
    for (const char *c = abi_calls[action->number].name; *c; c++)
        putchar(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    for (unsigned i = 0; i < abi_calls[action->number].args; i++)
        print_operand(action, i);
    printf(");\n");
}

static void print_call(const struct action *action, uint8_t status)
{
    print_sent(action);
    printf("    EXPECT_CALL(%s, ", status_name(status));
    print_made(action);
}

static void print_access(const struct action *action, uint8_t status)
{
    static const char *const accesses[] = {"HOST_LOAD", "HOST_STORE", "HOST_FETCH"};
    printf("    hold(a%u);\n    EXPECT(%shost_access(a%u->cpu, %#lx, %s, &(paddr_t){}));\n    "
           "settle();\n",
           action->actor, status == STATUS_OK ? "" : "!", action->actor,
           (unsigned long)action->argument[0].value, accesses[action->argument[1].value]);
}

static void print_grant(const struct action *action)
{
    unsigned to = (unsigned)action->argument[1].value;
    printf("    r%u[%u] = grant(a%u, a%u, r%u[%u]);\n", to, (unsigned)action->argument[2].value, to,
           action->actor, action->actor, (unsigned)action->argument[0].value);
}

static void print_kept(const struct done *done)
{
    for (unsigned i = 0; i < done->kept_count; i++) {
        const struct kept *kept = &done->kept[i];
        if (kept->from == KEPT_MESSAGE)
            printf("    r%u[%u] = handle_of(a%u, %u);\n", kept->actor, kept->at, kept->actor,
                   kept->index);
        else if (kept->from == KEPT_RESULT)
            printf("    r%u[%u] = a%u->out.value[%u];\n", kept->actor, kept->at, kept->actor,
                   kept->index);
        else
            printf("    token%u = a%u->out.value[%u];\n", kept->actor, kept->actor, kept->index);
    }
}

void action_print(const struct action *action, const struct done *done)
{
    switch (action->kind) {
    case ACTION_CALL:
        print_call(action, done->status);
        break;
    case ACTION_TIME:
        printf("    advance(%lu);\n", (unsigned long)(action->argument[0].value * TIME_UNIT));
        break;
    case ACTION_ACCESS:
        print_access(action, done->status);
        break;
    case ACTION_LINE:
        if (action->argument[1].value == 0)
            printf("    host_line_pulse(%lu);\n    settle();\n",
                   (unsigned long)action->argument[0].value);
        else
            printf("    host_line_level(%lu, %s);\n    settle();\n",
                   (unsigned long)action->argument[0].value,
                   action->argument[1].value == 1 ? "true" : "false");
        break;
    case ACTION_GRANT:
        print_grant(action);
        break;
    }
    print_kept(done);
}

void pair_print(const struct action *one, const struct action *two, uint64_t seed,
                const struct done *done)
{
    print_sent(one);
    print_sent(two);
    printf("    PLAN(");
    print_made(one);
    printf("    PLAN(");
    print_made(two);
    printf("    run_planned(&(struct random){%lu});\n    settle();\n", (unsigned long)seed);
    print_kept(done);
}

void setup_print(void)
{
    printf("    world_begin((struct world_options){.ram_bytes = %s, .cpus = %u});\n"
           "    advance(%lu);\n",
           here->contiguous ? "5 << 20, .contiguous_bytes = 2 << 20" : "1 << 20", world_cpus,
           (unsigned long)TIME_BEGIN);
    for (unsigned i = 0; i < hands_count; i++) {
        printf("    struct actor *a%u = spawn_on(%u, MUST(world.boss, ACCOUNT_CREATE, "
               "world.root_account, %lu, %lu, %lu), %u);\n",
               i, rooms[i].cpu, (unsigned long)(ACTOR_PAGES + rooms[i].pages),
               (unsigned long)(ACTOR_OBJECTS + rooms[i].objects), (unsigned long)here->contiguous,
               rooms[i].priority);
        printf("    [[maybe_unused]] uint64_t r%u[%u] = {a%u->account, a%u->own_aspace, "
               "a%u->own_thread",
               i, REGISTERS, i, i, i);
        for (unsigned n = FIRST; n < register_count; n++)
            printf(", %#lx", (unsigned long)NO_HANDLE);
        printf("}, token%u;\n", i);
        for (uint32_t cpu = 0; cpu < world_cpus; cpu++)
            if (rooms[i].whole_cpus >> cpu & 1)
                printf("    MUST(world.boss, ACCOUNT_BUDGET, world.root_account, "
                       "grant(world.boss, a%u, a%u->account), %u, 1'000'000'000, 1'000'000'000);\n"
                       "    advance(1'000'000'000);\n",
                       i, i, cpu);
        if (rooms[i].machine)
            printf("    r%u[%u] = grant(a%u, world.boss, world.machine);\n", i, FIRST, i);
    }
    for (unsigned i = 0; i < setup_count; i++)
        action_print(&setup[i], &setup_done[i]);
}
