// SPDX-License-Identifier: MIT
//
// Input. One client at a time is the reader: the one that asked last. Each credit is answered
// with one notice of what there is. While our buffer is full the receiver's interrupt is off,
// so that the chip holds the line back.
#include "console.h"

constexpr uint32_t RING_BYTES = 1024;

static uint8_t ring_bytes[RING_BYTES];
static struct byte_ring ring = {ring_bytes, RING_BYTES, 0, 0};

static channel_t reader; // .value 0: nobody
static bool credit;
static bool redraw;

static void fill(void)
{
    uint8_t byte;
    while (byte_ring_room(&ring) != 0 && console.uart.chip->receive(&console.uart, &byte))
        byte_ring_put(&ring, byte);
}

static void deliver(void)
{
    static struct console_input_notice notice;
    if (!credit || (byte_ring_used(&ring) == 0 && !redraw))
        return;
    notice.text_bytes = 0;
    if (redraw)
        notice.text[notice.text_bytes++] = '\f';
    while (notice.text_bytes < sizeof(notice.text) && byte_ring_used(&ring) != 0)
        notice.text[notice.text_bytes++] = byte_ring_take(&ring);
    redraw = credit = false;
    // Its queue has room for as many notices as it gave credits; if it is gone, so is its input.
    (void)console_input(reader, &notice);
}

void input_pump(void)
{
    fill();
    deliver();
    fill();
}

void input_want(channel_t end)
{
    reader = end;
    credit = true;
}

void input_client_gone(channel_t end)
{
    if (reader.value != end.value)
        return;
    reader.value = 0;
    credit = false;
}

void input_redraw(void)
{
    redraw = reader.value != 0;
}

bool input_wants_bytes(void)
{
    return byte_ring_room(&ring) != 0;
}
