// SPDX-License-Identifier: MIT
//
// What services ask of init on their bootstrap channels. Each operation first checks that the
// manifest allows it.
#include "init.h"

static bool allowed(const struct service *s, enum manifest_allow what)
{
    return (s->manifest->allows & what) != 0;
}

static void on_ready(void *context)
{
    service_is_ready(context);
}

static void on_heartbeat(void *context)
{
    (void)context; // answer_message has noted that it was heard
}

static void on_logged(void *context)
{
    (void)context;
    report_changed();
}

static void on_remember(void *context, const struct init_remember_notice *notice)
{
    struct service *s = context;
    s->remembered = notice->word;
}

static status_t on_connect(void *context, struct wire_call call,
                           const struct init_connect_request *request,
                           struct init_connect_reply *reply)
{
    return connect_request(context, call, request->service, reply);
}

static status_t on_driver_match(void *context, struct wire_call call,
                                const struct init_driver_match_request *request,
                                struct init_driver_match_reply *reply)
{
    (void)call;
    return allowed(context, ALLOW_DRIVERS) ? driver_match(request->compatible, reply)
                                           : STATUS_NO_RIGHT;
}

static status_t on_driver_start(void *context, struct wire_call call,
                                const struct init_driver_start_request *request,
                                struct init_driver_start_reply *reply)
{
    (void)call;
    if (allowed(context, ALLOW_DRIVERS))
        return driver_start(request, reply);
    for (uint32_t i = 0; i < request->handles_count; i++)
        handle_close(request->handles[i]);
    return STATUS_NO_RIGHT;
}

static status_t on_driver_remove(void *context, struct wire_call call,
                                 const struct init_driver_remove_request *request,
                                 struct init_driver_remove_reply *reply)
{
    (void)call;
    return allowed(context, ALLOW_DRIVERS) ? driver_remove(request->device, reply)
                                           : STATUS_NO_RIGHT;
}

// ---- figures

static bool inspect(uint64_t object, struct abi_inspect *out)
{
    uint64_t bytes;
    if (object == 0 || object_inspect((handle_t){object}, &bytes) != STATUS_OK)
        return false;
    memcpy(out, message_buffer()->data, sizeof(*out));
    return true;
}

static void fill_figures(account_t account, process_t process, thread_t thread,
                         struct init_service_info_reply *reply)
{
    struct abi_inspect i;
    if (inspect(account.value, &i)) {
        reply->pages_limit = i.account.pages_limit;
        reply->pages_used = i.account.pages_used;
        reply->pages_high = i.account.pages_high;
        reply->objects_limit = i.account.objects_limit;
        reply->objects_used = i.account.objects_used;
        reply->objects_high = i.account.objects_high;
        reply->quarantined_pages = i.account.quarantined_pages;
        reply->contiguous_limit = i.account.contiguous_limit;
        reply->contiguous_used = i.account.contiguous_used;
    }
    if (inspect(process.value, &i)) {
        reply->threads = i.process.threads;
        reply->handles = i.process.handles;
        reply->cpu_ns = i.process.cpu_ns;
    }
    reply->cpu = inspect(thread.value, &i) ? i.thread.home_cpu : CPU_UNKNOWN;
}

// false: there is no such CPU, or no such account.
static bool share_on(account_t account, uint64_t cpu, struct abi_account_cpu *out)
{
    uint64_t bytes;
    if (account.value == 0 || account_cpu(account, cpu, &bytes) != STATUS_OK)
        return false;
    memcpy(out, message_buffer()->data, sizeof(*out));
    return true;
}

static void fill_share(const struct service *s, struct init_service_info_reply *reply)
{
    struct abi_account_cpu share;
    reply->budget_ns = 1000ull * s->manifest->budget_us;
    reply->period_ns = 1000ull * s->manifest->period_us;
    for (uint64_t cpu = 0; share_on(s->account, cpu, &share); cpu++)
        reply->throttled_ns += share.throttled_ns;
}

