// SPDX-License-Identifier: MIT
//
// The first instructions: Linux "Image" header, EL2 to EL1, page tables, MMU on, high half.
//
// Entered as Documentation/arch/arm64/booting of Linux says: x0 = device tree (physical), MMU
// off, interrupts masked, EL1 or EL2, the image cleaned to the point of coherency; or by the
// handover contract (docs/boot.md), in the same state, x0 = struct abi_handover. Nothing can be
// printed yet: what cannot work (EL3, a big-endian or 4 KiB-less CPU) parks the CPU.
//
// The other CPUs come the same way, from secondary_entry on, with what the boot CPU has prepared.
//
// Until the MMU is on, stores go past the caches. All of them fall between _boot_start and
// _boot_end, which is invalidated before and after, so that no stale line hides them later.
#include <arch/layout.h>

// SCTLR_EL1 (DDI 0487, D19.2.118). RES1 without the extensions that we do not use: 29 28 22 20 11.
//   M 0, C 2, SA 3, SA0 4, ITD 7, SED 8, I 12, DZE 14, UCT 15, nTWE 18, WXN 19
//   A 1 = 0: unaligned accesses to normal memory work.
//   nTWI 16 = 0: a user WFI faults: a thread waits by a system call, never by stopping the CPU
//   under the scheduler's feet. WFE may stay: it is a hint in spin loops and wakes by itself.
//   UCI 26 = 0: no cache maintenance from user mode; vm_map and pin_sync do it, and without it
//   a flush-and-reload of shared memory is harder.
//   UMA 9 = 0: user code cannot mask interrupts.
//   SPAN 23 is cleared where there is PAN (arch_cpu_init).
#define SCTLR_RES1 (1 << 29 | 1 << 28 | 1 << 23 | 1 << 22 | 1 << 20 | 1 << 11 | 1 << 8 | 1 << 7)
#define SCTLR_OFF SCTLR_RES1
#define SCTLR_ON (SCTLR_RES1 | 1 << 19 | 1 << 18 | 1 << 15 | 1 << 14 | 1 << 12 | 1 << 4 | 1 << 3 | 1 << 2 | 1)

// MAIR_EL1, by enum arch_memory: 0 normal write-back read/write-allocate, 1 Device-nGnRE.
#define MAIR 0x04ff

// TCR_EL1: T0SZ T1SZ 16, inner and outer write-back, inner shareable, 4 KiB granules both sides.
#define TCR (16 | 1 << 8 | 1 << 10 | 3 << 12 | 0 << 14 | 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30)
#define TCR_IPS_SHIFT 32
#define TCR_AS_BIT 36
#define TCR_E0PD1_BIT 56

    .macro address, register, symbol // where the symbol is now, PC-relative
    adrp    \register, \symbol
    add     \register, \register, :lo12:\symbol
    .endm

    .globl _layout_image
    .set _layout_image, LAYOUT_IMAGE
    .globl _layout_image_limit
    .set _layout_image_limit, LAYOUT_IMAGE_TABLES << 21

// ---- Image header ----

    .section .head.text, "ax", %progbits
header:
    b       primary_entry
    .long   0
    .quad   0              // text_offset
    .quad   _image_bytes
    .quad   1 << 3 | 1 << 1 // placed anywhere, 4 KiB pages, little-endian
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

    .section .note.skerry, "a", %note
    .balign 4
    .long   7, 32, 1 // sizes of name and value; HANDOVER_NOTE_TYPE
    .asciz  "Skerry"
    .balign 4
    .long   1, 1 // HANDOVER_VERSION; HANDOVER_ANYWHERE
    .quad   handover_entry
    .quad   0, 0 // needs no room behind the image, reads the handover wherever it is

// ---- MMU off ----

    .section .head.text, "ax", %progbits
handover_entry:
    mov     x22, #1 // ENTRY_HANDOVER
    b       1f
primary_entry:
    mov     x22, #0 // ENTRY_LINUX
1:  mov     x20, x0
    adr     x21, primary_el1
    b       enter_el1
primary_el1:
    address x0, loader_stack_top
    mov     sp, x0
    mov     x29, #0
    bl      invalidate_boot
    address x0, _image_start
    bl      boot_map_build // in C, position-independent; x0 = the image's physical address
    bl      invalidate_boot
    address x0, boot_identity_root
    bl      mmu_on
    ldr     x1, =high
    br      x1

// A CPU that PSCI was told to start: x0 = its struct arch_percpu, by its address in the high half.
    .globl  secondary_entry
secondary_entry:
    mov     x20, x0
    adr     x21, secondary_el1
    b       enter_el1
secondary_el1:
    address x0, secondary_root
    bl      mmu_on
    ldr     x1, =secondary_high
    br      x1

// A CPU that was let go from a spin table, where nobody is told anything: what it would be told is in
// `parked` (cpu.c), which was cleaned to the point of coherency before it was let go.
    .globl  parked_entry
parked_entry:
    mrs     x1, mpidr_el1
    ldr     x2, =PARKED_ID_MASK
    and     x1, x1, x2
    orr     x1, x1, #PARKED_ID_USED
    address x2, parked
    add     x3, x2, #(PARKED_CPUS * PARKED_BYTES)
1:  ldp     x4, x0, [x2], #PARKED_BYTES
    cmp     x4, x1
    b.eq    secondary_entry
    cmp     x2, x3
    b.lo    1b
    b       park

// Goes on at x21 in EL1, the MMU and the caches off.
enter_el1:
    msr     daifset, #0xf
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.eq    from_el2
    cmp     x0, #(1 << 2)
    b.ne    park
    ldr     x0, =SCTLR_OFF // whatever was left there
    msr     sctlr_el1, x0
    isb
    br      x21

