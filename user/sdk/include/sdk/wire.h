// SPDX-License-Identifier: MIT
//
// Messages of the service protocols, as bytes. The code that tools/protogen.py generates from
// proto/ is written in these terms; other code rarely needs more than the status codes.
//
// A request or notice begins with struct wire_header, a reply with a 64-bit status; then the
// fields follow in their declared order, packed: scalars little-endian, `bytes` and `string` as
// a 32-bit length and that many bytes. A reply whose status is not OK holds nothing more.
// Nothing that was received is trusted: a length, a count of handles or a number of bytes that
// is not what the protocol says makes the whole message WIRE_BAD_MESSAGE, and closes its handles.
#pragma once

#include <stdint.h>

#include <lib/string.h>
#include <sdk/syscalls.h>
#include <sdk/thread.h>

// Statuses of protocols lie above those of the kernel.
constexpr status_t WIRE_BAD_MESSAGE = (status_t)0x1'0001;  // not as the protocol says
constexpr status_t WIRE_BAD_PROTOCOL = (status_t)0x1'0002; // another protocol or version
constexpr status_t WIRE_BAD_ORDINAL = (status_t)0x1'0003;  // no such message in this protocol
constexpr status_t WIRE_DEFERRED = (status_t)0x1'0004;     // handlers only: the answer comes later

struct wire_header {
    uint32_t protocol;
    uint16_t version;
    uint16_t ordinal;
};

// A call that was received: what is needed to answer it, now or later, once.
struct wire_call {
    channel_t end;
    uint64_t token; // any value, 0 too
};

// A message that was received, as port_receive and channel_receive describe it.
struct wire_received {
    channel_t end; // where it came in
    uint64_t message;
    uint64_t token;
};

static inline bool wire_is_call(const struct wire_received *received)
{
    return (received->message & MSG_CALL) != 0;
}

// A message being written into, or read from, the message buffer.
struct wire {
    uint32_t at, bytes; // cursor; length of what was received
    uint32_t handle_at, handle_count;
    bool bad;
    uint64_t handles[ABI_MESSAGE_HANDLES];
};

void wire_start(struct wire *w, uint32_t protocol, uint16_t version, uint16_t ordinal);
void wire_start_answer(struct wire *w, status_t status);
void wire_put(struct wire *w, const void *value, uint32_t bytes);
void wire_put_bytes(struct wire *w, const void *data, uint32_t bytes, uint32_t max);
void wire_put_string(struct wire *w, const char *text, uint32_t max);
void wire_put_handle(struct wire *w, uint64_t handle);

// Sends what was written; on an error the handles stay with the caller.
[[nodiscard]] status_t wire_send(struct wire *w, channel_t end);
// Sends it as a call, waits, and opens the reply for reading. An error is the kernel's, or the
// one that the server answered.
[[nodiscard]] status_t wire_call(struct wire *w, channel_t end, uint32_t reply_handles,
                                 uint64_t deadline_ns);
// Sends it as the answer to a call. On an error its handles are closed: the caller is gone.
status_t wire_answer(struct wire *w, struct wire_call call);

// Opens a received request or notice and reads its header.
struct wire_header wire_open(struct wire *w, const struct wire_received *received);
void wire_take(struct wire *w, void *value, uint32_t bytes);
uint32_t wire_take_bytes(struct wire *w, void *data, uint32_t max);
void wire_take_string(struct wire *w, char *text, uint32_t max); // text has max + 1 bytes
uint64_t wire_take_handle(struct wire *w);
// Was everything taken, and nothing but what was there? If not, closes the handles.
[[nodiscard]] status_t wire_finish(struct wire *w);

// Answers with only a status.
status_t wire_answer_status(struct wire_call call, status_t status);
// For a message that nobody here handles: closes its handles and answers `status` if it is a call.
void wire_refuse(const struct wire_received *received, status_t status);
