// SPDX-License-Identifier: MIT
//
// See wire.h. Every access to the message buffer checks its bounds here; a writer that exceeds
// them, like a reader, only sets `bad`, and the message is refused as a whole.
#include <sdk/wire.h>

static uint8_t *buffer_data(void)
{
    return message_buffer()->data;
}

// ---- writing

static void start_empty(struct wire *w)
{
    *w = (struct wire){};
}

void wire_start(struct wire *w, uint32_t protocol, uint16_t version, uint16_t ordinal)
{
    struct wire_header header = {protocol, version, ordinal};
    start_empty(w);
    wire_put(w, &header, sizeof(header));
}

void wire_start_answer(struct wire *w, status_t status)
{
    uint64_t word = status;
    start_empty(w);
    wire_put(w, &word, sizeof(word));
}

void wire_put(struct wire *w, const void *value, uint32_t bytes)
{
    if (w->bad || bytes > ABI_MESSAGE_BYTES - w->at) {
        w->bad = true;
        return;
    }
    memcpy(buffer_data() + w->at, value, bytes);
    w->at += bytes;
}

void wire_put_bytes(struct wire *w, const void *data, uint32_t bytes, uint32_t max)
{
    if (bytes > max) {
        w->bad = true;
        return;
    }
    wire_put(w, &bytes, sizeof(bytes));
    wire_put(w, data, bytes);
}

void wire_put_string(struct wire *w, const char *text, uint32_t max)
{
    wire_put_bytes(w, text, (uint32_t)strnlen(text, (size_t)max + 1), max);
}

void wire_put_handle(struct wire *w, uint64_t handle)
{
    if (w->handle_count == ABI_MESSAGE_HANDLES) {
        w->bad = true;
        return;
    }
    w->handles[w->handle_count++] = handle;
}

static uint64_t message_written(const struct wire *w)
{
    memcpy(message_buffer()->handles, w->handles, w->handle_count * sizeof(w->handles[0]));
    return MSG(w->at, w->handle_count);
}

// ---- reading

static void open_received(struct wire *w, uint64_t message)
{
    *w = (struct wire){.bytes = MSG_BYTES(message), .handle_count = MSG_HANDLES(message)};
    if (w->bytes > ABI_MESSAGE_BYTES || w->handle_count > ABI_MESSAGE_HANDLES) {
        w->bytes = w->handle_count = 0; // the kernel does not do this
        w->bad = true;
    }
    memcpy(w->handles, message_buffer()->handles, w->handle_count * sizeof(w->handles[0]));
}

static void close_from(const struct wire *w, uint32_t first)
{
    for (uint32_t i = first; i < w->handle_count; i++)
        handle_close((handle_t){w->handles[i]});
}

struct wire_header wire_open(struct wire *w, const struct wire_received *received)
{
    struct wire_header header = {};
    open_received(w, received->message);
    wire_take(w, &header, sizeof(header));
    return header;
}

void wire_take(struct wire *w, void *value, uint32_t bytes)
{
    if (w->bad || bytes > w->bytes - w->at) {
        w->bad = true;
        memset(value, 0, bytes);
        return;
    }
    memcpy(value, buffer_data() + w->at, bytes);
    w->at += bytes;
}

uint32_t wire_take_bytes(struct wire *w, void *data, uint32_t max)
{
    uint32_t bytes;
    wire_take(w, &bytes, sizeof(bytes));
    if (w->bad || bytes > max) {
        w->bad = true;
        return 0;
    }
    wire_take(w, data, bytes);
    return w->bad ? 0 : bytes;
}

void wire_take_string(struct wire *w, char *text, uint32_t max)
{
    uint32_t bytes = wire_take_bytes(w, text, max);
    text[bytes] = 0;
    if (strlen(text) != bytes) // a NUL inside would make two readers see two texts
        w->bad = true;
}

uint64_t wire_take_handle(struct wire *w)
{
    if (w->bad || w->handle_at == w->handle_count) {
        w->bad = true;
        return 0;
    }
    return w->handles[w->handle_at++];
}

status_t wire_finish(struct wire *w)
{
    if (!w->bad && w->at == w->bytes && w->handle_at == w->handle_count)
        return STATUS_OK;
    close_from(w, 0);
    return WIRE_BAD_MESSAGE;
}

// ---- sending

status_t wire_send(struct wire *w, channel_t end)
{
    return w->bad ? WIRE_BAD_MESSAGE : channel_send(end, message_written(w), 0);
}

status_t wire_call(struct wire *w, channel_t end, uint32_t reply_handles, uint64_t deadline_ns)
{
    if (w->bad)
        return WIRE_BAD_MESSAGE;
    uint64_t reply;
    status_t status = channel_call(end, MSG_WITH_REPLY_HANDLES(message_written(w), reply_handles),
                                   deadline_ns, &reply);
    if (status != STATUS_OK)
        return status;
    uint64_t answered;
    open_received(w, reply);
    wire_take(w, &answered, sizeof(answered));
    if (!w->bad && answered == STATUS_OK)
        return STATUS_OK;
    close_from(w, 0);
    return w->bad ? WIRE_BAD_MESSAGE : (status_t)answered;
}

status_t wire_answer(struct wire *w, struct wire_call call)
{
    if (w->bad) { // our own fields do not fit: the caller still gets its answer
        close_from(w, 0);
        return wire_answer_status(call, WIRE_BAD_MESSAGE);
    }
    status_t status = channel_reply(call.end, call.token, message_written(w));
    if (status != STATUS_OK)
        close_from(w, 0);
    return status;
}

status_t wire_answer_status(struct wire_call call, status_t status)
{
    struct wire w;
    wire_start_answer(&w, status);
    return wire_answer(&w, call);
}

void wire_refuse(const struct wire_received *received, status_t status)
{
    struct wire w;
    open_received(&w, received->message);
    close_from(&w, 0);
    if (wire_is_call(received))
        wire_answer_status((struct wire_call){received->end, received->token}, status);
}
