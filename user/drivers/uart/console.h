// SPDX-License-Identifier: MIT
//
// The console: a UART, its clients and the kernel's log on one line.
//
//   main.c     start, interrupt, clients
//   output.c   writes, the log, what leaves
//   input.c    what was typed, and who gets it
#pragma once

#include <proto/console.h>
#include <sdk/sdk.h>
#include <sdk/service.h>

#include "ring.h"
#include "uart.h"

constexpr unsigned CONNECTIONS_MAX = 4;

extern struct console {
    struct loop loop;
    struct device device;
    struct uart uart;
    struct source interrupt;
    struct service service;
    struct connection connections[CONNECTIONS_MAX];
} console;

// ---- output.c: a write is answered when all of it is in the ring, in the order of arrival

status_t output_write(struct wire_call call, const uint8_t *text, uint32_t bytes);
status_t output_flush(struct wire_call call);
void output_log_start(void);
void output_log_changed(void);
void output_client_gone(channel_t end);
void output_pump(void); // moves what there is room for; called after every event
bool output_wants_room(void);
// When the loop has to turn without an event: while the last bits of a flush leave.
uint64_t output_deadline(void);

// ---- input.c

void input_pump(void);
void input_want(channel_t end);
void input_client_gone(channel_t end);
void input_redraw(void); // something was printed in the middle of the reader's line
bool input_wants_bytes(void);
