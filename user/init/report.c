// SPDX-License-Identifier: MIT
//
// Crash reports and other lines, into the kernel's log; the console shows what is new there.
//
// Code addresses are written as {{pc:0xADDRESS:PROGRAM}}: the run tool turns them into function
// and line as they stream past. The backtrace follows frame pointers through the stack of the
// first thread, whose VMO init keeps; what is read there is only ever printed, and each step
// goes upwards within the stack, so a broken chain ends the walk and nothing else.
#include "init.h"

#include <stdarg.h>

#include "registers.h"

constexpr uint64_t STACK_BASE = ABI_INIT_STACK_TOP - STACK_BYTES;
constexpr unsigned FRAMES_MAX = 24;
constexpr unsigned REGISTERS_A_LINE = 4;

void report_changed(void)
{
    struct service *console = service_find("console");
    if (console != nullptr && console->state == SERVICE_READY)
        (void)init_log_changed(console->bootstrap); // full: it knows already
}

void report_line(const char *format, ...)
{
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    format_text_v(line, sizeof(line), format, arguments);
    va_end(arguments);
    log_line("%s", line);
    report_changed();
}

static const char *cause_name(uint32_t cause)
{
    static const char *const names[] = {
        [FAULT_READ] = "read of",
        [FAULT_WRITE] = "write to",
        [FAULT_EXECUTE] = "jump to",
        [FAULT_INSTRUCTION] = "undefined or privileged instruction at",
        [FAULT_ALIGNMENT] = "misaligned access to",
        [FAULT_ARITHMETIC] = "arithmetic error at",
        [FAULT_BREAKPOINT] = "breakpoint at",
        [FAULT_OTHER] = "unexpected trap at",
    };
    return cause < ARRAY_SIZE(names) && names[cause] != nullptr ? names[cause] : "unknown fault at";
}

static void report_registers(const struct abi_fault *fault)
{
    uint32_t count =
        fault->register_count < ABI_FAULT_REGISTERS ? fault->register_count : ABI_FAULT_REGISTERS;
    for (uint32_t i = 0; i < count; i += REGISTERS_A_LINE) {
        char line[128];
        size_t length = 0;
        for (uint32_t j = i; j < i + REGISTERS_A_LINE && j < count && register_names[j] != nullptr;
             j++)
            length += format_text(line + length, sizeof(line) - length, " %6s %016lx",
                                  register_names[j], fault->registers[j]);
        if (length != 0)
            report_line(" %s", line);
    }
}

struct frame {
    uint64_t next, return_address;
};

// Reads from the mapped copy of the victim's stack; false: not a place where a frame can be.
static bool read_frame(uint64_t pointer, struct frame *frame)
{
    if (pointer % sizeof(uint64_t) != 0 || pointer < STACK_BASE ||
        pointer > ABI_INIT_STACK_TOP - sizeof(*frame))
        return false;
    memcpy(frame, (const void *)(SCRATCH + (pointer - STACK_BASE)), sizeof(*frame));
    return true;
}

static void report_backtrace(struct service *s, const struct abi_fault *fault)
{
    const char *program = s->manifest->program;
    report_line("  at {{pc:0x%lx:%s}}", fault->pc, program);
    uint64_t link = register_link(fault);
    status_t status = vm_map(start.aspace, s->stack, 0, SCRATCH, STACK_BYTES, PROT_READ);
    struct frame frame;
    uint64_t pointer = fault->fp, first = 0;
    // A jump to nowhere: whoever called has left the way back on the stack.
    if (status == STATUS_OK && call_pushes && fault->cause == FAULT_EXECUTE &&
        read_frame(fault->sp, &frame))
        link = frame.next;
    if (status == STATUS_OK && read_frame(pointer, &frame))
        first = frame.return_address;
    if (link != 0 && link != first)
        report_line("  link {{pc:0x%lx:%s}}", link - 1, program);
    if (status != STATUS_OK) {
        report_line("  no backtrace: %s", status_name(status));
        return;
    }
    for (unsigned i = 0; i < FRAMES_MAX && read_frame(pointer, &frame) && frame.return_address != 0;
         i++) {
        report_line("  from {{pc:0x%lx:%s}}", frame.return_address - 1, program);
        if (frame.next <= pointer)
            break;
        pointer = frame.next;
    }
    (void)vm_unmap(start.aspace, SCRATCH);
}

void report_fault(struct service *s, const struct abi_fault *fault)
{
    bool about_code = fault->cause >= FAULT_INSTRUCTION && fault->cause != FAULT_ALIGNMENT;
    report_line("crash of %s (program %s, thread %lu): %s 0x%lx, code 0x%lx", s->manifest->name,
                s->manifest->program, fault->thread_id, cause_name(fault->cause),
                about_code ? fault->pc : fault->address, fault->code);
    report_registers(fault);
    report_backtrace(s, fault);
}
