// SPDX-License-Identifier: MIT
//
// x86_64: privileged, undefined and odd instructions. What the manual calls #GP, #UD and #NM is
// FAULT_INSTRUCTION here.
#include "../hostile.h"

const uint64_t kernel_addresses[] = {
    0xffff'8000'0000'0000, // the direct map
    0xffff'8000'0010'0000,
    0xffff'ff00'0000'0000, // devices
    0xffff'ffff'8010'0000, // the image
    0xffff'ffff'ffff'fff8,
    0x0000'8000'0000'0000, // not canonical
    0xffff'7fff'ffff'fff8,
};
const uint32_t kernel_address_count = ARRAY_SIZE(kernel_addresses);

// Each is one function; registers hold whatever they hold, rsp is a good stack. What survives
// may have lost any register but rsp.
// clang-format off
#define CASES(X) \
    X(hlt, "hlt") \
    X(cli, "cli") \
    X(sti, "sti") \
    X(clts, "clts") \
    X(invd, "invd") \
    X(wbinvd, "wbinvd") \
    X(swapgs, "swapgs") \
    X(rsm, "rsm") \
    X(ud0, ".byte 0x0f,0xff,0xc0") \
    X(ud2, "ud2") \
    X(stac, "stac") \
    X(clac, "clac") \
    X(getsec, ".byte 0x0f,0x37") \
    X(in8, "mov $0x70,%edx; in %dx,%al") \
    X(in16, "mov $0x70,%edx; in %dx,%ax") \
    X(in32, "mov $0xcf8,%edx; in %dx,%eax") \
    X(in_imm, "in $0x60,%al") \
    X(out8, "mov $0x80,%edx; out %al,%dx") \
    X(out16, "mov $0x80,%edx; out %ax,%dx") \
    X(out32, "mov $0xcf8,%edx; out %eax,%dx") \
    X(out_imm, "out %al,$0x20") \
    X(out_reset, "mov $0xcf9,%edx; mov $6,%eax; out %al,%dx") \
    X(out_high, "mov $0xffff,%edx; out %al,%dx") \
    X(ins, "mov $0x60,%edx; mov %rsp,%rdi; insb") \
    X(outs, "mov $0x80,%edx; mov %rsp,%rsi; outsb") \
    X(rep_ins, "mov $0x60,%edx; mov %rsp,%rdi; mov $4,%ecx; rep insl") \
    X(rdmsr, "mov $0xc0000082,%ecx; rdmsr") \
    X(wrmsr, "mov $0xc0000082,%ecx; wrmsr") \
    X(wrmsr_bad, "mov $0x12345678,%ecx; wrmsr") \
    X(rdpmc, "xor %ecx,%ecx; rdpmc") \
    X(cr0_read, "mov %cr0,%rax") \
    X(cr0_write, "mov %rax,%cr0") \
    X(cr2_read, "mov %cr2,%rax") \
    X(cr2_write, "mov %rax,%cr2") \
    X(cr3_read, "mov %cr3,%rax") \
    X(cr3_write, "mov %rax,%cr3") \
    X(cr4_read, "mov %cr4,%rax") \
    X(cr4_write, "mov %rax,%cr4") \
    X(cr8_read, "mov %cr8,%rax") \
    X(cr8_write, "mov %rax,%cr8") \
    X(dr0_read, "mov %dr0,%rax") \
    X(dr0_write, "mov %rax,%dr0") \
    X(dr6_read, "mov %dr6,%rax") \
    X(dr7_write, "mov %rax,%dr7") \
    X(lmsw, "lmsw %ax") \
    X(smsw, "smsw %ax") \
    X(sgdt, "sgdt -16(%rsp)") \
    X(sidt, "sidt -16(%rsp)") \
    X(sldt, "sldt %ax") \
    X(str, "str %ax") \
    X(lgdt, "lgdt -16(%rsp)") \
    X(lidt, "lidt -16(%rsp)") \
    X(lldt, "lldt %ax") \
    X(ltr, "ltr %ax") \
    X(invlpg, "invlpg (%rsp)") \
    X(invpcid, "invpcid (%rsp),%rax") \
    X(xsetbv, "xor %ecx,%ecx; xsetbv") \
    X(monitor, "monitor") \
    X(mwait, "mwait") \
    X(vmcall, "vmcall") \
    X(vmmcall, "vmmcall") \
    X(vmrun, "vmrun %rax") \
    X(vmxon, "vmxon (%rsp)") \
    X(sysenter, "sysenter") \
    X(sysexit, "sysexit") \
    X(sysret, "sysretq") \
    X(wrfsbase, "mov $-1,%rax; wrfsbase %rax") \
    X(wrgsbase, "mov $-1,%rax; wrgsbase %rax") \
    X(rdgsbase, "rdgsbase %rax") \
    X(int_0, "int $0") \
    X(int_1, "int $1") \
    X(int_2, "int $2") \
    X(int_6, "int $6") \
    X(int_8, "int $8") \
    X(int_13, "int $13") \
    X(int_14, "int $14") \
    X(int_18, "int $18") \
    X(int_32, "int $32") \
    X(int_64, "int $64") \
    X(int_128, "int $128") \
    X(int_255, "int $255") \
    X(lock_nop, ".byte 0xf0,0x90") \
    X(push_es, ".byte 0x06") \
    X(aam, ".byte 0xd4,0x00") \
    X(lds, ".byte 0xc5,0x00") \
    X(avx512, "vpxorq %zmm0,%zmm0,%zmm0") \
    X(xrstor, "lea -2048(%rsp),%rdi; and $-64,%rdi; movq $-1,512(%rdi); mov $-1,%eax; mov %eax,%edx; xrstor (%rdi)") \
    X(ds_kernel, "mov $0x08,%eax; mov %ax,%ds") \
    X(ds_data, "mov $0x10,%eax; mov %ax,%ds") \
    X(ss_kernel, "mov $0x10,%eax; mov %ax,%ss") \
    X(ss_null, "xor %eax,%eax; mov %ax,%ss") \
    X(gs_tss, "mov $0x30,%eax; mov %ax,%gs") \
    X(fs_beyond, "mov $0xfff8,%eax; mov %ax,%fs")

// Those that must be stopped in another way, or may be allowed.
// QEMU 7.2 reads the stack of a far return as the kernel would, which SMAP refuses. It knows neither
// reserved bits of MXCSR nor exceptions of SSE.
#define INSTRUCTION_OR_READ CAUSE(INSTRUCTION) | CAUSE(READ)
#define OTHERS(X) \
    X(far_kernel, INSTRUCTION_OR_READ, "push $0x08; push $0; lretq") \
    X(far_null, INSTRUCTION_OR_READ, "push $0; push $0; lretq") \
    X(far_compat, INSTRUCTION_OR_READ, "push $0x1b; push $0x1000; lretq") \
    X(iret_kernel, INSTRUCTION_OR_READ, "push $0x10; push %rsp; push $2; push $0x08; push $0; iretq") \
    X(iret_null, INSTRUCTION_OR_READ, "push $0; push $0; push $2; push $0; push $0; iretq") \
    X(iret_compat, INSTRUCTION_OR_READ, "push $0x23; push %rsp; push $0x202; push $0x1b; push $0x1000; iretq") \
    X(xgetbv, HARMLESS | CAUSE(INSTRUCTION), "xor %ecx,%ecx; xgetbv") \
    X(mmx, HARMLESS, "emms") \
    X(x87, HARMLESS, "fld1; fstp %st(0)") \
    X(sse, HARMLESS, "xorps %xmm0,%xmm0") \
    X(sse_misaligned, CAUSE(INSTRUCTION), "lea -128(%rsp),%rdi; or $1,%rdi; movaps %xmm0,(%rdi)") \
    X(avx, HARMLESS | CAUSE(INSTRUCTION), "vxorps %ymm0,%ymm0,%ymm0") \
    X(fxsave, HARMLESS, "lea -2048(%rsp),%rdi; and $-64,%rdi; fxsave (%rdi); fxrstor (%rdi)") \
    X(ldmxcsr, HARMLESS | CAUSE(INSTRUCTION), "movl $-1,-16(%rsp); ldmxcsr -16(%rsp); mov $-1,%rax; syscall") \
    X(sse_divide, HARMLESS | CAUSE(ARITHMETIC), "movl $0,-16(%rsp); ldmxcsr -16(%rsp); xorps %xmm0,%xmm0; divss %xmm0,%xmm0") \
    X(x87_divide, CAUSE(ARITHMETIC), "fninit; movw $0x340,-16(%rsp); fldcw -16(%rsp); fldz; fld1; fdiv %st(1),%st; fwait") \
    X(x87_pending, CAUSE(ARITHMETIC), "fninit; movw $0x340,-16(%rsp); fldcw -16(%rsp); fldz; fld1; fdiv %st(1),%st; mov $-1,%rax; syscall; fwait") \
    X(divide_zero, CAUSE(ARITHMETIC), "xor %ecx,%ecx; xor %edx,%edx; mov $1,%eax; div %ecx") \
    X(divide_big, CAUSE(ARITHMETIC), "mov $1,%ecx; mov $-1,%edx; idiv %ecx") \
    X(int3, CAUSE(BREAKPOINT), "int3") \
    X(icebp, CAUSE(BREAKPOINT) | CAUSE(INSTRUCTION), ".byte 0xf1") \
    X(trap_flag, CAUSE(BREAKPOINT), "pushfq; orl $0x100,(%rsp); popfq; nop; nop") \
    X(trap_syscall, CAUSE(BREAKPOINT) | HARMLESS, "pushfq; orl $0x100,(%rsp); mov $-1,%rax; popfq; syscall; nop") \
    X(trap_int3, CAUSE(BREAKPOINT), "pushfq; orl $0x100,(%rsp); popfq; int3") \
    X(popf_iopl, CAUSE(INSTRUCTION), "pushfq; orl $0x3000,(%rsp); popfq; cli") \
    X(popf_nested, HARMLESS | CAUSE(INSTRUCTION), "pushfq; orl $0x4000,(%rsp); popfq; mov $-1,%rax; syscall; pushfq; andl $~0x4000,(%rsp); popfq") \
    X(align_flag, HARMLESS | CAUSE(ALIGNMENT), "pushfq; orl $0x40000,(%rsp); popfq; mov $-1,%rax; syscall; mov 1(%rsp),%rax") \
    X(direction_flag, HARMLESS, "std; mov $-1,%rax; syscall; cld") \
    X(null_segments, HARMLESS, "xor %eax,%eax; mov %ax,%ds; mov %ax,%es; mov %ax,%fs; mov %ax,%gs; mov $-1,%rax; syscall") \
    X(user_segments, HARMLESS | CAUSE(INSTRUCTION), "mov %ss,%eax; mov %ax,%ds; mov %ax,%es; mov %ax,%fs; mov %ax,%gs; mov $-1,%rax; syscall") \
    X(wild_stack, HARMLESS, "mov %rsp,%rbx; mov $0xffffffff80100000,%rsp; mov $-1,%rax; syscall; mov %rbx,%rsp") \
    X(wild_push, CAUSE(WRITE) | CAUSE(INSTRUCTION) | CAUSE(OTHER), "mov $0xffffffff80100000,%rsp; push %rax") \
    X(misaligned_stack, HARMLESS, "mov %rsp,%rbx; sub $9,%rsp; push %rax; call 1f; 1: mov %rbx,%rsp") \
    X(odd_stack_fault, CAUSE(WRITE), "mov $0x800000000000,%rsp; push %rax") \
    X(high_syscalls, HARMLESS, "mov $54,%ebx; 1: mov %rbx,%rax; mov $-1,%rdi; syscall; inc %ebx; cmp $4096,%ebx; jb 1b") \
    X(counter, HARMLESS, "rdtsc") \
    X(cpuid, HARMLESS, "xor %eax,%eax; xor %ecx,%ecx; cpuid")
// clang-format on

#define DEFINE(id, text)                       \
    [[gnu::naked]] static void case_##id(void) \
    {                                          \
        __asm__(text "\n\tret");               \
    }
#define DEFINE_OTHER(id, allowed, text) DEFINE(id, text)
CASES(DEFINE)
OTHERS(DEFINE_OTHER)

#define ROW(id, text) {#id, case_##id, CAUSE(INSTRUCTION), ANY_ADDRESS},
#define ROW_OTHER(id, allowed, text) {#id, case_##id, allowed, ANY_ADDRESS},
const struct crash_case machine_crashes[] = {CASES(ROW) OTHERS(ROW_OTHER)};
const uint32_t machine_crash_count = ARRAY_SIZE(machine_crashes);
