// SPDX-License-Identifier: MIT
//
// The shell's start, and its two ways to run. See shell.h.
//
// Interactive: the first thread waits on one port for input and for the end of a command. A
// Ctrl-C while one runs sets `interrupted` and cancels the command thread's wait. The cancel may
// come just before that wait, so it is repeated until the command has ended.
#include <proto/console.h>

#include "line.h"
#include "shell.h"

constexpr uint64_t CANCEL_AGAIN_NS = 50 * NS_PER_MS;
constexpr uint32_t EVENT_GO = 1, EVENT_DONE = 1;
constexpr uint8_t CTRL_C = 3, FORM_FEED = '\f';
constexpr size_t AHEAD_BYTES = 512;

atomic_bool interrupted;

static struct {
    struct loop loop;
    struct terminal terminal; // the first thread's own
    struct source on_input, on_done;
    event_t go, done;
    thread_t worker;
    bool running; // a command
    struct line line;
    char command[LINE_MAX];     // belongs to the worker while a command runs
    uint8_t ahead[AHEAD_BYTES]; // typed while a command ran
    size_t ahead_bytes;
} shell;

static void check(status_t status, const char *what)
{
    if (status != STATUS_OK)
        fail("%s: %s", what, status_name(status));
}

// ---- the thread that runs commands

static void work(void *argument)
{
    (void)argument;
    for (;;) {
        uint32_t signals;
        status_t status =
            object_wait((handle_t){shell.go.value}, EVENT_GO, ABI_DEADLINE_NEVER, &signals);
        if (status != STATUS_OK)
            continue; // a Ctrl-C that came after the command's end
        (void)event_clear(shell.go, EVENT_GO, &signals);
        (void)commands_run(shell.command);
        (void)event_signal(shell.done, EVENT_DONE);
    }
}

// ---- the thread at the terminal

static void show_line(void)
{
    if (shell.line.output_length != 0)
        (void)terminal_write(&shell.terminal, shell.line.output, shell.line.output_length);
    shell.line.output_length = 0;
}

static void begin_line(void)
{
    line_begin(&shell.line, "skerry> ");
    show_line();
}

static void begin_command(void)
{
    memcpy(shell.command, shell.line.text, sizeof(shell.command));
    atomic_store(&interrupted, false);
    shell.running = true;
    (void)event_signal(shell.go, EVENT_GO);
}

static void interrupt_command(void)
{
    atomic_store(&interrupted, true);
    (void)thread_cancel(shell.worker); // BAD_STATE: it does not wait just now
}

static void feed(uint8_t byte)
{
    if (shell.running) {
        if (byte == CTRL_C)
            interrupt_command();
        else if (byte != FORM_FEED && shell.ahead_bytes < AHEAD_BYTES)
            shell.ahead[shell.ahead_bytes++] = byte;
        return;
    }
    enum line_result result = line_feed(&shell.line, byte);
    show_line();
    if (result == LINE_DONE && shell.line.length != 0)
        begin_command();
    else if (result != LINE_MORE)
        begin_line();
}

static void feed_all(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        feed(bytes[i]);
}

static void on_input_notice(void *context, const struct console_input_notice *notice)
{
    (void)context;
    feed_all(notice->text, notice->text_bytes);
}

static void open_terminal(void);

static void on_input(struct source *source, const struct loop_event *event)
{
    static const struct console_client notices = {.input = on_input_notice};
    if ((event->signals & SIGNAL_READABLE) == 0) { // the console was restarted
        loop_unbind(source);
        open_terminal();
        if (!shell.running)
            begin_line();
        return;
    }
    console_client_dispatch(&notices, nullptr, &event->received);
    (void)console_want_input(shell.terminal.end);
}

static void open_terminal(void)
{
    check(terminal_open(&shell.terminal), "no console");
    shell.on_input.handle = on_input;
    check(loop_bind(&shell.loop, shell.terminal.end.value, &shell.on_input,
                    SIGNAL_READABLE | SIGNAL_PEER_CLOSED),
          "no input");
    (void)console_want_input(shell.terminal.end);
}

static void on_done(struct source *source, const struct loop_event *event)
{
    (void)source;
    (void)event;
    uint32_t before;
    static uint8_t typed[AHEAD_BYTES];
    size_t count = shell.ahead_bytes;
    (void)event_clear(shell.done, EVENT_DONE, &before);
    shell.running = false;
    if (atomic_exchange(&interrupted, false))
        (void)terminal_write(&shell.terminal, "^C\n", 3);
    begin_line();
    memcpy(typed, shell.ahead, count);
    shell.ahead_bytes = 0;
    feed_all(typed, count);
}

[[noreturn]] static void run_interactive(void)
{
    static const char greeting[] = "\nSkerry is up. 'help' lists the commands.\n";
    check(loop_create(&shell.loop), "no port");
    check(event_create(start.account, &shell.go), "no event");
    check(event_create(start.account, &shell.done), "no event");
    shell.on_done.handle = on_done;
    check(loop_bind(&shell.loop, shell.done.value, &shell.on_done, EVENT_DONE), "no event");
    check(thread_spawn(work, nullptr, start.priority, &shell.worker), "no thread");
    open_terminal();
    (void)terminal_write(&shell.terminal, greeting, sizeof(greeting) - 1);
    begin_line();
    for (;;) {
        bool again = shell.running && atomic_load(&interrupted);
        status_t status =
            loop_turn(&shell.loop, again ? now_ns() + CANCEL_AGAIN_NS : ABI_DEADLINE_NEVER);
        if (status == STATUS_TIMED_OUT)
            interrupt_command();
        else
            check(status, "waiting failed");
    }
}

// ---- not interactive

[[noreturn]] static void run_batch(char *commands, const char *nonce)
{
    static char name[] = "poweroff";
    static const struct words off = {.count = 1, .word = {name}};
    check(terminal_open(&output), "no console");
    print("\x1b]skerry;%s;begin\a", nonce);
    int failed = commands_run(commands);
    print("\x1b]skerry;%s;%d\a\n", nonce, failed);
    (void)command_power(&off);
    fail("could not power off");
}

int main(const char *argument)
{
    static struct init_machine_info_reply reply;
    static struct abi_machine_info info;
    static char commands[ABI_COMMAND_LINE], nonce[64];
    check(init_ready(start.bootstrap), "init does not listen");
    if (argument[0] != 0)
        return job_main(argument);
    check(init_machine_info(start.bootstrap, &reply, ABI_DEADLINE_NEVER), "no machine info");
    memcpy(&info, reply.info, sizeof(info));
    info.command_line[ABI_COMMAND_LINE - 1] = 0;
    if (text_option(info.command_line, "cmd", commands, sizeof(commands)) &&
        text_option(info.command_line, "nonce", nonce, sizeof(nonce))) {
        if (!percent_decode(commands))
            fail("cmd= on the command line is damaged");
        run_batch(commands, nonce);
    }
    run_interactive();
}
