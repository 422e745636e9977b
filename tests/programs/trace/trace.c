// SPDX-License-Identifier: MIT
//
// Drawing, performing and telling. See trace.h.
#include "trace.h"

#include <abi_table.h>
#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>

constexpr unsigned SYMBOLS = 40, TOKENS = 16, LINE = 240;
constexpr uint64_t SOON_NS = 200'000;
constexpr uint64_t DEVICE = 7; // the only one that memory is pinned for
constexpr uint64_t ACCOUNT_PAGES = 400, ACCOUNT_OBJECTS = 150;
constexpr uint32_t MACHINE_HARMLESS = RIGHT_INSPECT | RIGHT_DUPLICATE | RIGHT_TRANSFER;

// ---- numbers: of each call its own, whatever became of those before

static uint64_t state;
static bool good; // this call is drawn as one that may well succeed

static uint64_t any(void)
{
    uint64_t z = state += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t limit)
{
    return any() % limit;
}

static uint64_t one_of(const uint64_t *values, size_t count)
{
    return values[below(count)];
}
#define ONE_OF(...) \
    one_of((const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

// ---- the line

static char line[LINE];
static size_t length;

[[gnu::format(printf, 1, 2)]] static void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    length += format_text_v(line + length, LINE - length, format, arguments);
    va_end(arguments);
    if (length >= LINE)
        length = LINE - 1;
}

// ---- what a program knows

static struct symbol {
    uint64_t handle;
    uint32_t number;      // in the order of appearance; 0: no symbol
    enum abi_object type; // OBJECT_NONE: not known
    bool closed;          // kept, to be used where it must not be
} symbols[SYMBOLS];
static uint32_t symbol_count;
static uint64_t account; // that all of a program's is paid by; the program has another handle to it

static struct token {
    uint64_t end, value;
} tokens[TOKENS];
static uint32_t token_count;

static struct symbol *symbol_of(uint64_t handle)
{
    for (unsigned i = 0; i < SYMBOLS; i++)
        if (symbols[i].number != 0 && symbols[i].handle == handle)
            return &symbols[i];
    return nullptr;
}

static struct trace_result call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    return trace_call(number, (const uint64_t[6]){a, b, c});
}

// A closed one's place, or the oldest's but the first two, which a program stands on.
static struct symbol *place(void)
{
    struct symbol *oldest = &symbols[2];
    for (unsigned i = 0; i < SYMBOLS; i++)
        if (symbols[i].number == 0)
            return &symbols[i];
    for (unsigned i = 2; i < SYMBOLS; i++)
        if (symbols[i].closed != oldest->closed ? symbols[i].closed
                                                : symbols[i].number < oldest->number)
            oldest = &symbols[i];
    if (!oldest->closed)
        (void)call(SYSCALL_HANDLE_CLOSE, oldest->handle, 0, 0);
    return oldest;
}

// Its type is asked for, if it can be; the message buffer is lost.
static uint32_t note_handle(uint64_t handle)
{
    struct symbol *symbol = symbol_of(handle);
    if (symbol == nullptr) {
        symbol = place();
        *symbol = (struct symbol){.handle = handle, .number = ++symbol_count};
    }
    symbol->closed = false;
    if (call(SYSCALL_OBJECT_INSPECT, handle, 0, 0).status == STATUS_OK) {
        struct abi_inspect seen;
        memcpy(&seen, trace_buffer()->data, sizeof(seen));
        symbol->type = (enum abi_object)seen.type;
    }
    return symbol->number;
}

// ---- arguments: drawn and told

// The nth open one of a type, counted round; nullptr: there is none.
static const struct symbol *find(enum abi_object type, uint64_t nth)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SYMBOLS; i++)
        count += symbols[i].number != 0 && !symbols[i].closed &&
                 (type == OBJECT_NONE || symbols[i].type == type);
    if (count == 0)
        return nullptr;
    nth %= count;
    for (unsigned i = 0; i < SYMBOLS; i++)
        if (symbols[i].number != 0 && !symbols[i].closed &&
            (type == OBJECT_NONE || symbols[i].type == type) && nth-- == 0)
            return &symbols[i];
    return nullptr;
}

