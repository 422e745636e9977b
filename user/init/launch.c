// SPDX-License-Identifier: MIT
//
// Makes a service: account, exception channel, process, memory from its ELF file, stack, first
// thread, bootstrap channel with the start message in it. All that it costs is charged to its
// own account, the ends that init keeps as well; so when anything fails, or later ends, the
// destruction of the account takes everything back.
#include "init.h"

#include <sdk/machine.h>

constexpr unsigned THREADS_MAX = 8; // each needs a slot for its fault

// Bootstrap: the largest message is device_start; the largest answer is machine_info.
constexpr uint64_t BOOTSTRAP_SHAPE = ABI_CHANNEL_SHAPE(8, 1984, ABI_MESSAGE_HANDLES, 8);
constexpr uint64_t EXCEPTION_SHAPE =
    ABI_CHANNEL_SHAPE(THREADS_MAX, sizeof(struct abi_fault), 0, THREADS_MAX);

constexpr uint64_t STACK_BASE = ABI_INIT_STACK_TOP - STACK_BYTES;

static void name_words(const char *name, uint64_t words[2])
{
    char text[16] = {};
    text_copy(text, sizeof(text), name);
    memcpy(words, text, sizeof(text));
}

static status_t watch(uint64_t object, struct source *source, uint32_t signals)
{
    return loop_bind(&init.loop, object, source, signals);
}

// On every CPU, since its threads may go to any.
static status_t limit(const struct service *s)
{
    const struct manifest_service *m = s->manifest;
    uint64_t bytes;
    status_t status = machine_info(init.machine, &bytes);
    const uint32_t cpus = ((const struct abi_machine_info *)message_buffer()->data)->cpus;
    for (uint32_t cpu = 0; cpu < cpus && status == STATUS_OK; cpu++)
        status = account_budget(start.account, s->account, cpu, 1000ull * m->budget_us,
                                1000ull * m->period_us);
    return status;
}

static status_t make_process(struct service *s)
{
    const struct manifest_service *m = s->manifest;
    uint64_t name[2];
    name_words(m->name, name);
    status_t status = account_create(start.account, m->pages, m->objects, m->contiguous, name[0],
                                     name[1], &s->account);
    if (status != STATUS_OK)
        return status;
    channel_t theirs = {};
    if ((status = watch(s->account.value, &s->on_account, SIGNAL_TERMINATED)) != STATUS_OK ||
        (m->period_us != 0 && (status = limit(s)) != STATUS_OK) ||
        (status = channel_create(s->account, s->account, EXCEPTION_SHAPE, OVERFLOW_REJECT,
                                 &s->exceptions, &theirs)) != STATUS_OK ||
        (status = watch(s->exceptions.value, &s->on_exception, SIGNAL_READABLE)) != STATUS_OK ||
        (status = process_create(s->account, theirs, name[0], name[1], &s->process, &s->aspace)) !=
            STATUS_OK)
        return status;
    return watch(s->process.value, &s->on_process, SIGNAL_TERMINATED);
}

static status_t load_segment(struct service *s, const uint8_t *image,
                             const struct elf_segment *segment)
{
    uint64_t first = align_down(segment->address, PAGE_SIZE);
    uint64_t lead = segment->address - first;
    uint64_t bytes = align_up(lead + segment->memory_bytes, PAGE_SIZE);
    vmo_t vmo;
    status_t status = vmo_create(s->account, bytes, 0, &vmo);
    if (status != STATUS_OK)
        return status;
    status = vm_map(start.aspace, vmo, 0, SCRATCH, bytes, PROT_READ | PROT_WRITE);
    if (status == STATUS_OK) {
        memcpy((uint8_t *)SCRATCH + lead, image + segment->offset, segment->file_bytes);
        status = vm_unmap(start.aspace, SCRATCH);
    }
    if (status == STATUS_OK)
        status = vm_map(s->aspace, vmo, 0, first, bytes, segment->protection);
    handle_close((handle_t){vmo.value});
    return status;
}

static status_t load_program(struct service *s, uint64_t *entry)
{
    uint64_t bytes;
    const void *image = bundle_find(s->manifest->program, &bytes);
    if (image == nullptr)
        return STATUS_NOT_FOUND;
    struct elf elf;
    const char *wrong = elf_open(image, bytes, SDK_ELF_MACHINE, &elf);
    if (wrong != nullptr) {
        report_line("%s: %s", s->manifest->program, wrong);
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < elf.count; i++) {
        status_t status = load_segment(s, image, &elf.segments[i]);
        if (status != STATUS_OK)
            return status;
    }
    *entry = elf.entry;
    return STATUS_OK;
}

