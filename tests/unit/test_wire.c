// SPDX-License-Identifier: MIT
//
// build: user/sdk/wire.c
//
// The service protocols' code against a kernel of three functions: what was written is read
// back, and whatever is damaged is refused with every handle closed, never read out of bounds.
#include <proto/console.h>
#include <proto/file.h>
#include <proto/init.h>

#include "test.h"

static struct abi_message_buffer buffer;
static uint64_t sent; // message word of the last send, call or reply
static unsigned closed, replies;
static status_t send_status;
static bool answer_calls; // a call is dispatched to the server below, at once

struct abi_message_buffer *message_buffer(void)
{
    return &buffer;
}

static void serve(uint64_t message);

struct raw_result raw_syscall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                              uint64_t a4, uint64_t a5)
{
    (void)a0, (void)a3, (void)a4, (void)a5;
    struct raw_result result = {send_status, {}};
    if (number == SYSCALL_HANDLE_CLOSE) {
        closed++;
        result.status = STATUS_OK;
    } else if (number == SYSCALL_CHANNEL_SEND) {
        sent = a1;
    } else if (number == SYSCALL_CHANNEL_REPLY) {
        sent = a2;
        replies++;
    } else if (number == SYSCALL_CHANNEL_CALL) {
        if (send_status == STATUS_OK && answer_calls)
            serve(a1);
        result.value[0] = sent;
    }
    return result;
}

// ---- a server that answers with what it was asked

static unsigned served;
static status_t answer_status;

static status_t on_read(void *context, struct wire_call call,
                        const struct file_read_request *request, struct file_read_reply *reply)
{
    (void)context, (void)call;
    served++;
    reply->data_bytes = request->bytes;
    for (uint32_t i = 0; i < request->bytes && i < sizeof(reply->data); i++)
        reply->data[i] = (uint8_t)(request->offset + i);
    return answer_status;
}

static status_t on_open(void *context, struct wire_call call,
                        const struct file_open_request *request, struct file_open_reply *reply)
{
    (void)context, (void)call;
    served++;
    reply->size = strlen(request->path);
    return answer_status;
}

static const struct file_server server = {.read = on_read, .open = on_open};

static void serve(uint64_t message)
{
    struct wire_received received = {{1}, (message & 0xfffff) | MSG_CALL, 0};
    file_dispatch(&server, nullptr, &received);
}

static void reset(void)
{
    memset(&buffer, 0xa5, sizeof(buffer));
    sent = 0;
    closed = replies = served = 0;
    send_status = answer_status = STATUS_OK;
    answer_calls = true;
}

TEST(round_trips)
{
    static struct file_read_reply reply;
    for (uint32_t bytes = 0; bytes <= sizeof(reply.data); bytes += 61) {
        reset();
        struct file_read_request request = {7, bytes * 3, bytes};
        EXPECT(file_read((channel_t){1}, &request, &reply, 0) == STATUS_OK);
        EXPECT(served == 1 && replies == 1 && reply.data_bytes == bytes);
        for (uint32_t i = 0; i < bytes; i++)
            EXPECT(reply.data[i] == (uint8_t)(bytes * 3 + i));
    }
    reset();
    struct file_open_request path = {.path = "folder/name"};
    struct file_open_reply found;
    EXPECT(file_open((channel_t){1}, &path, &found, 0) == STATUS_OK && found.size == 11);
}

TEST(errors_travel)
{
    struct file_open_request path = {.path = "x"};
    struct file_open_reply found;
    reset();
    answer_status = FILE_IS_FOLDER;
    EXPECT(file_open((channel_t){1}, &path, &found, 0) == FILE_IS_FOLDER);
    reset();
    send_status = STATUS_PEER_CLOSED;
    EXPECT(file_open((channel_t){1}, &path, &found, 0) == STATUS_PEER_CLOSED && served == 0);
    reset();
    answer_status = WIRE_DEFERRED; // nobody answers now
    answer_calls = false;
    EXPECT(file_open((channel_t){1}, &path, &found, 0) == WIRE_BAD_MESSAGE);
}