static uint64_t tell_symbol(const struct symbol *symbol, uint64_t flipped)
{
    if (symbol == nullptr) {
        tell("0");
        return 0;
    }
    tell(flipped != 0 ? "h%u^" : "h%u", symbol->number);
    return symbol->handle ^ flipped;
}

// Nothing that is made up may be some other handle of this process: the top bit of a generation is
// never reached.
static uint64_t draw_handle(enum abi_object type)
{
    const uint64_t kind = below(8), nth = any(), noise = any();
    switch (good ? UINT64_MAX : kind) {
    case 0:
        tell("0");
        return 0;
    case 1:
        tell("?");
        return noise | 1ull << 63;
    case 2:
        return tell_symbol(find(OBJECT_NONE, nth), 0);
    case 3: {
        const struct symbol *symbol = &symbols[nth % SYMBOLS]; // perhaps closed
        return tell_symbol(symbol->number != 0 ? symbol : nullptr, 0);
    }
    case 4:
        return tell_symbol(find(type, nth), 1ull << 63);
    default:
        return tell_symbol(find(type, nth), 0);
    }
}

static uint64_t draw_deadline(uint64_t number)
{
    const uint64_t kind = below(6);
    if (number == SYSCALL_TIMER_SET && kind < 2) {
        tell("never");
        return ABI_DEADLINE_NEVER;
    }
    if (kind > 0 || number == SYSCALL_TIMER_SET) {
        tell("past");
        return kind & 1;
    }
    tell("soon");
    return trace_now_ns() + SOON_NS;
}

static uint64_t draw_token(uint64_t end)
{
    const uint64_t nth = any();
    for (unsigned i = 0; i < TOKENS && (good || below(8) > 0); i++) {
        const struct token *token = &tokens[(nth + i) % TOKENS];
        if (token->value != 0 && token->end == end) {
            tell("t%lu", (unsigned long)((nth + i) % TOKENS));
            return token->value;
        }
    }
    tell("?");
    return below(4) << 32 | below(4);
}

static uint64_t draw_number(uint64_t number, unsigned index)
{
    switch (number << 4 | index) {
    case SYSCALL_VMO_CREATE << 4 | 1:
        return ONE_OF(1, 1, 2, 3, 20, 70) * ABI_PAGE_SIZE - below(2);
    case SYSCALL_VM_MAP << 4 | 2:
        return ONE_OF(0, 0, 0, 1, 2) * ABI_PAGE_SIZE;
    case SYSCALL_VM_MAP << 4 | 4:
    case SYSCALL_PIN_CREATE << 4 | 4:
        return ONE_OF(0, 1, 1, 1, 2, 3, 20) * ABI_PAGE_SIZE;
    case SYSCALL_PIN_CREATE << 4 | 3:
        return ONE_OF(0, 0, 0, 1) * ABI_PAGE_SIZE;
    case SYSCALL_ACCOUNT_CREATE << 4 | 1:
        return ONE_OF(0, 5, 20, 40, 80, 1000);
    case SYSCALL_ACCOUNT_CREATE << 4 | 2:
        return ONE_OF(0, 2, 5, 10, 20, 200);
    case SYSCALL_ACCOUNT_RESIZE << 4 | 2:
    case SYSCALL_ACCOUNT_RESIZE << 4 | 3:
        return below(20) - 8;
    case SYSCALL_THREAD_CREATE << 4 | 1:
    case SYSCALL_THREAD_SET_PRIORITY << 4 | 1:
        if (good)
            return below(11);
        return ONE_OF(0, 5, 10, 11, 63, 64);
    case SYSCALL_MACHINE_DMA_SPACE << 4 | 2:
    case SYSCALL_MACHINE_DEVICE_QUIET << 4 | 1:
        return DEVICE;
    default:
        return ONE_OF(0, 1, 2, 5, 16, 64, 0x1000, 0x5000, UINT64_MAX);
    }
}

static uint64_t draw_value(uint64_t number, unsigned index, enum abi_arg_kind kind)
{
    switch (kind) {
    case ARG_RIGHTS:
        if (good)
            return ONE_OF(RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_INSPECT | RIGHT_WAIT,
                          RIGHT_INSPECT | RIGHT_TRANSFER, RIGHT_DUPLICATE, 0);
        return below(3) == 0 ? any() & RIGHTS_ALL
                             : ONE_OF(RIGHTS_EVENT, RIGHTS_VMO, RIGHTS_CHANNEL, RIGHTS_ACCOUNT,
                                      RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_INSPECT, 0);
    case ARG_SIGNALS:
        if (good && (number == SYSCALL_EVENT_SIGNAL || number == SYSCALL_EVENT_CLEAR))
            return ONE_OF(1, 2, 3, 0x8000);
        if (good)
            return ONE_OF(1, 3, SIGNAL_READABLE, SIGNAL_READABLE | SIGNAL_PEER_CLOSED,
                          SIGNAL_TERMINATED, SIGNAL_FIRED);
        return ONE_OF(1, 1, 3, 0x8000, SIGNAL_READABLE, SIGNAL_READABLE | SIGNAL_PEER_CLOSED,
                      SIGNAL_TERMINATED, SIGNAL_FIRED, 0, UINT32_MAX, 1ull << 32);
    case ARG_VADDR:
        if (number == SYSCALL_THREAD_START)
            return ABI_USER_MAX; // it never runs
        return 0x4000'0000 + below(good ? 4 : 1 << 20) * ABI_PAGE_SIZE;
    case ARG_PROT:
        if (good)
            return ONE_OF(PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXECUTE);
        return ONE_OF(PROT_READ, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXECUTE, 7, 0,
                      8);
    case ARG_MSGINFO:
        if (good)
            return MSG(ONE_OF(0, 8, 32), ONE_OF(0, 0, 0, 1, 2));
        return MSG(ONE_OF(0, 8, 32, 64, 65, 4000), ONE_OF(0, 0, 0, 1, 2, 9)) |
               ONE_OF(0, 0, 1, 9) << MSG_REPLY_HANDLES_SHIFT;
    case ARG_CHANNEL_SHAPE:
        if (good)
            return ONE_OF(ABI_CHANNEL_SHAPE(1, 32, 2, 2), ABI_CHANNEL_SHAPE(3, 64, 1, 1),
                          ABI_CHANNEL_SHAPE(2, 32, 0, 0));
        return ABI_CHANNEL_SHAPE(ONE_OF(0, 1, 2, 3, 1000), ONE_OF(0, 32, 64, 4000), below(3),
                                 below(3));
    case ARG_OVERFLOW:
        return ONE_OF(0, 0, 1, 2, 3);
    case ARG_VMO_FLAGS:
        return good ? 0 : below(3);
    case ARG_POWER_ACTION:
        return 2 + below(3); // not one of those that there are
    case ARG_DIRECTION:
    case ARG_SYNC_SIDE:
        return below(5);
    case ARG_PADDR:
    case ARG_MEMORY_KIND:
    case ARG_TRIGGER:
    case ARG_I64:
    case ARG_U64:
        return draw_number(number, index);
    case ARG_NONE:
    case ARG_HANDLE:
    case ARG_RAW_HANDLE:
    case ARG_DEADLINE:
    case ARG_TOKEN:
        break; // not here
    }
    return 0;
}

// What is the machine's own matter: its lines, ports and registers.
static bool mints_hardware(uint64_t number)
{
    return number == SYSCALL_MACHINE_INTERRUPT || number == SYSCALL_MACHINE_IO_RANGE ||
           number == SYSCALL_MACHINE_MESSAGE_INTERRUPT || number == SYSCALL_MACHINE_DEVICE_MEMORY;
}

static bool answers(uint64_t number)
{
    return number == SYSCALL_CHANNEL_REPLY || number == SYSCALL_CHANNEL_REPLY_RECEIVE;
}