static uint64_t role_object(const struct service *s, enum start_role role)
{
    switch (role) {
    case ROLE_ACCOUNT:
        return s->account.value;
    case ROLE_ASPACE:
        return s->aspace.value;
    case ROLE_PROCESS:
        return s->process.value;
    case ROLE_LOG:
        return start.log.value;
    case ROLE_MACHINE:
        return init.machine.value;
    case ROLE_DISK:
        return init.disk.value;
    case ROLE_COUNT:
    default:
        return 0;
    }
}

bool service_is_for_nothing(const struct service *s)
{
    for (uint32_t i = 0; i < s->manifest->role_count; i++)
        if (s->manifest->roles[i] == ROLE_DISK && init.disk.value == 0)
            return true;
    return false;
}

static status_t send_start_message(struct service *s)
{
    const struct manifest_service *m = s->manifest;
    static struct init_start_notice notice;
    notice = (struct init_start_notice){.priority = m->priority,
                                        .remembered = s->remembered,
                                        .heartbeat_ns = m->heartbeat_ms * NS_PER_MS};
    text_copy(notice.name, sizeof(notice.name), m->name);
    text_copy(notice.argument, sizeof(notice.argument), s->argument);
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < m->role_count && status == STATUS_OK; i++) {
        // To be sent it needs TRANSFER; beyond that exactly what the manifest says.
        handle_t object = {role_object(s, (enum start_role)m->roles[i])};
        status = handle_duplicate(object, m->rights[i] | RIGHT_TRANSFER, &notice.handles[i]);
        notice.roles[i] = m->roles[i];
        notice.handles_count += status == STATUS_OK;
    }
    if (status == STATUS_OK)
        status = init_start(s->bootstrap, &notice);
    for (uint32_t i = 0; i < notice.handles_count && status != STATUS_OK; i++)
        handle_close(notice.handles[i]);
    return status;
}

// A service that names no CPU is placed in the order of the manifest; a restart keeps the place.
static status_t place(struct service *s)
{
    const struct manifest_service *m = s->manifest;
    uint64_t bytes;
    status_t status = machine_info(init.machine, &bytes);
    const struct abi_machine_info *info = (const void *)message_buffer()->data;
    if (status != STATUS_OK)
        return status;
    const uint32_t cpus = info->cpus;
    const uint32_t wanted = m->cpu != MANIFEST_CPU_ANY ? m->cpu : (uint32_t)(s - init.services);
    if (m->cpu != MANIFEST_CPU_ANY && m->cpu >= cpus && !s->cpu_told) {
        report_line("%s: there is no CPU %u here; it runs on CPU %u", m->name, m->cpu,
                    wanted % cpus);
        s->cpu_told = true;
    }
    return thread_set_cpu(s->thread, wanted % cpus);
}

static status_t start_thread(struct service *s, uint64_t entry)
{
    channel_t theirs = {};
    status_t status = vmo_create(s->account, STACK_BYTES, 0, &s->stack);
    if (status != STATUS_OK ||
        (status = vm_map(s->aspace, s->stack, 0, STACK_BASE, STACK_BYTES,
                         PROT_READ | PROT_WRITE)) != STATUS_OK ||
        (status = thread_create(s->process, s->manifest->priority, ABI_INIT_MESSAGE_BUFFER,
                                &s->thread)) != STATUS_OK ||
        (status = place(s)) != STATUS_OK ||
        (status = channel_create(s->account, s->account,
                                 // Whoever asks init for something is this service.
                                 BOOTSTRAP_SHAPE | ABI_CHANNEL_CEILINGS(s->manifest->priority, 63),
                                 OVERFLOW_REJECT, &s->bootstrap, &theirs)) != STATUS_OK ||
        (status = watch(s->bootstrap.value, &s->on_bootstrap, SIGNAL_READABLE)) != STATUS_OK ||
        (status = send_start_message(s)) != STATUS_OK) {
        if (theirs.value != 0)
            handle_close((handle_t){theirs.value});
        return status;
    }
    if (s->device_pending)
        driver_send_device(s);
    return thread_start(s->thread, entry, ABI_INIT_STACK_TOP, 0, (handle_t){theirs.value});
}

status_t service_launch(struct service *s)
{
    uint64_t entry;
    status_t status = make_process(s);
    if (status == STATUS_OK)
        status = load_program(s, &entry);
    if (status == STATUS_OK)
        status = start_thread(s, entry);
    return status;
}