static status_t on_service_info(void *context, struct wire_call call,
                                const struct init_service_info_request *request,
                                struct init_service_info_reply *reply)
{
    (void)call;
    if (!allowed(context, ALLOW_SERVICES))
        return STATUS_NO_RIGHT;
    if (request->index == 0) {
        text_copy(reply->name, sizeof(reply->name), "init");
        text_copy(reply->program, sizeof(reply->program), "init");
        reply->state = SERVICE_READY;
        fill_figures(start.account, start.process, (thread_t){}, reply);
        return STATUS_OK;
    }
    if (request->index > init.count)
        return STATUS_NOT_FOUND;
    const struct service *s = &init.services[request->index - 1];
    text_copy(reply->name, sizeof(reply->name), s->manifest->name);
    text_copy(reply->program, sizeof(reply->program), s->manifest->program);
    reply->state = s->state;
    reply->restarts = s->restarts;
    reply->crashes = s->crashes;
    reply->device = s->device;
    reply->priority = s->manifest->priority;
    reply->started_ns = s->started_ns;
    fill_figures(s->account, s->process, s->thread, reply);
    fill_share(s, reply);
    return STATUS_OK;
}

static status_t on_machine_info(void *context, struct wire_call call,
                                struct init_machine_info_reply *reply)
{
    (void)call;
    if (!allowed(context, ALLOW_SERVICES))
        return STATUS_NO_RIGHT;
    uint64_t bytes;
    status_t status = machine_info(init.machine, &bytes);
    static_assert(sizeof(struct abi_machine_info) <= sizeof(reply->info));
    reply->info_bytes = sizeof(struct abi_machine_info);
    memcpy(reply->info, message_buffer()->data, sizeof(struct abi_machine_info));
    return status;
}

static status_t on_cpu_info(void *context, struct wire_call call,
                            const struct init_cpu_info_request *request,
                            struct init_cpu_info_reply *reply)
{
    (void)call;
    if (!allowed(context, ALLOW_SERVICES))
        return STATUS_NO_RIGHT;
    uint64_t bytes;
    status_t status = machine_cpu(init.machine, request->cpu, &bytes);
    static_assert(sizeof(struct abi_cpu_info) <= sizeof(reply->info));
    reply->info_bytes = sizeof(struct abi_cpu_info);
    memcpy(reply->info, message_buffer()->data, sizeof(struct abi_cpu_info));
    for (uint32_t i = 0; i < init.count; i++) {
        struct abi_account_cpu share;
        if (!share_on(init.services[i].account, request->cpu, &share) || share.period_ns == 0)
            continue;
        reply->shared_ppm += share.budget_ns * 1'000'000 / share.period_ns;
        reply->throttled_ns += share.throttled_ns;
    }
    return status;
}

// ---- deeds

static status_t on_kill(void *context, struct wire_call call,
                        const struct init_kill_request *request)
{
    if (!allowed(context, ALLOW_SERVICES))
        return STATUS_NO_RIGHT;
    struct service *s = service_find(request->service);
    if (s == nullptr)
        return STATUS_NOT_FOUND;
    if (s->state == SERVICE_STOPPED || s->state == SERVICE_CLEARING)
        return STATUS_BAD_STATE;
    if (s == context) { // it would not live to see the answer
        init_kill_answer(call, STATUS_OK);
        service_kill(s, "was killed");
        return WIRE_DEFERRED;
    }
    service_kill(s, "was killed");
    return STATUS_OK;
}

static status_t on_run(void *context, struct wire_call call, const struct init_run_request *request,
                       struct init_run_reply *reply)
{
    (void)reply;
    if (!allowed(context, ALLOW_SERVICES))
        return STATUS_NO_RIGHT;
    struct service *s = service_find(request->service);
    if (s == nullptr || s->manifest->start != START_HAND)
        return STATUS_NOT_FOUND;
    if (s->state != SERVICE_STOPPED)
        return INIT_BUSY;
    text_copy(s->argument, sizeof(s->argument), request->argument);
    s->runner = call;
    service_begin(s);
    return WIRE_DEFERRED;
}

static status_t on_power(void *context, struct wire_call call,
                         const struct init_power_request *request)
{
    (void)call;
    if (!allowed(context, ALLOW_POWER))
        return STATUS_NO_RIGHT;
    return machine_power(init.machine, request->action);
}

static const struct init_server operations = {
    .ready = on_ready,
    .heartbeat = on_heartbeat,
    .connect = on_connect,
    .driver_match = on_driver_match,
    .driver_start = on_driver_start,
    .driver_remove = on_driver_remove,
    .service_info = on_service_info,
    .kill = on_kill,
    .run = on_run,
    .machine_info = on_machine_info,
    .cpu_info = on_cpu_info,
    .power = on_power,
    .logged = on_logged,
    .remember = on_remember,
};

void answer_message(struct service *s, const struct wire_received *received)
{
    s->heard_ns = now_ns();
    init_dispatch(&operations, s, received);
}
