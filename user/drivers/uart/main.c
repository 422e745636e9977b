// SPDX-License-Identifier: MIT
//
// The console driver: owns the UART of the machine's console and serves proto/console.toml.
// After every event it moves what can be moved, chooses what may interrupt next, and waits.
#include "console.h"

struct console console;

constexpr unsigned INTERRUPT_TURNS_MAX = 64; // a chip that never comes to rest is broken

static status_t on_write(void *context, struct wire_call call,
                         const struct console_write_request *request)
{
    (void)context;
    return output_write(call, request->text, request->text_bytes);
}

static status_t on_flush(void *context, struct wire_call call)
{
    (void)context;
    return output_flush(call);
}

static void on_want_input(void *context)
{
    struct connection *connection = context;
    input_want(connection->end);
}

static const struct console_server operations = {
    .write = on_write, .flush = on_flush, .want_input = on_want_input};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    console_dispatch(&operations, connection, received);
}

static void on_closed(struct connection *connection)
{
    output_client_gone(connection->end);
    input_client_gone(connection->end);
}

static void on_log_changed(void *context)
{
    (void)context;
    output_log_changed();
}

static void move_bytes(void)
{
    input_pump();
    output_pump();
    console.uart.chip->interrupt_on(&console.uart, input_wants_bytes(), output_wants_room());
}

static void on_interrupt(struct source *source, const struct loop_event *event)
{
    (void)source;
    (void)event;
    uint64_t count;
    bool again = true;
    for (unsigned turn = 0; again && turn < INTERRUPT_TURNS_MAX; turn++) {
        again = console.uart.chip->clear(&console.uart);
        move_bytes();
    }
    (void)interrupt_acknowledge(console.device.interrupts[0], &count);
}

static const struct uart_chip *find_chip(const char *compatible)
{
    static const struct uart_chip *const chips[] = {&uart_16550, &uart_pl011, &uart_sbsa,
                                                    &uart_bcm_aux};
    for (size_t i = 0; i < ARRAY_SIZE(chips); i++)
        if (strcmp(chips[i]->compatible, compatible) == 0)
            return chips[i];
    return nullptr;
}

static void take_device(void)
{
    status_t status = device_receive(&console.device);
    if (status != STATUS_OK)
        fail("no device: %s", status_name(status));
    console.uart.chip = find_chip(console.device.compatible);
    console.uart.device = &console.device;
    bool complete = console.uart.chip == &uart_16550 ? console.device.io.value != 0
                                                     : console.device.window_count != 0;
    if (console.uart.chip == nullptr || !complete || console.device.interrupt_count == 0)
        fail("not a UART that this driver knows: %s", console.device.compatible);
}

static void check(status_t status, const char *what)
{
    if (status != STATUS_OK)
        fail("%s: %s", what, status_name(status));
}

int main(const char *argument)
{
    (void)argument;
    take_device();
    check(loop_create(&console.loop), "no port");
    console.service = (struct service){.connections = console.connections,
                                       .connection_max = CONNECTIONS_MAX,
                                       .message = on_message,
                                       .closed = on_closed,
                                       .notices.log_changed = on_log_changed};
    console.interrupt.handle = on_interrupt;
    check(loop_bind(&console.loop, console.device.interrupts[0].value, &console.interrupt,
                    SIGNAL_INTERRUPT),
          "no interrupt");
    output_log_start();
    console.uart.chip->enable(&console.uart);
    check(service_start(&console.service, &console.loop), "no service");
    for (;;) {
        move_bytes();
        status_t status = loop_turn(&console.loop, output_deadline());
        if (status != STATUS_TIMED_OUT)
            check(status, "waiting failed");
    }
}