static uint64_t draw_argument(uint64_t number, unsigned index, const uint64_t *before)
{
    const struct abi_arg *arg = &abi_calls[number].arg[index];
    const bool odd = !good && below(20) == 0;
    const uint64_t noise = any() >> below(64);
    if (arg->kind == ARG_HANDLE && arg->optional != 0 && below(2) == 0) {
        tell("0");
        return 0;
    }
    if (arg->kind == ARG_HANDLE && index == 0 && mints_hardware(number)) {
        tell("harmless");
        return symbols[1].handle;
    }
    if (good && index == 0 && answers(number) && token_count > 0)
        return tell_symbol(symbol_of(tokens[any() % TOKENS % token_count].end), 0);
    if (arg->kind == ARG_HANDLE || arg->kind == ARG_RAW_HANDLE)
        return draw_handle((enum abi_object)arg->object);
    if (arg->kind == ARG_DEADLINE)
        return draw_deadline(number);
    if (arg->kind == ARG_TOKEN)
        return draw_token(before[0]);
    // Never an action of power, an address at which a thread could run, or a device that nobody quiets.
    const uint64_t value = odd && arg->kind != ARG_POWER_ACTION && arg->kind != ARG_VADDR &&
                                   number != SYSCALL_MACHINE_DMA_SPACE
                               ? noise
                               : draw_value(number, index, arg->kind);
    tell("0x%lx", (unsigned long)value);
    return value;
}

// ---- messages

static bool sends(uint64_t number)
{
    return number == SYSCALL_CHANNEL_SEND || number == SYSCALL_CHANNEL_CALL ||
           number == SYSCALL_CHANNEL_REPLY || number == SYSCALL_CHANNEL_REPLY_RECEIVE;
}

static void fill_buffer(uint64_t number)
{
    struct abi_message_buffer *buffer = trace_buffer();
    memset(buffer->data, (int)('a' + below(26)), sizeof(buffer->data));
    if (!sends(number))
        return;
    tell(" with ");
    for (unsigned i = 0; i < 2; i++) {
        tell(i == 0 ? "" : ",");
        const uint64_t handle = draw_handle(OBJECT_NONE);
        trace_buffer()->handles[i] = handle;
    }
}

static void tell_message(uint64_t info, uint64_t token, uint64_t end)
{
    uint64_t handles[ABI_MESSAGE_HANDLES], sum = 0;
    const struct abi_message_buffer *buffer = trace_buffer();
    memcpy(handles, buffer->handles, sizeof(handles));
    for (unsigned i = 0; i < MSG_BYTES(info) && i < ABI_MESSAGE_BYTES; i++)
        sum = sum * 31 + buffer->data[i];
    tell(" message 0x%lx of 0x%lx", (unsigned long)info, (unsigned long)sum);
    if ((info & MSG_CALL) != 0) {
        tokens[token_count % TOKENS] = (struct token){end, token};
        tell(" t%u", token_count++ % TOKENS);
    }
    for (unsigned i = 0; i < MSG_HANDLES(info) && i < ABI_MESSAGE_HANDLES; i++)
        tell(" h%u", note_handle(handles[i]));
}

// ---- results

static void tell_words(const struct abi_inspect *seen, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        tell(" %lx", (unsigned long)seen->words[i]);
}

static void tell_inspected(void)
{
    struct abi_inspect seen;
    memcpy(&seen, trace_buffer()->data, sizeof(seen));
    tell(" type %u", seen.type);
    if (seen.type == OBJECT_MACHINE || seen.type == OBJECT_LOG)
        return;
    tell(" state %u handles %u signals 0x%x:", seen.state, seen.handles, seen.signals);
    switch ((enum abi_object)seen.type) {
    case OBJECT_PROCESS:
        tell_words(&seen, 4); // not its time
        break;
    case OBJECT_THREAD:
        tell(" %lx %lx", (unsigned long)seen.thread.priority, (unsigned long)seen.thread.run_state);
        break;
    case OBJECT_TIMER:
        tell(seen.timer.deadline_ns == ABI_DEADLINE_NEVER ? " never" : " set");
        break;
    case OBJECT_ACCOUNT:
    case OBJECT_ASPACE:
    case OBJECT_VMO:
    case OBJECT_CHANNEL:
    case OBJECT_PORT:
    case OBJECT_DMASPACE:
    case OBJECT_PIN:
        tell_words(&seen, ARRAY_SIZE(seen.words));
        break;
    case OBJECT_NONE:
    case OBJECT_EVENT:
    case OBJECT_INTERRUPT:
    case OBJECT_IORANGE:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
    case OBJECT_MAPPING:
    case OBJECT_COUNT:
        break;
    }
}