TEST(a_server_that_answers_too_much_is_stopped)
{
    reset();
    static struct file_read_reply reply;
    struct file_read_request request = {7, 0, sizeof(reply.data) + 1}; // on_read believes it
    EXPECT(file_read((channel_t){1}, &request, &reply, 0) == WIRE_BAD_MESSAGE);
    EXPECT(served == 1 && replies == 1);
}

TEST(unknown_messages)
{
    reset();
    struct wire w;
    wire_start(&w, FILE_PROTOCOL, FILE_VERSION, 99);
    EXPECT(wire_call(&w, (channel_t){1}, 0, 0) == WIRE_BAD_ORDINAL);
    wire_start(&w, FILE_PROTOCOL, FILE_VERSION + 1, FILE_OPEN);
    EXPECT(wire_call(&w, (channel_t){1}, 0, 0) == WIRE_BAD_PROTOCOL);
    wire_start(&w, CONSOLE_PROTOCOL, FILE_VERSION, FILE_OPEN);
    EXPECT(wire_call(&w, (channel_t){1}, 0, 0) == WIRE_BAD_PROTOCOL);
    struct file_state_reply state;
    EXPECT(file_state((channel_t){1}, &state, 0) == STATUS_NOT_SUPPORTED && served == 0);
}

TEST(a_notice_is_no_call)
{
    reset();
    struct wire w;
    wire_start(&w, FILE_PROTOCOL, FILE_VERSION, FILE_OPEN);
    wire_put_string(&w, "x", 1024);
    EXPECT(wire_send(&w, (channel_t){1}) == STATUS_OK);
    struct wire_received received = {{1}, sent, 0};
    file_dispatch(&server, nullptr, &received);
    EXPECT(served == 0 && replies == 0);
}

TEST(handles_are_closed_with_what_is_refused)
{
    reset();
    struct wire w;
    wire_start(&w, FILE_PROTOCOL, FILE_VERSION, FILE_OPEN);
    wire_put_string(&w, "x", 1024);
    wire_put_handle(&w, 11);
    wire_put_handle(&w, 12);
    EXPECT(wire_call(&w, (channel_t){1}, 0, 0) == WIRE_BAD_MESSAGE);
    EXPECT(closed == 2 && served == 0);
}

static unsigned started;

static void on_start(void *context, const struct init_start_notice *notice)
{
    (void)context;
    started++;
    EXPECT(strlen(notice->name) <= 15 && strlen(notice->argument) <= 255);
    EXPECT(notice->handles_count <= ABI_MESSAGE_HANDLES);
}

// Each cut, and each byte changed, of a message with strings and handles.
TEST(damaged_messages)
{
    static const struct init_client client = {.start = on_start};
    struct init_start_notice notice = {.name = "devd", .argument = "x", .handles_count = 3};
    reset();
    started = 0;
    EXPECT(init_start((channel_t){1}, &notice) == STATUS_OK);
    struct abi_message_buffer whole = buffer;
    uint64_t message = sent;
    struct wire_received received = {{1}, message, 0};
    init_client_dispatch(&client, nullptr, &received);
    EXPECT(started == 1 && closed == 0);
    for (uint32_t bytes = 0; bytes < MSG_BYTES(message); bytes++) {
        closed = started = 0;
        received.message = MSG(bytes, 3);
        init_client_dispatch(&client, nullptr, &received);
        EXPECT_NOTE(started == 0 && closed == 3, "%u bytes", bytes);
    }
    for (uint32_t at = 0; at < MSG_BYTES(message); at++)
        for (unsigned value = 0; value < 256; value += 5) {
            buffer = whole;
            buffer.data[at] = (uint8_t)value;
            closed = started = 0;
            received.message = message;
            init_client_dispatch(&client, nullptr, &received);
            EXPECT_NOTE(started + (closed == 3) == 1, "byte %u value %u", at, value);
        }
}

TEST(names_fit_or_fail)
{
    reset();
    struct console_write_request request = {.text_bytes = sizeof(request.text) + 1};
    EXPECT(console_write((channel_t){1}, &request, 0) == WIRE_BAD_MESSAGE && sent == 0);
}
