// SPDX-License-Identifier: MIT
//
// AArch64: every encoding of the system instructions (SYS, SYSL, MRS, MSR by register) is executed
// in user mode, with zero as its operand. The child runs whole pages of them; when one faults, the
// supervisor writes a NOP over it and lets the child go on. What did not fault must be one of
// those that user mode is meant to have. (The page is written through another mapping without
// cache maintenance, which user mode may not do; the emulator sees it all the same.)
#include "../hostile.h"

constexpr uint64_t CODE = 0x20'0000'0000; // in the child; the supervisor writes its own mapping
constexpr uint32_t NOP = 0xd503201f, RETURN = 0xd65f03c0, ZERO_X0 = 0xd2800000;

// 1101 0101 00 L op0 op1 CRn CRm op2 Rt, with op0 1 to 3; 0 is barriers, hints and PSTATE, which
// crashes.c has by name. (DDI 0487, C4.1.66)
constexpr uint32_t ENCODINGS = 3 * 8 * 16 * 16 * 8 * 2;
constexpr uint32_t PER_PAGE = PAGE_SIZE / 8 - 1; // zero x0, try it; at last return

#define INSTRUCTION(read, op0, op1, crn, crm, op2)                                          \
    (0xd5000000u | (uint32_t)(read) << 21 | (uint32_t)(op0) << 19 | (uint32_t)(op1) << 16 | \
     (uint32_t)(crn) << 12 | (uint32_t)(crm) << 8 | (uint32_t)(op2) << 5)

static uint32_t encoding(uint32_t number)
{
    uint32_t fields = number >> 1;
    return INSTRUCTION(number & 1, 1 + (fields >> 14), fields >> 11 & 7, fields >> 7 & 15,
                       fields >> 3 & 15, fields & 7);
}

static const struct {
    uint32_t instruction;
    const char *name;
} harmless[] = {
    {INSTRUCTION(1, 3, 3, 0, 0, 1), "read CTR_EL0"},
    {INSTRUCTION(1, 3, 3, 0, 0, 7), "read DCZID_EL0"},
    {INSTRUCTION(1, 3, 3, 4, 2, 0), "read NZCV"},
    {INSTRUCTION(0, 3, 3, 4, 2, 0), "write NZCV"},
    {INSTRUCTION(1, 3, 3, 4, 4, 0), "read FPCR"}, // a thread's own, like the vector registers
    {INSTRUCTION(0, 3, 3, 4, 4, 0), "write FPCR"},
    {INSTRUCTION(1, 3, 3, 4, 4, 1), "read FPSR"},
    {INSTRUCTION(0, 3, 3, 4, 4, 1), "write FPSR"},
    {INSTRUCTION(1, 3, 3, 13, 0, 2), "read TPIDR_EL0"},
    {INSTRUCTION(0, 3, 3, 13, 0, 2), "write TPIDR_EL0"},
    {INSTRUCTION(1, 3, 3, 13, 0, 3), "read TPIDRRO_EL0"},
    {INSTRUCTION(1, 3, 3, 9, 14, 0), "read PMUSERENR_EL0"}, // says that the rest is not for us
    {INSTRUCTION(1, 2, 3, 0, 1, 0), "read MDCCSR_EL0"},     // status of a channel that nobody has
    {INSTRUCTION(1, 3, 3, 2, 4, 0), "read RNDR"},           // these on newer processors only
    {INSTRUCTION(1, 3, 3, 2, 4, 1), "read RNDRRS"},
    {INSTRUCTION(1, 3, 3, 4, 2, 5), "read DIT"},
    {INSTRUCTION(0, 3, 3, 4, 2, 5), "write DIT"},
    {INSTRUCTION(1, 3, 3, 4, 2, 6), "read SSBS"},
    {INSTRUCTION(0, 3, 3, 4, 2, 6), "write SSBS"},
    {INSTRUCTION(1, 3, 3, 14, 0, 0), "read CNTFRQ_EL0"},
    {INSTRUCTION(1, 3, 3, 14, 0, 2), "read CNTVCT_EL0"},
};