static void tell_results(uint64_t number, const uint64_t *argument, const struct trace_result *got)
{
    const uint64_t *value = got->value;
    switch (number) {
    case SYSCALL_OBJECT_INSPECT:
        tell_inspected();
        return;
    case SYSCALL_CHANNEL_RECEIVE:
        tell_message(value[0], value[1], argument[0]);
        return;
    case SYSCALL_PORT_RECEIVE:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        tell(" key 0x%lx signals 0x%lx", (unsigned long)value[0], (unsigned long)value[1]);
        if ((value[1] & SIGNAL_READABLE) != 0)
            tell_message(value[2], value[3], 0);
        return;
    case SYSCALL_CLOCK_READ:
    case SYSCALL_CLOCK_INFO:
    case SYSCALL_LOG_READ:
        return;
    default:
        break;
    }
    for (unsigned i = 0; i < abi_calls[number].results; i++)
        if (i < abi_calls[number].handles)
            tell(" h%u", note_handle(value[i]));
        else
            tell(" 0x%lx", (unsigned long)value[i]);
}

// ---- a program

static bool is_drawn(uint64_t number)
{
    return abi_calls[number].noreturn == 0;
}

// What the first account pays for must go on to the end.
static bool ends_all(uint64_t number, const uint64_t *argument)
{
    return (number == SYSCALL_OBJECT_DESTROY || number == SYSCALL_HANDLE_CLOSE) &&
           (argument[0] == symbols[0].handle || argument[0] == symbols[1].handle);
}

static void forget_handle(uint64_t handle)
{
    struct symbol *symbol = symbol_of(handle);
    if (symbol != nullptr)
        symbol->closed = true;
}

// What a call has taken away.
static void forget(uint64_t number, const uint64_t *argument, const uint64_t sent[2])
{
    if (number == SYSCALL_HANDLE_CLOSE)
        forget_handle(argument[0]);
    if (number == SYSCALL_PROCESS_CREATE)
        forget_handle(argument[1]);
    if (number == SYSCALL_CHANNEL_SEND || number == SYSCALL_CHANNEL_REPLY)
        for (unsigned i = 0;
             i < 2 && i < MSG_HANDLES(argument[number == SYSCALL_CHANNEL_SEND ? 1 : 2]); i++)
            forget_handle(sent[i]);
}

static void one_call(const struct trace_options *options, uint64_t program, uint64_t index)
{
    state = (options->seed * 0x1'0000'01b3 + program) * 0x1'0000'01b3 + index;
    // A program begins with one of each kind, and then does most what has the most ways.
    static const uint64_t first[] = {
        SYSCALL_CHANNEL_CREATE, SYSCALL_EVENT_CREATE, SYSCALL_PORT_CREATE,
        SYSCALL_PROCESS_CREATE, SYSCALL_VMO_CREATE,   SYSCALL_TIMER_CREATE,
        SYSCALL_THREAD_CREATE,  SYSCALL_VM_MAP,       SYSCALL_MACHINE_DMA_SPACE};
    uint64_t number = index < ARRAY_SIZE(first) ? first[index] : below(SYSCALL_COUNT);
    uint64_t argument[6] = {};
    if (index >= ARRAY_SIZE(first) && below(2) == 0)
        number = ONE_OF(SYSCALL_CHANNEL_CREATE, SYSCALL_VMO_CREATE, SYSCALL_VM_MAP, SYSCALL_VM_MAP,
                        SYSCALL_VM_UNMAP, SYSCALL_VM_PROTECT, SYSCALL_THREAD_CREATE,
                        SYSCALL_ACCOUNT_CREATE, SYSCALL_CHANNEL_SEND, SYSCALL_CHANNEL_SEND,
                        SYSCALL_CHANNEL_CALL, SYSCALL_CHANNEL_RECEIVE, SYSCALL_CHANNEL_RECEIVE,
                        SYSCALL_CHANNEL_REPLY, SYSCALL_PORT_BIND, SYSCALL_PORT_RECEIVE,
                        SYSCALL_PIN_CREATE, SYSCALL_HANDLE_DUPLICATE, SYSCALL_OBJECT_INSPECT,
                        SYSCALL_OBJECT_WAIT, SYSCALL_EVENT_SIGNAL);
    good = index < ARRAY_SIZE(first) || below(4) > 0;
    if (!is_drawn(number))
        number = SYSCALL_OBJECT_INSPECT;
    length = 0;
    tell("%lu.%lu %s(", (unsigned long)program, (unsigned long)index, abi_calls[number].name);
    for (unsigned i = 0; i < abi_calls[number].args; i++) {
        tell(i == 0 ? "" : ",");
        argument[i] = draw_argument(number, i, argument);
    }
    tell(")");
    fill_buffer(number);
    if (ends_all(number, argument)) {
        argument[0] = 0;
        tell(" not");
    }
    uint64_t sent[2];
    memcpy(sent, trace_buffer()->handles, sizeof(sent));
    const struct trace_result got = trace_call(number, argument);
    trace_settle();
    tell(" = %s", got.status < STATUS_COUNT ? abi_status_names[got.status] : "no status");
    if (got.status == STATUS_OK)
        tell_results(number, argument, &got);
    if (got.status == STATUS_OK)
        forget(number, argument, sent);
    trace_line(line);
}

