// SPDX-License-Identifier: MIT
//
// Start-up: the kernel's tables, and the first process. init is an ELF image in the boot bundle;
// it gets the root account, the machine, the log and the bundle, and everything else follows
// from those.
#include <arch/arch.h>
#include <hal/hal.h>
#include <kernel/boot.h>
#include <lib/elf.h>
#include <lib/string.h>

#include "account.h"
#include "clock.h"
#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "interrupt.h"
#include "log.h"
#include "machine.h"
#include "process.h"
#include "thread.h"
#include "vm.h"

constexpr uint64_t OBJECT_PER_BYTES = 64 * 1024; // one object slot for so much RAM
constexpr uint64_t OBJECTS_MIN = 1024, OBJECTS_MAX = 1u << 20;
constexpr uint8_t INIT_PRIORITY = 60;
constexpr uint64_t INIT_STACK_PAGES = 16;

static struct cpu boot_cpu;

// ---- the first process

static struct {
    struct account *root;
    struct process *process;
    const uint8_t *image;
    struct vmo *bundle;
} init;

static struct object_ref root(void)
{
    return object_reference(&init.root->object);
}

static void must(status_t status, const char *what)
{
    if (status != STATUS_OK)
        panic("cannot start init: %s: %s", what, abi_status_names[status]);
}

// Finds a file of the bundle, every offset checked: the bundle is what somebody built.
static const uint8_t *bundle_find(const struct boot_range *range, const char *name, size_t *bytes)
{
    uint64_t size = range->end - range->start;
    const struct abi_bundle *bundle = arch_ram((paddr_t){range->start});
    if (size < PAGE_SIZE || memcmp(bundle->magic, "SKBUNDLE", 8) != 0 || bundle->version != 1)
        panic("the boot bundle (%lu bytes) is missing or not a version 1 bundle",
              (unsigned long)size);
    uint64_t room = (size - sizeof *bundle) / sizeof bundle->entries[0];
    if (bundle->count > room)
        panic("the boot bundle says that it holds %u files, and has room for %lu", bundle->count,
              (unsigned long)room);
    for (uint32_t i = 0; i < bundle->count; i++) {
        const struct abi_bundle_entry *entry = &bundle->entries[i];
        if (strncmp(entry->name, name, sizeof entry->name) != 0)
            continue;
        if (entry->offset % PAGE_SIZE != 0 || entry->offset > size ||
            entry->bytes > size - entry->offset)
            panic("the boot bundle's entry '%s' reaches outside of it", name);
        *bytes = entry->bytes;
        return (const uint8_t *)bundle + entry->offset;
    }
    panic("the boot bundle holds no '%s'", name);
}

static void load_segment(const struct elf_segment *segment)
{
    uint64_t start = align_down(segment->address, PAGE_SIZE);
    uint64_t pages =
        (align_up(segment->address + segment->memory_bytes, PAGE_SIZE) - start) >> PAGE_SHIFT;
    struct vmo *vmo;
    must(vmo_create_now(root(), pages, &vmo), "memory for its image");
    uint64_t skip = segment->address - start;
    for (uint64_t done = 0; done < segment->file_bytes;) {
        uint64_t at = skip + done;
        uint64_t part = PAGE_SIZE - at % PAGE_SIZE;
        if (part > segment->file_bytes - done)
            part = segment->file_bytes - done;
        memcpy((uint8_t *)arch_ram(vmo_page(vmo, at >> PAGE_SHIFT)) + at % PAGE_SIZE,
               init.image + segment->offset + done, part);
        done += part;
    }
    must(
        aspace_map_now(init.process->aspace, vmo, 0, start, pages, segment->protection | PROT_READ),
        "mapping its image");
}

static uint64_t load_image(const uint8_t *image, size_t bytes)
{
    init.image = image;
    struct elf elf;
    const char *error = elf_open(image, bytes, ARCH_ELF_MACHINE, &elf);
    if (error)
        panic("init is not a usable program: %s", error);
    for (unsigned i = 0; i < elf.count; i++)
        load_segment(&elf.segments[i]);
    return elf.entry;
}

static uint64_t give(struct object *object, uint32_t rights)
{
    must(handles_reserve(init.process, 1), "its handles");
    return handle_install_reserved(init.process, object_reference(object), object->type, rights);
}

static struct object *make(enum abi_object type)
{
    must(account_charge(init.root, 0, 1), "its objects");
    struct object *object = object_new(init.root, type);
    object_publish(object);
    return object;
}

static void give_init_handles(struct thread *thread, const struct boot_info *boot)
{
    uint64_t *handles = thread->message->handles;
    uint64_t bundle_pages = (boot->bundle.end - boot->bundle.start) >> PAGE_SHIFT;
    must(vmo_create_physical(root(), boot->bundle.start, bundle_pages, true, &init.bundle),
         "the bundle");
    object_publish(&init.bundle->object);
    handles[INIT_ACCOUNT] = give(&init.root->object, RIGHTS_ACCOUNT);
    handles[INIT_PROCESS] = give(&init.process->object, RIGHTS_PROCESS);
    handles[INIT_ASPACE] = give(&init.process->aspace->object, RIGHTS_ASPACE);
    struct object *machine = make(OBJECT_MACHINE);
    machine_opened(machine);
    handles[INIT_MACHINE] = give(machine, RIGHTS_MACHINE);
    handles[INIT_LOG] = give(make(OBJECT_LOG), RIGHTS_LOG);
    handles[INIT_BUNDLE] = give(&init.bundle->object, RIGHT_DUPLICATE | RIGHT_TRANSFER |
                                                          RIGHT_INSPECT | RIGHT_READ | RIGHT_MAP);
}

static void start_init(const struct boot_info *boot)
{
    size_t bytes;
    const uint8_t *image = bundle_find(&boot->bundle, "init", &bytes);
    must(process_create(root(), "init\0\0\0\0\0\0\0\0\0\0\0", &init.process), "its process");
    object_publish(&init.process->aspace->object);
    object_publish(&init.process->object);
    uint64_t entry = load_image(image, bytes);
    struct vmo *stack;
    must(vmo_create_now(root(), INIT_STACK_PAGES, &stack), "its stack");
    must(aspace_map_now(init.process->aspace, stack, 0,
                        ABI_INIT_STACK_TOP - (INIT_STACK_PAGES << PAGE_SHIFT), INIT_STACK_PAGES,
                        PROT_READ | PROT_WRITE),
         "its stack");
    struct object_ref ref;
    must(thread_create(object_reference(&init.process->object), INIT_PRIORITY,
                       ABI_INIT_MESSAGE_BUFFER, &ref),
         "its thread");
    struct thread *thread = thread_of(ref.object);
    give_init_handles(thread, boot);
    arch_context_init(thread->context, entry, ABI_INIT_STACK_TOP, INIT_HANDLES,
                      ABI_INIT_MESSAGE_BUFFER);
    thread->started = true;
    thread_request(thread, REQUEST_START);
}

// ---- the machine

static void carve_tables(const struct boot_info *boot)
{
    uint64_t ram = 0;
    for (uint32_t i = 0; i < boot->ram_count; i++)
        ram += boot->ram[i].end - boot->ram[i].start;
    frames_init(boot);
    uint64_t slots = ram / OBJECT_PER_BYTES;
    slots = slots < OBJECTS_MIN ? OBJECTS_MIN : slots > OBJECTS_MAX ? OBJECTS_MAX : slots;
    objects_init(frames_carve(slots * OBJECT_SLOT_SIZE), slots);
    interrupts_init(frames_carve(interrupts_table_bytes()));
    smp_carve(boot);
    uint64_t contiguous = blocks_init(boot, ram);
    klog("memory: %lu MiB, %lu pages free, %lu contiguous, %lu objects", (unsigned long)(ram >> 20),
         (unsigned long)frames_total(), (unsigned long)contiguous, (unsigned long)slots);
}

struct account *kernel_setup(struct cpu *cpu, const struct boot_info *boot)
{
    arch_cpu_init(&cpu->arch, arch_boot_stack_top);
    cpu_announce(cpu);
    time_init();
    log_init();
    klog("Skerry %s: %u CPU%s, %s, %s at %lu MHz", dev_build ? "dev" : "release", boot->cpu_count,
         boot->cpu_count == 1 ? "" : "s", hal.irq->name, hal.clock->name,
         (unsigned long)(hal.clock->hz / 1'000'000));
    carve_tables(boot);
    machine_init(boot);
    dma_init();
    vm_init();
    // One page is the kernel's own root table; one object slot is the root account's.
    return account_root_create(frames_free(), objects_total());
}

void kernel_main(struct boot_info *boot)
{
    struct cpu *cpu = &boot_cpu;
    cpu_init(cpu, 0);
    cpu->hardware_id = boot->cpu_ids[0];
    init.root = kernel_setup(cpu, boot);
    smp_start(boot);
    start_init(boot);
    klog("starting init");
    arch_enter_user(sched_exit(cpu));
}