// x0 = the root to translate low addresses by, which maps this page one to one. Clobbers x0 to x3.
mmu_on:
    mrs     x1, id_aa64mmfr0_el1
    ubfx    x2, x1, #28, #4
    cmp     x2, #0xf // no 4 KiB granule
    b.eq    park
    msr     ttbr0_el1, x0
    ldr     x0, =TCR
    and     x2, x1, #0xf // PARange; beyond 48 bits (5) needs other page tables
    mov     x3, #5
    cmp     x2, x3
    csel    x2, x2, x3, lo
    orr     x0, x0, x2, lsl #TCR_IPS_SHIFT
    ubfx    x2, x1, #4, #4 // ASIDBits: 2 means 16
    cmp     x2, #2
    cset    x2, eq
    orr     x0, x0, x2, lsl #TCR_AS_BIT
    mrs     x1, s3_0_c0_c7_2 // ID_AA64MMFR2_EL1.E0PD: user code cannot probe the upper half
    ubfx    x2, x1, #60, #4
    cmp     x2, #0
    cset    x2, ne
    orr     x0, x0, x2, lsl #TCR_E0PD1_BIT
    msr     tcr_el1, x0
    mov     x0, #MAIR
    msr     mair_el1, x0
    address x0, boot_kernel_root
    msr     ttbr1_el1, x0
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x0, =SCTLR_ON
    msr     sctlr_el1, x0
    isb
    ret

// ---- the high half ----

high:
    address x0, vectors
    msr     vbar_el1, x0
    address x0, _bss_start
    address x1, _bss_end
1:  stp     xzr, xzr, [x0], #16 // page-aligned both
    cmp     x0, x1
    b.lo    1b
    address x0, arch_boot_stack_top
    mov     sp, x0
    mov     x29, #0
    mov     x30, #0
    mov     x0, x20
    mov     w1, w22
    bl      arch_start
    b       park

secondary_high:
    address x0, vectors
    msr     vbar_el1, x0
    ldr     x0, [x20, #PERCPU_STACK_TOP]
    mov     sp, x0
    mov     x29, #0
    mov     x30, #0
    mov     x0, x20
    bl      arch_secondary_start
    b       park

park:
    wfe
    b       park

// Invalidates _boot_start to _boot_end to the point of coherency. Clobbers x0 to x3.
invalidate_boot:
    address x0, _boot_start
    address x1, _boot_end
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4 // DminLine: log2 of words
    mov     x3, #4
    lsl     x2, x3, x2
1:  dc      ivac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret

// Gives EL1 the machine: 64-bit, counters and timers, no traps. What a reset leaves unknown is
// set, whether or not it matters on this CPU.
from_el2:
    ldr     x0, =(1 << 31 | 1 << 41 | 1 << 40) // HCR_EL2.RW, API, APK; E2H off
    msr     hcr_el2, x0
    isb
    ldr     x0, =SCTLR_OFF
    msr     sctlr_el1, x0
    mov     x0, #3 // EL1PCTEN, EL1PCEN
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff // no traps of FP or CPACR_EL1
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0

    mrs     x0, id_aa64dfr0_el1 // MDCR_EL2.HPMN: all event counters, where there are any
    ubfx    x1, x0, #8, #4
    sub     x1, x1, #1
    mov     x2, #0
    cmp     x1, #0xe
    b.hs    1f
    mrs     x2, pmcr_el0
    ubfx    x2, x2, #11, #5
1:  msr     mdcr_el2, x2

    mrs     x0, id_aa64mmfr0_el1 // FEAT_FGT: the fine-grained traps
    ubfx    x0, x0, #56, #4
    cbz     x0, 2f
    msr     s3_4_c1_c1_4, xzr // HFGRTR_EL2
    msr     s3_4_c1_c1_5, xzr // HFGWTR_EL2
    msr     s3_4_c1_c1_6, xzr // HFGITR_EL2
    msr     s3_4_c3_c1_4, xzr // HDFGRTR_EL2
    msr     s3_4_c3_c1_5, xzr // HDFGWTR_EL2
2:
    mrs     x0, id_aa64pfr0_el1 // GICv3 by system registers: leave them to EL1
    ubfx    x0, x0, #24, #4
    cbz     x0, 3f
    mrs     x0, s3_4_c12_c9_5 // ICC_SRE_EL2: SRE, Enable
    mov     x1, #9
    orr     x0, x0, x1
    msr     s3_4_c12_c9_5, x0
    isb
    msr     s3_4_c12_c11_0, xzr // ICH_HCR_EL2
3:
    mov     x0, #0x3c5 // EL1h, all masked
    msr     spsr_el2, x0
    msr     elr_el2, x21
    eret

    .ltorg
    .globl  _head_end
_head_end:

// ---- stacks ----

    .section .bss.boot, "aw", %nobits
    .balign 4096
    .space  4096
loader_stack_top:

    // Guard pages are left unmapped by boot_map.c.
    .section .stacks, "aw", %nobits
    .balign 4096
    .globl  boot_emergency_guard
boot_emergency_guard:
    .space  4096
    .space  LAYOUT_EMERGENCY_BYTES
    .globl  boot_emergency_top
boot_emergency_top:
    .globl  boot_stack_guard
boot_stack_guard:
    .space  4096
    .globl  arch_boot_stack_bottom
arch_boot_stack_bottom:
    .space  LAYOUT_STACK_BYTES
    .globl  arch_boot_stack_top
arch_boot_stack_top:
