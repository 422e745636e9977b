// SPDX-License-Identifier: MIT
//
// Starts processes from programs of the boot bundle. Only the first process can: it has the bundle.
#include "child.h"

#include <lib/elf.h>
#include <proto/init.h>
#include <sdk/machine.h>

constexpr uint64_t SCRATCH = 0x8'0000'0000; // where a segment is seen while it is filled
constexpr uint64_t BOOTSTRAP_SHAPE = ABI_CHANNEL_SHAPE(8, 512, ABI_MESSAGE_HANDLES, 4);
constexpr uint64_t SERVICE_SHAPE = ABI_CHANNEL_SHAPE(8, 1984, ABI_MESSAGE_HANDLES, 8); // as init's
constexpr uint64_t EXCEPTION_SHAPE = ABI_CHANNEL_SHAPE(4, sizeof(struct abi_fault), 0, 8);

uint64_t text_base, text_bytes;
static const struct abi_bundle *bundle;

struct program {
    const uint8_t *image;
    struct elf elf;
};

static bool program_open(const char *name, struct program *program)
{
    for (uint32_t i = 0; i < bundle->count; i++)
        if (strcmp(bundle->entries[i].name, name) == 0) {
            program->image = (const uint8_t *)bundle + bundle->entries[i].offset;
            return elf_open(program->image, bundle->entries[i].bytes, SDK_ELF_MACHINE,
                            &program->elf) == nullptr;
        }
    return false;
}

void bundle_open(vmo_t vmo)
{
    struct abi_inspect found;
    struct program own;
    inspect(vmo.value, &found);
    void *address;
    must(memory_map_vmo(vmo, 0, found.vmo.bytes, PROT_READ, &address), "mapping the bundle");
    bundle = address;
    if (!program_open("init", &own))
        give_up("the own image");
    for (uint32_t i = 0; i < own.elf.count; i++) {
        const struct elf_segment *segment = &own.elf.segments[i];
        if (segment->protection & PROT_EXECUTE) {
            text_base = align_down(segment->address, PAGE_SIZE);
            text_bytes = align_up(segment->address + segment->memory_bytes, PAGE_SIZE) - text_base;
        }
    }
}

static status_t load_segment(const struct child *child, const uint8_t *image,
                             const struct elf_segment *segment, vmo_t *vmo)
{
    uint64_t first = align_down(segment->address, PAGE_SIZE);
    uint64_t lead = segment->address - first;
    uint64_t bytes = align_up(lead + segment->memory_bytes, PAGE_SIZE);
    status_t status = vmo_create(child->account, bytes, 0, vmo);
    if (status != STATUS_OK)
        return status;
    status = vm_map(start.aspace, *vmo, 0, SCRATCH, bytes, PROT_READ | PROT_WRITE);
    if (status == STATUS_OK) {
        memcpy((uint8_t *)SCRATCH + lead, image + segment->offset, segment->file_bytes);
        status = vm_unmap(start.aspace, SCRATCH);
    }
    if (status == STATUS_OK)
        status = vm_map(child->aspace, *vmo, 0, first, bytes, segment->protection | PROT_READ);
    if (status != STATUS_OK)
        handle_close((handle_t){vmo->value});
    return status;
}

static status_t load(const struct child *child, const struct program *program, vmo_t *text)
{
    for (uint32_t i = 0; i < program->elf.count; i++) {
        vmo_t vmo;
        const struct elf_segment *segment = &program->elf.segments[i];
        status_t status = load_segment(child, program->image, segment, &vmo);
        if (status != STATUS_OK)
            return status;
        if (segment->protection & PROT_EXECUTE)
            *text = vmo;
        else
            handle_close((handle_t){vmo.value});
    }
    return STATUS_OK;
}

struct parcel {
    struct child_message message;
    uint64_t handles[ABI_MESSAGE_HANDLES];
    uint32_t count;
};

static status_t pack(struct parcel *parcel, enum child_role role, uint64_t handle, uint32_t rights)
{
    if (rights == 0)
        return STATUS_OK;
    handle_t copy;
    status_t status = handle_duplicate((handle_t){handle}, rights | RIGHT_TRANSFER, &copy);
    if (status == STATUS_OK) {
        parcel->message.roles[parcel->count] = role;
        parcel->handles[parcel->count++] = copy.value;
    }
    return status;
}

static status_t send_start(const struct child *child, const struct child_spec *spec, vmo_t text)
{
    struct parcel parcel = {
        .message = {.priority = spec->priority, .text_base = text_base, .text_bytes = text_bytes}};
    text_copy(parcel.message.name, sizeof(parcel.message.name), spec->name);
    memcpy(parcel.message.words, spec->words, sizeof(spec->words));
    status_t status;
    if ((status = pack(&parcel, CHILD_ACCOUNT, child->account.value,
                       RIGHT_CHARGE | RIGHT_INSPECT | RIGHT_DUPLICATE)) != STATUS_OK ||
        (status = pack(&parcel, CHILD_PROCESS, child->process.value,
                       RIGHT_CHARGE | RIGHT_INSPECT | RIGHT_DUPLICATE)) != STATUS_OK ||
        (status = pack(&parcel, CHILD_ASPACE, child->aspace.value,
                       RIGHT_MAP | RIGHT_INSPECT | RIGHT_DUPLICATE)) != STATUS_OK ||
        (status = pack(&parcel, CHILD_LOG, start.log.value, RIGHTS_LOG)) != STATUS_OK ||
        (status = pack(&parcel, CHILD_MACHINE, start.machine.value, spec->machine_rights)) !=
            STATUS_OK ||
        (status = pack(&parcel, CHILD_TEXT, text.value, spec->text_rights)) != STATUS_OK ||
        (status = pack(&parcel, CHILD_EXTRA, spec->extra.value,
                       spec->extra.value == 0 ? 0 : spec->extra_rights)) != STATUS_OK)
        return status;
    struct abi_message_buffer *buffer = message_buffer();
    memcpy(buffer->data, &parcel.message, sizeof(parcel.message));
    memcpy(buffer->handles, parcel.handles, sizeof(parcel.handles));
    return channel_send(child->bootstrap, MSG(sizeof(parcel.message), parcel.count), 0);
}

