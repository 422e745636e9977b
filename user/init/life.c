// SPDX-License-Identifier: MIT
//
// The life of a service.
//
//   state      event                        next
//   STOPPED    begin                        STARTING; CLEARING if its launch fails
//   STARTING   ready                        READY
//   STARTING,  process ended, fault, no     CLEARING (account destroyed)
//   READY      heartbeat, kill
//   CLEARING   account TERMINATED           BACKOFF by policy; STOPPED: by hand, or a driver, of
//                                           which devd is told; HELD after too many crashes, and
//                                           devd is told
//   BACKOFF    deadline                     STARTING
//   HELD       kill                         BACKOFF, due at once; a driver: devd is told
//
// A driver whose device devd has handed in already (device_pending) goes on from CLEARING to
// BACKOFF like any other.
//
// Back-off: the first crash starts again at once, each further one waits twice as long, up to a
// cap; CRASHES_MAX in a row hold it. A stretch of good service, or an operator's kill, resets.
#include "init.h"

constexpr uint64_t BACKOFF_FIRST_NS = 100 * NS_PER_MS;
constexpr uint64_t BACKOFF_CAP_NS = 5 * NS_PER_S;
constexpr uint64_t GOOD_SERVICE_NS = 10 * NS_PER_S;
constexpr uint32_t CRASHES_MAX = 10;
constexpr unsigned HEARTBEATS_MISSED = 3;

struct service *service_find(const char *name)
{
    for (uint32_t i = 0; i < init.count; i++)
        if (strcmp(init.services[i].manifest->name, name) == 0)
            return &init.services[i];
    return nullptr;
}

// ---- what the kernel reports

static void process_event(struct source *source, const struct loop_event *event)
{
    struct service *s = CONTAINER_OF(source, struct service, on_process);
    (void)event;
    if (!service_runs(s))
        return;
    uint64_t bytes;
    if (object_inspect((handle_t){s->process.value}, &bytes) == STATUS_OK) {
        struct abi_inspect inspect;
        memcpy(&inspect, message_buffer()->data, sizeof(inspect));
        s->exit_code = inspect.process.exit_code;
    }
    char why[48];
    format_text(why, sizeof(why), "ended with code %lu", s->exit_code);
    service_end(s, why);
}

static void exception_event(struct source *source, const struct loop_event *event)
{
    struct service *s = CONTAINER_OF(source, struct service, on_exception);
    if ((event->signals & SIGNAL_READABLE) == 0)
        return;
    struct abi_fault fault;
    if (MSG_BYTES(event->received.message) != sizeof(fault) || !service_runs(s))
        return;
    memcpy(&fault, message_buffer()->data, sizeof(fault));
    s->crashed = 1;
    report_fault(s, &fault);
    service_end(s, "crashed"); // the destruction of its account is the answer to the fault
}

static void bootstrap_event(struct source *source, const struct loop_event *event)
{
    struct service *s = CONTAINER_OF(source, struct service, on_bootstrap);
    if ((event->signals & SIGNAL_READABLE) != 0)
        answer_message(s, &event->received);
    else if (event->status != STATUS_OK) // our table is full, or it sends what we cannot take
        service_kill(s, "sends what init cannot take");
}

static void close_handle(uint64_t *value)
{
    if (*value != 0)
        handle_close((handle_t){*value});
    *value = 0;
}

void service_schedule(struct service *s)
{
    uint64_t delay = 0;
    if (s->crashes > 1) {
        delay = BACKOFF_FIRST_NS << (s->crashes - 2);
        delay = delay < BACKOFF_CAP_NS ? delay : BACKOFF_CAP_NS;
    }
    s->start_at_ns = now_ns() + delay;
    s->state = SERVICE_BACKOFF;
    if (delay != 0)
        report_line("%s starts again in %lu ms", s->manifest->name, delay / NS_PER_MS);
}

static void after_clearing(struct service *s)
{
    const struct manifest_service *m = s->manifest;
    s->state = SERVICE_STOPPED;
    if (s->crashes > CRASHES_MAX) {
        s->state = SERVICE_HELD;
        report_line("%s crashed %u times in a row and is held; 'kill %s' starts it again", m->name,
                    s->crashes, m->name);
        driver_drop_request(s);
        connect_service_held(s, STATUS_BAD_STATE);
    } else if (s->device_pending || (m->start == START_BOOT && m->restart == RESTART_ALWAYS)) {
        service_schedule(s);
    }
    if (m->start == START_BOOT && m->restart == RESTART_NEVER)
        connect_service_held(s, STATUS_BAD_STATE);
    // Held or not, its device has to be made quiet.
    if (m->start == START_DEVICE && !s->device_pending && s->state != SERVICE_BACKOFF)
        driver_announce_end(s);
    if (m->start == START_HAND && s->runner.end.value != 0) {
        struct init_run_reply reply = {.exit_code = s->exit_code, .crashed = s->crashed};
        init_run_answer(s->runner, STATUS_OK, &reply);
        s->runner.end.value = 0;
    }
}

static void account_event(struct source *source, const struct loop_event *event)
{
    struct service *s = CONTAINER_OF(source, struct service, on_account);
    (void)event;
    if (s->state != SERVICE_CLEARING)
        return;
    loop_unbind(&s->on_account);
    close_handle(&s->account.value);
    after_clearing(s);
}

