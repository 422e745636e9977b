// SPDX-License-Identifier: MIT
// build: user/sdk/wire.c
//
// Messages of the service protocols, as a server and as a client receive them, against a kernel of
// a few functions. Whatever arrives: nothing behind the message is looked at, each handle comes to
// its handler or is closed, once, and each call is answered once.
#include <proto/block.h>
#include <proto/console.h>
#include <proto/file.h>
#include <proto/init.h>

#include "fuzz.h"

constexpr uint64_t FIRST_HANDLE = 100;
constexpr size_t CHOICES = 4; // bytes of the input before the message

static struct abi_message_buffer buffer;
static unsigned closed[ABI_MESSAGE_HANDLES + 1], owned[ABI_MESSAGE_HANDLES + 1];
static unsigned replies, handled;
static uint64_t seen; // a hash of what the handlers were given
static struct {
    const uint8_t *data;
    size_t bytes;
    unsigned handles;
    uint8_t filler;
} answer; // to the client's next call

struct abi_message_buffer *message_buffer(void)
{
    return &buffer;
}

static void note(unsigned *counts, uint64_t handle)
{
    FUZZ_EXPECT(handle >= FIRST_HANDLE && handle < FIRST_HANDLE + ABI_MESSAGE_HANDLES);
    counts[handle - FIRST_HANDLE]++;
}

// Puts a message into the buffer; what is behind it is filled with anything.
static uint64_t place(const uint8_t *data, size_t bytes, unsigned handles, uint8_t filler)
{
    bytes = bytes < ABI_MESSAGE_BYTES ? bytes : ABI_MESSAGE_BYTES;
    memset(&buffer, filler, sizeof(buffer));
    memcpy(buffer.data, data, bytes);
    for (unsigned i = 0; i < handles; i++)
        buffer.handles[i] = FIRST_HANDLE + i;
    memset(closed, 0, sizeof(closed));
    memset(owned, 0, sizeof(owned));
    replies = handled = 0;
    seen = 0;
    return MSG(bytes, handles);
}

static void note_reply(uint64_t message)
{
    FUZZ_EXPECT(MSG_BYTES(message) <= ABI_MESSAGE_BYTES && MSG_HANDLES(message) == 0);
    replies++;
}

struct raw_result raw_syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                              uint64_t a4, uint64_t a5)
{
    (void)a1, (void)a3, (void)a4, (void)a5;
    struct raw_result result = {};
    if (number == SYSCALL_HANDLE_CLOSE)
        note(closed, a0);
    else if (number == SYSCALL_CHANNEL_REPLY)
        note_reply(a2);
    else if (number == SYSCALL_CHANNEL_CALL)
        result.value[0] = place(answer.data, answer.bytes, answer.handles, answer.filler);
    return result;
}

// ---- handlers that remember what they were given

static void see(const void *what, size_t bytes)
{
    handled++;
    for (size_t i = 0; i < bytes; i++)
        seen = (seen ^ ((const uint8_t *)what)[i]) * 0x100'0000'01b3;
}

static void see_text(const char *text, size_t room)
{
    FUZZ_EXPECT(strnlen(text, room) < room);
}

static status_t on_open(void *context, struct wire_call call,
                        const struct file_open_request *request, struct file_open_reply *reply)
{
    (void)context, (void)call;
    see(request, sizeof(*request));
    see_text(request->path, sizeof(request->path));
    reply->size = strlen(request->path);
    return STATUS_OK;
}

static status_t on_read(void *context, struct wire_call call,
                        const struct file_read_request *request, struct file_read_reply *reply)
{
    (void)context, (void)call;
    see(request, sizeof(*request));
    reply->data_bytes = request->bytes;
    return STATUS_OK;
}

static status_t on_read_folder(void *context, struct wire_call call,
                               const struct file_read_folder_request *request,
                               struct file_read_folder_reply *reply)
{
    (void)context, (void)call, (void)reply;
    see(request, sizeof(*request));
    return STATUS_NOT_FOUND;
}