// ---- the child: runs the page each time that it is told

void sweep_child(void)
{
    uint64_t message, token;
    for (;;) {
        must(channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &message, &token),
             "channel_receive");
        ((void (*)(void))CODE)();
        must(channel_send(start.bootstrap, MSG(0, 0), 0), "channel_send");
    }
}

// ---- the supervisor

static struct child child;
static port_t port;
static volatile uint32_t *page;
static uint32_t faulted, survived;

static void start_child(void)
{
    const struct child_spec spec = {
        .name = "sweep", .pages = 512, .objects = 64, .priority = 20, .words = {MODE_SWEEP}};
    must(child_create(&child, &spec), "starting the sweep");
    vmo_t vmo;
    void *address;
    must(vmo_create(child.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(memory_map_vmo(vmo, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &address), "memory_map_vmo");
    page = address;
    must(vm_map(child.aspace, vmo, 0, CODE, PAGE_SIZE, PROT_READ | PROT_EXECUTE), "vm_map");
    handle_close((handle_t){vmo.value});
    must(port_create(start.account, &port), "port_create");
    must(port_bind(port, (handle_t){child.exceptions.value}, 1, SIGNAL_READABLE), "port_bind");
    must(port_bind(port, (handle_t){child.bootstrap.value}, 2, SIGNAL_READABLE), "port_bind");
}

static void patch(uint64_t token)
{
    struct abi_fault fault;
    memcpy(&fault, message_buffer()->data, sizeof(fault));
    uint64_t offset = fault.pc - CODE;
    if (offset >= PAGE_SIZE || offset % 8 != 4)
        give_up("sweep: a fault at 0x%lx, cause %u", fault.pc, fault.cause);
    page[offset / 4] = NOP;
    faulted++;
    struct abi_fault_reply reply = {FAULT_RESUME};
    memcpy(message_buffer()->data, &reply, sizeof(reply));
    must(channel_reply(child.exceptions, token, MSG(sizeof(reply), 0)), "answering a fault");
}

static void run_page(void)
{
    uint64_t key, message, token;
    uint32_t signals;
    must(channel_send(child.bootstrap, MSG(0, 0), 0), "channel_send");
    for (;;) {
        must(port_receive(port, now_ns() + NS_PER_S, &key, &signals, &message, &token),
             "port_receive");
        if (key == 2)
            return;
        patch(token);
    }
}

static void judge(uint32_t instruction)
{
    survived++;
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
        if (harmless[i].instruction == instruction)
            return;
    failed("sweep: user mode may execute 0x%08x: op0 %u op1 %u CRn %u CRm %u op2 %u%s", instruction,
           instruction >> 19 & 3, instruction >> 16 & 7, instruction >> 12 & 15,
           instruction >> 8 & 15, instruction >> 5 & 7,
           (instruction >> 21 & 1) != 0 ? " (read)" : "");
}

void sweep_phase(void)
{
    uint32_t before = failures;
    start_child();
    for (uint32_t first = 0; first < ENCODINGS; first += PER_PAGE) {
        uint32_t count = ENCODINGS - first < PER_PAGE ? ENCODINGS - first : PER_PAGE;
        for (uint32_t i = 0; i < count; i++) {
            page[2 * i] = ZERO_X0;
            page[2 * i + 1] = encoding(first + i);
        }
        page[2 * count] = RETURN;
        run_page();
        for (uint32_t i = 0; i < count; i++)
            if (page[2 * i + 1] != NOP)
                judge(encoding(first + i));
    }
    must(vm_unmap(start.aspace, (uintptr_t)page), "vm_unmap");
    child_end(&child);
    handle_close((handle_t){port.value});
    if (failures == before)
        say("ok sweep: %u system instructions, %u faulted, %u are meant for user mode", ENCODINGS,
            faulted, survived);
}
