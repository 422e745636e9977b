// SPDX-License-Identifier: MIT
//
// init, the first process: starts what the manifest declares, and starts it again.
//
// It is one loop over one port. It never calls a service, so none can hold it up; what it needs
// it has from the start: static tables here, and its share of the root account.
//
//   entry.c    from the kernel's handles to main
//   bundle.c   files of the boot bundle
//   launch.c   a service's account, process, memory and start message
//   life.c     states of a service: start, end, clearing away, back-off (the table is there)
//   connect.c  channels between services
//   drivers.c  devd's side: matching, starting, telling that a driver ended
//   answers.c  what else services ask: figures, kill, run, power
//   report.c   crash reports
#pragma once

#include <stdint.h>

#include <abi/layout.h>
#include <proto/init.h>
#include <sdk/sdk.h>
#include <sdk/states.h>

#include "manifest.h"

// Where init sees another process's memory: a segment while it fills it, a stack while it walks
// it, one at a time. Any user address that nothing else uses; always the same one, so that a crash
// report takes no page for tables that the first start did not take.
constexpr uint64_t SCRATCH = 0x8'0000'0000;

struct service {
    const struct manifest_service *manifest;
    uint32_t index;
    enum service_state state;

    // Alive while the state is STARTING, READY or CLEARING (account only); .value 0 otherwise.
    account_t account;
    process_t process;
    aspace_t aspace;
    thread_t thread;
    vmo_t stack; // of the first thread, kept for backtraces
    channel_t bootstrap;
    channel_t exceptions;
    struct source on_account, on_process, on_bootstrap, on_exception;

    uint64_t started_ns, heard_ns, start_at_ns; // start_at_ns: of state BACKOFF
    uint32_t restarts;                          // since boot
    uint32_t crashes;                           // since the back-off was last reset
    uint32_t crashed; // this incarnation: 0 no, 1 a fault or failure, 2 killed
    uint64_t exit_code;
    bool cpu_told;          // that the CPU that it names is not there
    uint64_t device, epoch; // of a driver
    bool announced;         // devd was told that it ended and has not started it again
    bool absent;            // its device was taken out

    char argument[START_ARGUMENT_BYTES];
    uint64_t remembered;     // a word that outlives an incarnation
    struct wire_call runner; // who waits for it to end; .end.value 0: nobody

    bool device_pending; // devd wants it started with `device_request`, whose handles we hold
    struct init_driver_start_request device_request;
};

extern struct init {
    struct loop loop;
    machine_t machine;
    vmo_t disk; // the file `disk` of the bundle; .value 0: it holds none
    const struct manifest *manifest;
    struct service services[MANIFEST_SERVICES_MAX];
    uint32_t count;
} init;

static inline bool service_runs(const struct service *s)
{
    return s->state == SERVICE_STARTING || s->state == SERVICE_READY;
}

// By name; null if there is none.
struct service *service_find(const char *name);

// ---- bundle.c

const char *bundle_open(vmo_t bundle);
// Null if there is no such file.
const void *bundle_find(const char *name, uint64_t *bytes);
// A file's pages as memory that can be read and nothing else, charged to `account`. NOT_FOUND: there is no such
// file, or it is empty; INVALID: it does not begin with a page; errors of vmo_slice.
[[nodiscard]] status_t bundle_slice(account_t account, const char *name, vmo_t *vmo);

// ---- launch.c: all or nothing

[[nodiscard]] status_t service_launch(struct service *s);
// Whether it serves what this machine does not have: it is never started.
bool service_is_for_nothing(const struct service *s);

// ---- life.c

void service_start_all(void);
void service_begin(struct service *s);                 // starts it now
void service_schedule(struct service *s);              // starts it when its back-off is over
void service_end(struct service *s, const char *why);  // ends it, with a line in the log
void service_kill(struct service *s, const char *why); // the same, with the back-off reset
void service_is_ready(struct service *s);
uint64_t services_next_deadline(void);
void services_run_deadlines(void);

// ---- connect.c

status_t connect_request(struct service *client, struct wire_call call, const char *name,
                         struct init_connect_reply *reply);
void connect_service_ready(struct service *server);
void connect_service_held(struct service *server, status_t status); // answers who waits for it
void connect_client_ended(struct service *client);

// ---- drivers.c

status_t driver_match(const char *compatible, struct init_driver_match_reply *reply);
// Takes the handles of the request, whatever it returns.
status_t driver_start(const struct init_driver_start_request *request,
                      struct init_driver_start_reply *reply);
status_t driver_remove(uint64_t device, struct init_driver_remove_reply *reply);
void driver_send_device(struct service *s);
void driver_drop_request(struct service *s);
void driver_announce_end(struct service *s);
void drivers_devd_ended(void);

// ---- answers.c

void answer_message(struct service *s, const struct wire_received *received);

// ---- report.c

[[gnu::format(printf, 1, 2)]] void report_line(const char *format, ...);
void report_changed(void); // tells the console that there are new lines
void report_fault(struct service *s, const struct abi_fault *fault);