static status_t on_write(void *context, struct wire_call call,
                         const struct console_write_request *request)
{
    (void)context, (void)call;
    FUZZ_EXPECT(request->text_bytes <= sizeof(request->text));
    see(request, sizeof(*request));
    return STATUS_OK;
}

static void on_want_input(void *context)
{
    (void)context;
    handled++;
}

static status_t on_attach(void *context, struct wire_call call,
                          const struct block_attach_request *request,
                          struct block_attach_reply *reply)
{
    (void)context, (void)call, (void)reply;
    see(request, sizeof(*request));
    note(owned, request->memory.value);
    note(owned, request->requests.value);
    note(owned, request->completions.value);
    return STATUS_NOT_SUPPORTED;
}

static void on_start(void *context, const struct init_start_notice *notice)
{
    (void)context;
    see(notice, sizeof(*notice));
    see_text(notice->name, sizeof(notice->name));
    see_text(notice->argument, sizeof(notice->argument));
    FUZZ_EXPECT(notice->handles_count <= ABI_MESSAGE_HANDLES);
    for (uint32_t i = 0; i < notice->handles_count; i++)
        note(owned, notice->handles[i].value);
}

static void on_driver_ended(void *context, const struct init_driver_ended_notice *notice)
{
    (void)context;
    see(notice, sizeof(*notice));
}

static const struct file_server files = {
    .open = on_open, .read = on_read, .read_folder = on_read_folder};
static const struct console_server console = {.write = on_write, .want_input = on_want_input};
static const struct block_server block = {.attach = on_attach};
static const struct init_client program = {.start = on_start, .driver_ended = on_driver_ended};

// ---- one message

static void dispatch(unsigned to, const struct wire_received *received)
{
    switch (to) {
    case 0:
        file_dispatch(&files, nullptr, received);
        break;
    case 1:
        console_dispatch(&console, nullptr, received);
        break;
    case 2:
        block_dispatch(&block, nullptr, received);
        break;
    default:
        init_client_dispatch(&program, nullptr, received);
        break;
    }
}

static void expect_each_handle_once(unsigned handles)
{
    for (unsigned i = 0; i < ABI_MESSAGE_HANDLES; i++)
        FUZZ_EXPECT(closed[i] + owned[i] == (i < handles ? 1 : 0));
}

static uint64_t receive(const uint8_t *data, size_t bytes, unsigned to, unsigned handles, bool call,
                        uint8_t filler)
{
    uint64_t message = place(data, bytes, handles, filler);
    struct wire_received received = {{1}, message | (call ? MSG_CALL : 0), 7};
    dispatch(to, &received);
    FUZZ_EXPECT(replies == (call ? 1 : 0) && handled <= 1);
    expect_each_handle_once(handles);
    return seen * 2 + handled;
}

// ---- a client that asks, and is answered with anything

static uint64_t see_read(void)
{
    static struct file_read_reply reply;
    struct file_read_request request = {1, 0, 512};
    memset(&reply, 0, sizeof(reply));
    if (file_read((channel_t){1}, &request, &reply, 0) != STATUS_OK)
        return 0;
    FUZZ_EXPECT(reply.data_bytes <= sizeof(reply.data));
    see(reply.data, reply.data_bytes);
    return 1;
}

static uint64_t see_folder(void)
{
    static struct file_read_folder_reply reply;
    struct file_read_folder_request request = {1, 0};
    memset(&reply, 0, sizeof(reply));
    if (file_read_folder((channel_t){1}, &request, &reply, 0) != STATUS_OK)
        return 0;
    see_text(reply.name, sizeof(reply.name));
    see(&reply, sizeof(reply));
    return 1;
}

static uint64_t see_state(void)
{
    static struct file_state_reply reply;
    memset(&reply, 0, sizeof(reply));
    if (file_state((channel_t){1}, &reply, 0) != STATUS_OK)
        return 0;
    see_text(reply.message, sizeof(reply.message));
    see(&reply, sizeof(reply));
    return 1;
}