// ---- starting

void service_begin(struct service *s)
{
    s->state = SERVICE_STARTING;
    s->crashed = 0;
    s->exit_code = 0;
    s->started_ns = s->heard_ns = now_ns();
    s->on_account.handle = account_event;
    s->on_process.handle = process_event;
    s->on_bootstrap.handle = bootstrap_event;
    s->on_exception.handle = exception_event;
    status_t status = service_launch(s);
    if (status == STATUS_OK)
        return;
    char why[64];
    format_text(why, sizeof(why), "could not be started: %s", status_name(status));
    s->crashed = 1;
    service_end(s, why);
}

void service_is_ready(struct service *s)
{
    if (s->state != SERVICE_STARTING)
        return;
    s->state = SERVICE_READY;
    connect_service_ready(s);
}

static void check_reservations(void)
{
    uint64_t bytes;
    struct abi_inspect inspect;
    if (object_inspect((handle_t){start.account.value}, &bytes) != STATUS_OK)
        return;
    memcpy(&inspect, message_buffer()->data, sizeof(inspect));
    uint64_t pages = inspect.account.pages_limit - inspect.account.pages_used;
    uint64_t objects = inspect.account.objects_limit - inspect.account.objects_used;
    uint64_t contiguous = inspect.account.contiguous_limit;
    if (pages < init.manifest->pages || objects < init.manifest->objects ||
        contiguous < init.manifest->contiguous)
        report_line("this machine has %lu pages, %lu objects and %lu contiguous pages; system.toml "
                    "sets aside %lu, %lu and %lu",
                    pages, objects, contiguous, init.manifest->pages, init.manifest->objects,
                    init.manifest->contiguous);
}

void service_start_all(void)
{
    check_reservations();
    init.count = init.manifest->count;
    for (uint32_t i = 0; i < init.count; i++) {
        struct service *s = &init.services[i];
        *s = (struct service){.manifest = &init.manifest->services[i], .index = i};
        text_copy(s->argument, sizeof(s->argument), s->manifest->argument);
    }
    for (uint32_t i = 0; i < init.count; i++)
        if (init.services[i].manifest->start == START_BOOT &&
            !service_is_for_nothing(&init.services[i]))
            service_begin(&init.services[i]);
}

// ---- ending

// Takes everything from a service: nothing of it is reported to init any more, except that its
// account is down.
static void clear_away(struct service *s)
{
    struct source *sources[] = {&s->on_process, &s->on_bootstrap, &s->on_exception};
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        loop_unbind(sources[i]);
    uint64_t *handles[] = {&s->thread.value,    &s->stack.value,      &s->aspace.value,
                           &s->bootstrap.value, &s->exceptions.value, &s->process.value};
    s->state = SERVICE_CLEARING;
    status_t status =
        s->account.value == 0 ? STATUS_GONE : object_destroy((handle_t){s->account.value});
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        close_handle(handles[i]);
    if (status != STATUS_OK)
        after_clearing(s); // there never was an account
}

void service_end(struct service *s, const char *why)
{
    if (!service_runs(s))
        return;
    uint64_t now = now_ns();
    if (now - s->started_ns >= GOOD_SERVICE_NS)
        s->crashes = 0;
    bool by_hand = s->manifest->start == START_HAND;
    s->crashes += !by_hand;
    s->restarts += !by_hand;
    if (!by_hand || s->crashed != 0)
        report_line("%s %s", s->manifest->name, why);
    connect_client_ended(s);
    clear_away(s);
    if (s->manifest->allows & ALLOW_DRIVERS)
        drivers_devd_ended();
}

void service_kill(struct service *s, const char *why)
{
    if (s->state == SERVICE_HELD) {
        s->crashes = 0;
        s->state = SERVICE_STOPPED;
        if (s->manifest->start == START_DEVICE)
            driver_announce_end(s);
        else
            service_schedule(s);
        return;
    }
    if (s->state == SERVICE_BACKOFF) {
        s->crashes = 0;
        s->start_at_ns = now_ns();
        return;
    }
    s->crashed = 2;
    service_end(s, why);
    s->crashes = 0;
}

// ---- time

static uint64_t deadline_of(const struct service *s)
{
    if (s->state == SERVICE_BACKOFF)
        return s->start_at_ns;
    if (service_runs(s) && s->manifest->heartbeat_ms != 0)
        return s->heard_ns + HEARTBEATS_MISSED * s->manifest->heartbeat_ms * NS_PER_MS;
    return ABI_DEADLINE_NEVER;
}

uint64_t services_next_deadline(void)
{
    uint64_t next = ABI_DEADLINE_NEVER;
    for (uint32_t i = 0; i < init.count; i++) {
        uint64_t deadline = deadline_of(&init.services[i]);
        next = deadline < next ? deadline : next;
    }
    return next;
}

void services_run_deadlines(void)
{
    for (uint32_t i = 0; i < init.count; i++) {
        struct service *s = &init.services[i];
        if (now_ns() < deadline_of(s))
            continue;
        if (s->state == SERVICE_BACKOFF) {
            service_begin(s);
        } else {
            s->crashed = 1;
            service_end(s, "missed its heartbeat");
        }
    }
}
