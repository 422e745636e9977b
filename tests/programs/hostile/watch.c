// SPDX-License-Identifier: MIT
//
// The watcher: in an account of its own, of higher priority than every attacker, it pings every
// 10 ms. A ping is missed if the next one is due before it was made.
#include "hostile.h"

constexpr uint64_t PERIOD_NS = 10 * NS_PER_MS;
constexpr uint64_t WATCH_PRIORITY = 50;

static struct child watcher;
static event_t stop;

struct watch_report {
    uint64_t pings, missed, latest_ns;
};

void watch_child(void)
{
    struct watch_report report = {};
    uint64_t due_ns = now_ns();
    uint32_t signals;
    status_t status;
    do {
        due_ns += PERIOD_NS;
        status = object_wait(child_start.extra, 1, due_ns, &signals);
        uint64_t late_ns = now_ns() - due_ns;
        if (status != STATUS_TIMED_OUT)
            break;
        report.pings++;
        report.missed += late_ns >= PERIOD_NS;
        if (late_ns > report.latest_ns)
            report.latest_ns = late_ns;
    } while (true);
    memcpy(message_buffer()->data, &report, sizeof(report));
    must(channel_send(start.bootstrap, MSG(sizeof(report), 0), 0), "the watcher's report");
}

void watch_start(void)
{
    must(event_create(start.account, &stop), "event_create");
    const struct child_spec spec = {.name = "watcher",
                                    .pages = 256,
                                    .objects = 32,
                                    .priority = WATCH_PRIORITY,
                                    .extra = {stop.value},
                                    .extra_rights = RIGHT_WAIT,
                                    .words = {MODE_WATCH}};
    must(child_create(&watcher, &spec), "starting the watcher");
}

void watch_stop(void)
{
    uint64_t message, token;
    must(event_signal(stop, 1), "event_signal");
    must(channel_receive(watcher.bootstrap, now_ns() + NS_PER_S, &message, &token),
         "the watcher's report");
    struct watch_report report;
    memcpy(&report, message_buffer()->data, sizeof(report));
    if (report.missed != 0 || report.pings == 0)
        failed("watcher: %lu of %lu pings missed, the latest %lu ns late", report.missed,
               report.pings, report.latest_ns);
    else
        say("ok watcher: %lu pings, 0 missed, the latest %lu ns late", report.pings,
            report.latest_ns);
    child_end(&watcher);
    handle_close((handle_t){stop.value});
}