// What init tells a service first.
static status_t send_notice(const struct child *child, const struct child_spec *spec)
{
    const struct {
        uint64_t handle;
        uint32_t rights;
        enum start_role role;
    } roles[] = {
        {child->account.value, RIGHT_CHARGE | RIGHT_INSPECT, ROLE_ACCOUNT},
        {child->aspace.value, RIGHT_MAP, ROLE_ASPACE},
        {child->process.value, RIGHT_CHARGE | RIGHT_INSPECT, ROLE_PROCESS},
        {start.log.value, RIGHT_WRITE, ROLE_LOG},
        {start.machine.value, spec->machine_rights, ROLE_MACHINE},
    };
    struct init_start_notice notice = {.priority = spec->priority};
    text_copy(notice.name, sizeof(notice.name), spec->name);
    for (uint32_t i = 0; i < ARRAY_SIZE(roles); i++) {
        if (roles[i].rights == 0)
            continue;
        status_t status =
            handle_duplicate((handle_t){roles[i].handle}, roles[i].rights | RIGHT_TRANSFER,
                             &notice.handles[notice.handles_count]);
        if (status != STATUS_OK)
            return status;
        notice.roles[notice.handles_count++] = roles[i].role;
    }
    return init_start(child->bootstrap, &notice);
}

static status_t start_thread(struct child *child, const struct child_spec *spec, uint64_t entry,
                             vmo_t text)
{
    vmo_t stack;
    channel_t theirs;
    status_t status = vmo_create(child->account, STACK_BYTES, 0, &stack);
    if (status != STATUS_OK)
        return status;
    status = vm_map(child->aspace, stack, 0, ABI_INIT_STACK_TOP - STACK_BYTES, STACK_BYTES,
                    PROT_READ | PROT_WRITE);
    handle_close((handle_t){stack.value});
    if (status != STATUS_OK ||
        (status = thread_create(child->process, spec->priority, ABI_INIT_MESSAGE_BUFFER,
                                &child->thread)) != STATUS_OK ||
        (status = channel_create(child->account, child->account,
                                 spec->service ? SERVICE_SHAPE : BOOTSTRAP_SHAPE, OVERFLOW_REJECT,
                                 &child->bootstrap, &theirs)) != STATUS_OK ||
        (status = spec->service ? send_notice(child, spec) : send_start(child, spec, text)) !=
            STATUS_OK)
        return status;
    return thread_start(child->thread, entry, ABI_INIT_STACK_TOP, 0, (handle_t){theirs.value});
}

static status_t set_budgets(account_t parent, account_t account, const struct child_spec *spec)
{
    status_t status = STATUS_OK;
    for (uint64_t cpu = 0; status == STATUS_OK; cpu++)
        status = account_budget(parent, account, cpu, spec->budget_ns, spec->period_ns);
    return status == STATUS_INVALID ? STATUS_OK : status; // there is no such CPU
}

status_t child_create(struct child *child, const struct child_spec *spec)
{
    *child = (struct child){};
    uint64_t name[2] = {};
    text_copy((char *)name, sizeof(name), spec->name);
    account_t parent = spec->parent.value != 0 ? spec->parent : start.account;
    status_t status = account_create(parent, spec->pages, spec->objects, spec->contiguous, name[0],
                                     name[1], &child->account);
    if (status != STATUS_OK)
        return status;
    channel_t theirs = {};
    if (spec->period_ns != 0)
        status = set_budgets(parent, child->account, spec);
    if (status == STATUS_OK && !spec->no_exceptions)
        status = channel_create(child->account, child->account, EXCEPTION_SHAPE, OVERFLOW_REJECT,
                                &child->exceptions, &theirs);
    if (status == STATUS_OK)
        status = process_create(child->account, theirs, name[0], name[1], &child->process,
                                &child->aspace);
    vmo_t text = {};
    struct program program;
    if (status == STATUS_OK && !program_open(spec->service ? spec->service : "init", &program))
        status = STATUS_NOT_FOUND;
    if (status == STATUS_OK)
        status = load(child, &program, &text);
    if (status == STATUS_OK)
        status = start_thread(child, spec, program.elf.entry, text);
    if (text.value != 0)
        handle_close((handle_t){text.value});
    if (status != STATUS_OK)
        child_end(child);
    return status;
}

void child_end(struct child *child)
{
    uint32_t signals;
    must(object_destroy((handle_t){child->account.value}), "destroying a child's account");
    must(object_wait((handle_t){child->account.value}, SIGNAL_TERMINATED, now_ns() + 20 * NS_PER_S,
                     &signals),
         "waiting for the end of a child's account");
    const uint64_t handles[] = {child->account.value,   child->exceptions.value,
                                child->bootstrap.value, child->process.value,
                                child->aspace.value,    child->thread.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        if (handles[i] != 0)
            handle_close((handle_t){handles[i]});
    *child = (struct child){};
}