static void begin(void)
{
    memset(symbols, 0, sizeof(symbols));
    memset(tokens, 0, sizeof(tokens));
    symbol_count = token_count = 0;
    const uint64_t make[6] = {trace_account, ACCOUNT_PAGES, ACCOUNT_OBJECTS, 0, 'a', 0};
    account = trace_call(SYSCALL_ACCOUNT_CREATE, make).value[0];
    (void)note_handle(call(SYSCALL_HANDLE_DUPLICATE, account, RIGHTS_ACCOUNT, 0).value[0]);
    (void)note_handle(call(SYSCALL_HANDLE_DUPLICATE, trace_machine, MACHINE_HARMLESS, 0).value[0]);
    (void)note_handle(
        call(SYSCALL_HANDLE_DUPLICATE, trace_machine, MACHINE_HARMLESS | RIGHT_MINT, 0).value[0]);
    (void)note_handle(
        call(SYSCALL_HANDLE_DUPLICATE, trace_log, RIGHT_WRITE | RIGHT_READ | RIGHT_INSPECT, 0)
            .value[0]);
}

static void end(uint64_t program)
{
    length = 0;
    tell("%lu.end", (unsigned long)program);
    tell(" %s", abi_status_names[call(SYSCALL_OBJECT_DESTROY, account, 0, 0).status]);
    trace_settle();
    // What was pinned stays in quarantine, and moves up, until its device is quiet.
    for (unsigned i = 0; i < 100; i++)
        if (call(SYSCALL_MACHINE_DEVICE_QUIET, trace_machine, DEVICE, 0).value[0] == 0)
            break;
    trace_settle();
    const struct trace_result waited = call(SYSCALL_OBJECT_WAIT, account, SIGNAL_TERMINATED, 1);
    tell(" %s", abi_status_names[waited.status]);
    for (unsigned i = 0; i < SYMBOLS; i++)
        if (symbols[i].number != 0 && !symbols[i].closed)
            (void)call(SYSCALL_HANDLE_CLOSE, symbols[i].handle, 0, 0);
    (void)call(SYSCALL_HANDLE_CLOSE, account, 0, 0);
    trace_settle();
    struct abi_inspect seen = {};
    (void)call(SYSCALL_OBJECT_INSPECT, trace_account, 0, 0);
    memcpy(&seen, trace_buffer()->data, sizeof(seen));
    tell(" %lx %lx", (unsigned long)seen.account.pages_children,
         (unsigned long)seen.account.objects_children);
    trace_line(line);
}

void trace_run(const struct trace_options *options)
{
    for (uint64_t i = 0; i < options->programs; i++) {
        const uint64_t program = options->first + i;
        begin();
        for (uint64_t index = 0; index < options->calls && index < TRACE_CALLS_MAX; index++)
            if ((options->left_out[index / 64] >> index % 64 & 1) == 0)
                one_call(options, program, index);
        end(program);
    }
}