static uint64_t ask(const uint8_t *data, size_t bytes, unsigned what, unsigned handles,
                    uint8_t filler)
{
    answer.data = data;
    answer.bytes = bytes;
    answer.handles = handles;
    answer.filler = filler;
    uint64_t ok = what == 0 ? see_read() : what == 1 ? see_folder() : see_state();
    expect_each_handle_once(handles); // none of these answers has any: they are closed
    return seen * 2 + ok;
}

void fuzz_begin(void)
{
}

// ---- whether it comes past the header: the one of its protocol, or a status

static const struct {
    uint32_t protocol;
    uint16_t version, ordinals;
} protocols[] = {{FILE_PROTOCOL, FILE_VERSION, FILE_STATE},
                 {CONSOLE_PROTOCOL, CONSOLE_VERSION, CONSOLE_INPUT},
                 {BLOCK_PROTOCOL, BLOCK_VERSION, BLOCK_FAIL_AT},
                 {INIT_PROTOCOL, INIT_VERSION, INIT_LOG_CHANGED}};
constexpr unsigned SERVERS = 4, CLIENTS = 3;

static bool is_past_header(const uint8_t *message, size_t bytes, unsigned to)
{
    if (to >= SERVERS)
        return bytes >= 8 && get_low_first(message, 8) == STATUS_OK;
    return bytes >= 8 && get_low_first(message, 4) == protocols[to].protocol &&
           get_low_first(message + 4, 2) == protocols[to].version;
}

void fuzz_one(const uint8_t *data, size_t bytes)
{
    if (bytes < CHOICES)
        return;
    struct input input = {.data = data, .bytes = bytes};
    unsigned to = (unsigned)input_below(&input, SERVERS + CLIENTS);
    unsigned handles = (unsigned)input_below(&input, ABI_MESSAGE_HANDLES + 1);
    bool call = input_below(&input, 4) > 0;
    const uint8_t *message = data + CHOICES;
    size_t length = bytes - CHOICES;
    if (is_past_header(message, length, to))
        fuzz_past_header();
    // What stands behind the message makes no difference.
    if (to < SERVERS)
        FUZZ_EXPECT(receive(message, length, to, handles, call, 0) ==
                    receive(message, length, to, handles, call, 0xa5));
    else
        FUZZ_EXPECT(ask(message, length, to - SERVERS, handles, 0) ==
                    ask(message, length, to - SERVERS, handles, 0xa5));
}

// ---- changing

// Lengths stand before texts: a small number where one may be.
static void change_length(uint8_t *message, size_t bytes, struct dice *dice)
{
    if (bytes >= 12)
        put_low_first(message + 8 + dice_below(dice, bytes - 11),
                      dice_below(dice, 4) ? dice_below(dice, bytes) : dice_number(dice), 4);
}

size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t room, struct dice *dice)
{
    constexpr size_t LEAST = CHOICES + 8;
    bytes = mutate_bytes(data, bytes, room);
    if (bytes < LEAST && room >= LEAST) {
        memset(data + bytes, 0, LEAST - bytes);
        bytes = LEAST;
    }
    if (bytes < LEAST || dice_below(dice, 10) == 0)
        return bytes;
    uint8_t *message = data + CHOICES;
    unsigned to = data[0] % (SERVERS + CLIENTS);
    if (to >= SERVERS) {
        put_low_first(message, STATUS_OK, 8);
    } else {
        put_low_first(message, protocols[to].protocol, 4);
        put_low_first(message + 4, protocols[to].version, 2);
        put_low_first(message + 6, get_low_first(message + 6, 2) % (protocols[to].ordinals + 2u),
                      2);
    }
    if (dice_below(dice, 3) == 0)
        change_length(message, bytes - CHOICES, dice);
    return bytes;
}
