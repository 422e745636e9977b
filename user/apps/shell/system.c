// SPDX-License-Identifier: MIT
//
// Commands on the system itself: figures, devices, the log, kill, crash, power.
#include <hwtree/text.h>
#include <proto/clock.h>
#include <proto/devices.h>
#include <sdk/calendar.h>
#include <sdk/memory.h>
#include <sdk/states.h>

#include "shell.h"

static struct init_service_info_reply service;

// The figures of service `index` into `service`; false behind the last one.
static bool get_service(uint32_t index)
{
    struct init_service_info_request request = {.index = index};
    return init_service_info(start.bootstrap, &request, &service, ABI_DEADLINE_NEVER) == STATUS_OK;
}

static const char *service_state_name(uint32_t state)
{
    static const char *const names[] = {"stopped",  "starting", "ready",
                                        "clearing", "back-off", "held"};
    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

int command_ps(const struct words *words)
{
    (void)words;
    print("%-14s %-9s %4s %3s %7s %7s %10s %6s %12s %8s %9s\n", "SERVICE", "STATE", "PRIO", "CPU",
          "THREADS", "HANDLES", "CPU ms", "SHARE", "THROTTLED ms", "RESTARTS", "UP s");
    for (uint32_t i = 0; get_service(i); i++) {
        const bool up = service.threads != 0;
        char cpu[8] = "-";
        if (service.cpu != CPU_UNKNOWN)
            format_text(cpu, sizeof(cpu), "%lu", service.cpu);
        char share[8] = "-",
             throttled[24] = "-"; // its share of each CPU; what that has kept it from
        if (service.period_ns != 0) {
            const uint64_t per_mille = service.budget_ns * 1000 / service.period_ns;
            format_text(share, sizeof(share), "%lu.%lu%%", per_mille / 10, per_mille % 10);
            format_text(throttled, sizeof(throttled), "%lu.%03lu", service.throttled_ns / NS_PER_MS,
                        service.throttled_ns / 1000 % 1000);
        }
        print("%-14s %-9s %4lu %3s %7lu %7lu %6lu.%03lu %6s %12s %8u %9lu\n", service.name,
              service_state_name(service.state), service.priority, cpu, service.threads,
              service.handles, service.cpu_ns / NS_PER_MS, service.cpu_ns / 1000 % 1000, share,
              throttled, service.restarts, up ? (now_ns() - service.started_ns) / NS_PER_S : 0);
    }
    return 0;
}

static status_t get_machine(struct abi_machine_info *info)
{
    static struct init_machine_info_reply reply;
    status_t status = init_machine_info(start.bootstrap, &reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_OK && reply.info_bytes != sizeof(*info))
        status = WIRE_BAD_MESSAGE;
    if (status == STATUS_OK)
        memcpy(info, reply.info, sizeof(*info));
    return status;
}

int command_mem(const struct words *words)
{
    (void)words;
    static struct abi_machine_info machine;
    print("%-14s %9s %9s %9s   %9s %9s %9s %11s %10s %9s\n", "ACCOUNT", "pages", "most", "limit",
          "objects", "most", "limit", "quarantined", "contiguous", "limit");
    for (uint32_t i = 0; get_service(i); i++)
        if (service.pages_limit != 0)
            print("%-14s %9lu %9lu %9lu   %9lu %9lu %9lu %11lu %10lu %9lu\n",
                  i == 0 ? "(root)" : service.name, service.pages_used, service.pages_high,
                  service.pages_limit, service.objects_used, service.objects_high,
                  service.objects_limit, service.quarantined_pages, service.contiguous_used,
                  service.contiguous_limit);
    status_t status = get_machine(&machine);
    if (status != STATUS_OK)
        return complain("mem", "%s", status_name(status));
    print("machine: %lu MiB of RAM; %lu of %lu pages free, %lu of %lu objects, %lu pages "
          "quarantined\n",
          machine.ram_bytes >> 20, machine.pages_free, machine.pages_total, machine.objects_free,
          machine.objects_total, machine.quarantined_pages);
    return 0;
}

// ---- devices

static channel_t devd; // .value 0: not connected

static status_t connect_devd(void)
{
    if (devd.value != 0)
        handle_close((handle_t){devd.value});
    return service_connect("devd", ABI_DEADLINE_NEVER, &devd);
}

static status_t get_device(uint32_t index, struct devices_device_info_reply *reply)
{
    struct devices_device_info_request request = {.index = index};
    status_t status = STATUS_PEER_CLOSED;
    if (devd.value != 0)
        status = devices_device_info(devd, &request, reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_PEER_CLOSED && (status = connect_devd()) == STATUS_OK)
        status = devices_device_info(devd, &request, reply, ABI_DEADLINE_NEVER);
    return status;
}

static status_t get_hardware(struct devices_hardware_reply *reply)
{
    status_t status = STATUS_PEER_CLOSED;
    if (devd.value != 0)
        status = devices_hardware(devd, reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_PEER_CLOSED && (status = connect_devd()) == STATUS_OK)
        status = devices_hardware(devd, reply, ABI_DEADLINE_NEVER);
    return status;
}

static void print_text(struct hwtree_output *unused, const char *text, size_t length)
{
    (void)unused;
    if (!interrupted)
        print_bytes(text, length);
}

// The hardware tree as it is in devd: copied, checked, and printed.
int command_hwtree(const struct words *words)
{
    struct hwtree_output to_terminal = {print_text};
    struct devices_hardware_reply reply;
    void *shared, *copy;
    const char *why = "it cannot be mapped";
    status_t status = get_hardware(&reply);
    if (status != STATUS_OK)
        return complain("hwtree", "%s", status_name(status));
    status = memory_map_vmo(reply.tree, 0, reply.bytes, PROT_READ, &shared);
    handle_close((handle_t){reply.tree.value});
    if (status != STATUS_OK)
        return complain("hwtree", "%s: %s", why, status_name(status));
    status = memory_map(reply.bytes, &copy);
    if (status == STATUS_OK)
        memcpy(copy, shared, reply.bytes);
    memory_unmap(shared);
    if (status != STATUS_OK)
        return complain("hwtree", "%s", status_name(status));
    bool sound = hwtree_check(copy, reply.bytes, &why);
    if (sound && words->count > 1)
        hwtree_print_summary(copy, &to_terminal);
    else if (sound)
        hwtree_print(copy, &to_terminal);
    if (sound)
        hwtree_print_problems(copy, &to_terminal);
    memory_unmap(copy);
    return sound ? 0 : complain("hwtree", "%s", why);
}

static const char *device_state_name(uint32_t state)
{
    static const char *const names[] = {"-", "driven", "resetting", "failed", "leaving", "gone"};
    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

int command_drivers(const struct words *words)
{
    (void)words;
    struct devices_device_info_reply device;
    status_t status;
    print("%-14s %-22s %-14s %-10s %7s %s\n", "DEVICE", "KIND", "DRIVER", "STATE", "STARTS", "DMA");
    for (uint32_t i = 0; (status = get_device(i, &device)) == STATUS_OK; i++)
        print("%-14s %-22s %-14s %-10s %7lu %s\n", device.name, device.compatible,
              device.driver[0] != 0 ? device.driver : "-", device_state_name(device.state),
              device.epoch, device.trusted_dma != 0 ? "trusted" : "-");
    return status == STATUS_NOT_FOUND ? 0 : complain("drivers", "%s", status_name(status));
}

static status_t get_interrupt(uint32_t index, struct devices_interrupt_info_reply *reply)
{
    struct devices_interrupt_info_request request = {.index = index};
    status_t status = STATUS_PEER_CLOSED;
    if (devd.value != 0)
        status = devices_interrupt_info(devd, &request, reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_PEER_CLOSED && (status = connect_devd()) == STATUS_OK)
        status = devices_interrupt_info(devd, &request, reply, ABI_DEADLINE_NEVER);
    return status;
}

static struct init_cpu_info_reply cpu_reply;

// The figures of CPU `number`; INVALID behind the last one.
static status_t get_cpu(uint64_t number, struct abi_cpu_info *info)
{
    const struct init_cpu_info_request request = {.cpu = number};
    status_t status = init_cpu_info(start.bootstrap, &request, &cpu_reply, ABI_DEADLINE_NEVER);
    if (status == STATUS_OK && cpu_reply.info_bytes != sizeof(*info))
        status = WIRE_BAD_MESSAGE;
    if (status == STATUS_OK)
        memcpy(info, cpu_reply.info, sizeof(*info));
    return status;
}

int command_irq(const struct words *words)
{
    (void)words;
    struct devices_interrupt_info_reply interrupt;
    struct abi_cpu_info cpu;
    status_t status;
    print("%-8s %-8s %4s %12s %8s  %-14s %s\n", "LINE", "KIND", "CPU", "COUNT", "STORMS", "DEVICE",
          "STATE");
    for (uint32_t i = 0; (status = get_interrupt(i, &interrupt)) == STATUS_OK; i++)
        print("%-8lu %-8s %4lu %12lu %8lu  %-14s %s\n", interrupt.line,
              interrupt.message != 0 ? "message" : "line", interrupt.cpu, interrupt.count,
              interrupt.storms, interrupt.name,
              interrupt.aside != 0    ? "put aside"
              : interrupt.masked != 0 ? "masked"
                                      : "-");
    if (status != STATUS_NOT_FOUND)
        return complain("irq", "%s", status_name(status));
    print("\n%-4s %12s %12s %12s %12s\n", "CPU", "DEVICES", "TIMER", "OTHER CPUS", "SPURIOUS");
    for (uint64_t i = 0; (status = get_cpu(i, &cpu)) == STATUS_OK; i++)
        print("%-4lu %12lu %12lu %12lu %12lu\n", i, cpu.device_interrupts, cpu.timer_interrupts,
              cpu.asked, cpu.spurious);
    return status == STATUS_INVALID ? 0 : complain("irq", "%s", status_name(status));
}

// ---- the clock

// Whether devd has found one: it answers when it has looked at everything that is there.
static bool has_clock(void)
{
    struct devices_device_info_reply device;
    status_t status;
    for (uint32_t i = 0; (status = get_device(i, &device)) == STATUS_OK; i++)
        if (strcmp(device.driver, "rtc") == 0)
            return true;
    return status != STATUS_NOT_FOUND; // it is not known
}

int command_date(const struct words *words)
{
    (void)words;
    channel_t clock;
    struct clock_now_reply now;
    struct calendar date;
    if (!has_clock())
        return complain("date", "no clock: the firmware names none, or keeps it for itself");
    status_t status = service_connect("rtc", now_ns() + NS_PER_S, &clock);
    if (status != STATUS_OK)
        return complain("date", "the clock does not answer: %s", status_name(status));
    status = clock_now(clock, &now, now_ns() + NS_PER_S);
    handle_close((handle_t){clock.value});
    if (status != STATUS_OK || !calendar_date(now.seconds, &date))
        return complain("date", "%s", status_name(status));
    print("%04u-%02u-%02u %02u:%02u:%02u UTC\n", date.year, date.month, date.day, date.hour,
          date.minute, date.second);
    return 0;
}

// ---- CPUs

// In percent, of a time in which a CPU rested so long. The two are not read at the same moment.
static uint64_t busy_percent(uint64_t ns, uint64_t idle_ns)
{
    return idle_ns < ns ? (ns - idle_ns) * 100 / ns : 0;
}

int command_cpus(const struct words *words)
{
    (void)words;
    static struct {
        uint64_t at_ns, idle_ns;
    } looks[64]; // at each CPU, the last one
    struct abi_cpu_info cpu;
    status_t status;
    print("%-4s %8s %6s %6s %10s %10s %8s %6s %12s\n", "CPU", "ID", "LOAD", "SINCE", "SWITCHES",
          "POSTS", "FLUSHES", "SHARES", "THROTTLED ms");
    for (uint64_t i = 0; i < ARRAY_SIZE(looks) && (status = get_cpu(i, &cpu)) == STATUS_OK; i++) {
        const uint64_t now = now_ns();
        const uint64_t resting =
            cpu.idle_since_ns != 0 && cpu.idle_since_ns < now ? now - cpu.idle_since_ns : 0;
        const uint64_t idle = cpu.idle_ns + resting;
        char since[12] = "boot";
        if (looks[i].at_ns != 0)
            format_text(since, sizeof(since), "%lus", (now - looks[i].at_ns) / NS_PER_S);
        // In thousandths: what services have as shares.
        const uint64_t shares = cpu_reply.shared_ppm / 1000;
        print("%-4lu %8lx %5lu%% %6s %10lu %10lu %8lu %3lu.%lu%% %8lu.%03lu\n", i, cpu.hardware_id,
              busy_percent(now - looks[i].at_ns, idle - looks[i].idle_ns), since, cpu.switches,
              cpu.posts, cpu.flushes, shares / 10, shares % 10, cpu_reply.throttled_ns / NS_PER_MS,
              cpu_reply.throttled_ns / 1000 % 1000);
        looks[i].at_ns = now;
        looks[i].idle_ns = idle;
    }
    return status == STATUS_INVALID ? 0 : complain("cpus", "%s", status_name(status));
}

// ---- the log

int command_log(const struct words *words)
{
    (void)words;
    uint64_t cursor = 0, bytes = 0;
    status_t status = STATUS_OK;
    while (!atomic_load(&interrupted)) {
        status = log_read(start.log, cursor, &bytes, &cursor);
        if (status != STATUS_OK || bytes == 0)
            break;
        static char text[ABI_MESSAGE_BYTES]; // printing uses the message buffer
        size_t length = bytes < sizeof(text) ? bytes : sizeof(text);
        memcpy(text, message_buffer()->data, length);
        print_bytes(text, length);
    }
    return status == STATUS_OK ? 0 : complain("log", "%s", status_name(status));
}

// ---- deeds

int command_kill(const struct words *words)
{
    struct init_kill_request request = {};
    if (!text_copy(request.service, sizeof(request.service), words->word[1]))
        return complain("kill", "%s: no such service", words->word[1]);
    print_done();
    status_t status = init_kill(start.bootstrap, &request, ABI_DEADLINE_NEVER);
    if (status == STATUS_NOT_FOUND)
        return complain("kill", "%s: no such service", request.service);
    if (status == STATUS_BAD_STATE)
        return complain("kill", "%s: does not run", request.service);
    return status == STATUS_OK ? 0
                               : complain("kill", "%s: %s", request.service, status_name(status));
}

static status_t run_program(const char *name, const char *argument, struct init_run_reply *reply)
{
    struct init_run_request request = {};
    if (!text_copy(request.service, sizeof(request.service), name) ||
        !text_copy(request.argument, sizeof(request.argument), argument))
        return STATUS_TOO_BIG;
    print_done();
    status_t status = init_run(start.bootstrap, &request, reply, ABI_DEADLINE_NEVER);
    if (status != STATUS_CANCELLED)
        return status;
    struct init_kill_request stop = {};
    text_copy(stop.service, sizeof(stop.service), name);
    (void)init_kill(start.bootstrap, &stop, ABI_DEADLINE_NEVER);
    return STATUS_CANCELLED;
}

int command_crash(const struct words *words)
{
    struct init_run_reply reply;
    status_t status = run_program("crash", words->word[1], &reply);
    if (status == STATUS_CANCELLED)
        return 1; // the ^C says it
    if (status != STATUS_OK)
        return complain("crash", "%s", status_name(status));
    if (reply.crashed == 0)
        return complain("crash", "no crash is named '%s'", words->word[1]);
    return 0;
}

int command_run_program(const struct words *words)
{
    char argument[START_ARGUMENT_BYTES] = "";
    size_t length = 0;
    for (unsigned i = 2; i < words->count && length < sizeof(argument); i++)
        length += format_text(argument + length, sizeof(argument) - length, i == 2 ? "%s" : " %s",
                              words->word[i]);
    struct init_run_reply reply;
    status_t status = run_program(words->word[1], argument, &reply);
    if (status == STATUS_CANCELLED)
        return 1;
    if (status == STATUS_NOT_FOUND)
        return complain("run", "%s: not a program that is started by hand", words->word[1]);
    if (status != STATUS_OK)
        return complain("run", "%s: %s", words->word[1], status_name(status));
    if (reply.crashed != 0)
        return complain("run", "%s %s", words->word[1],
                        reply.crashed == 1 ? "crashed" : "was killed");
    return reply.exit_code == 0
               ? 0
               : complain("run", "%s ended with code %lu", words->word[1], reply.exit_code);
}

int command_power(const struct words *words)
{
    struct init_power_request request = {.action =
                                             words->word[0][0] == 'r' ? POWER_REBOOT : POWER_OFF};
    print_done();
    terminal_flush(&output);
    status_t status = init_power(start.bootstrap, &request, ABI_DEADLINE_NEVER);
    return complain(words->word[0], "%s", status_name(status));
}
