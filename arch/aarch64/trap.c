// SPDX-License-Identifier: MIT
//
// What a trap means: from user mode a fault of the thread, from the kernel a bug of ours.
// Exception classes and fault status codes are those of ESR_EL1 (DDI 0487, D19.2.37).
#include <arch/arch.h>
#include <entry/entry.h>

enum exception_class : uint32_t {
    CLASS_UNKNOWN = 0x00,
    CLASS_WFI_WFE = 0x01,
    CLASS_FP = 0x07,
    CLASS_LD64B = 0x0a,
    CLASS_BRANCH_TARGET = 0x0d,
    CLASS_ILLEGAL_STATE = 0x0e,
    CLASS_SYSTEM_REGISTER = 0x18,
    CLASS_SVE = 0x19,
    CLASS_POINTER_AUTHENTICATION = 0x1c,
    CLASS_SME = 0x1d,
    CLASS_INSTRUCTION_ABORT_USER = 0x20,
    CLASS_INSTRUCTION_ABORT = 0x21,
    CLASS_PC_ALIGNMENT = 0x22,
    CLASS_DATA_ABORT_USER = 0x24,
    CLASS_DATA_ABORT = 0x25,
    CLASS_SP_ALIGNMENT = 0x26,
    CLASS_FP_EXCEPTION = 0x2c,
    CLASS_SERROR = 0x2f,
    CLASS_BRK = 0x3c,
};

constexpr uint64_t ESR_WRITE = 1u << 6;       // of a data abort: WnR
constexpr uint64_t ESR_MAINTENANCE = 1u << 8; // CM: reported as a write whatever it was
constexpr unsigned STATUS_ALIGNMENT_FAULT = 0x21;

#define READ_REGISTER(name)                               \
    ({                                                    \
        uint64_t value_;                                  \
        __asm__ volatile("mrs %0, " name : "=r"(value_)); \
        value_;                                           \
    })

static unsigned exception_class(uint64_t esr)
{
    return (unsigned)(esr >> 26) & 0x3f;
}

// Translation (4-7), access flag (8-11) and permission (12-15) faults: the page tables said no.
// Address size (0-3) cannot happen with our tables; external aborts and the rest are the
// machine's.
static bool is_table_fault(uint64_t esr)
{
    unsigned status = esr & 0x3f;
    return status >= 4 && status <= 15;
}

static void decode_user(uint64_t esr, struct abi_fault *fault)
{
    switch (exception_class(esr)) {
    case CLASS_INSTRUCTION_ABORT_USER:
        fault->cause = is_table_fault(esr) ? FAULT_EXECUTE : FAULT_OTHER;
        fault->address = READ_REGISTER("far_el1");
        break;
    case CLASS_DATA_ABORT_USER:
        fault->address = READ_REGISTER("far_el1");
        if ((esr & 0x3f) == STATUS_ALIGNMENT_FAULT)
            fault->cause = FAULT_ALIGNMENT;
        else if (!is_table_fault(esr))
            fault->cause = FAULT_OTHER;
        else
            fault->cause =
                (esr & (ESR_WRITE | ESR_MAINTENANCE)) == ESR_WRITE ? FAULT_WRITE : FAULT_READ;
        break;
    case CLASS_PC_ALIGNMENT:
        fault->cause = FAULT_ALIGNMENT;
        fault->address = READ_REGISTER("far_el1");
        break;
    case CLASS_SP_ALIGNMENT:
        fault->cause = FAULT_ALIGNMENT;
        fault->address = READ_REGISTER("sp_el0");
        break;
    case CLASS_UNKNOWN:
    case CLASS_WFI_WFE:
    case CLASS_LD64B:
    case CLASS_BRANCH_TARGET:
    case CLASS_SYSTEM_REGISTER:
    case CLASS_SVE:
    case CLASS_POINTER_AUTHENTICATION:
    case CLASS_SME:
        fault->cause = FAULT_INSTRUCTION;
        break;
    case CLASS_FP_EXCEPTION:
        fault->cause = FAULT_ARITHMETIC;
        break;
    case CLASS_BRK:
        fault->cause = FAULT_BREAKPOINT;
        break;
    default:
        // Also an SError: an access that a device refused long after the instruction. The kernel
        // runs with it masked, so it arrives in the user thread that runs, most often the one
        // that made the access; that thread pays.
        fault->cause = FAULT_OTHER;
        break;
    }
}

// From vectors.S, the registers saved: everything from user mode but system calls and interrupts.
struct arch_context *trap_user(void);
struct arch_context *trap_user(void)
{
    struct abi_fault fault = {.code = READ_REGISTER("esr_el1")};
    if (exception_class(fault.code) == CLASS_FP)
        return entry_fpu();
    decode_user(fault.code, &fault);
    return entry_fault(&fault);
}

// ---- the kernel's own ----

enum kernel_trap_kind : uint64_t { TRAP_SYNC, TRAP_IRQ, TRAP_FIQ, TRAP_SERROR, TRAP_IMPOSSIBLE };

static const char *describe_sync(uint64_t esr, uint64_t address, uint64_t sp)
{
    const struct arch_percpu *self = arch_cpu_self();
    const bool below = address < self->stack_bottom && address >= self->stack_bottom - PAGE_SIZE;
    switch (exception_class(esr)) {
    case CLASS_DATA_ABORT:
        if (below || (sp < self->stack_bottom && sp >= self->stack_bottom - PAGE_SIZE))
            return "stack overflow";
        return (esr & ESR_WRITE) != 0 ? "page fault (write)" : "page fault (read)";
    case CLASS_INSTRUCTION_ABORT:
        return "page fault (execute)";
    case CLASS_UNKNOWN:
        return "undefined instruction";
    case CLASS_BRK:
        return "trap instruction";
    case CLASS_PC_ALIGNMENT:
    case CLASS_SP_ALIGNMENT:
        return "misaligned pc or sp";
    case CLASS_FP:
        return "floating-point instruction";
    default:
        return "unexpected exception";
    }
}

// From vectors.S, on an emergency stack.
[[noreturn]] void trap_kernel(enum kernel_trap_kind kind, uint64_t sp, uint64_t frame_pointer);
void trap_kernel(enum kernel_trap_kind kind, uint64_t sp, uint64_t frame_pointer)
{
    const uint64_t esr = READ_REGISTER("esr_el1"), address = READ_REGISTER("far_el1");
    const uint64_t pc = READ_REGISTER("elr_el1");
    const char *what = "impossible exception";
    switch (kind) {
    case TRAP_SYNC:
        what = describe_sync(esr, address, sp);
        break;
    case TRAP_IRQ:
        what = "unmasked interrupt";
        break;
    case TRAP_FIQ:
        what = "fast interrupt"; // no interrupt controller here uses them
        break;
    case TRAP_SERROR:
        what = "asynchronous error";
        break;
    case TRAP_IMPOSSIBLE:
        break;
    }
    entry_kernel_fault(what, pc, address, esr, frame_pointer);
}
