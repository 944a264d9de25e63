//! The code that answers a node's questions for the time: the vDSO's answer, then the page's.
//!
//! [`image`] is a block of position-independent x86-64 code that is copied into every program of a
//! node, with four addresses filled in: the control page, the page of what was seen, and the vDSO's
//! own `clock_gettime` and `gettimeofday`. It asks the vDSO, applies the [`Timeline`] of that clock
//! and notes what it answered; no system call, no lock, no stack to speak of (Go calls it on a
//! thread's system stack).
//!
//! **Consistency.** Word 0 of the control page is a sequence number, odd while the controller
//! changes the page. The stub reads it, reads the true clock, waits for that read to end (`lfence`,
//! as `rdtsc` may be overtaken by later loads), reads the timeline and then the sequence number
//! again; if it was odd or has changed it starts over. x86 does not reorder loads with loads, so an
//! answer always comes from one version of the page that was in force *when the true clock was
//! read*. The controller reads the true clock for its change only after the odd number is visible
//! to all (a full fence): every answer by the old version is thus of an earlier true time than the
//! change, which is what keeps the monotonic clock from going back (see [`super::page`]).
//!
//! **What was seen.** Each thread notes in one of 64 cache lines, chosen by its stack, how often it
//! was told the time and how far from the truth. Two threads that share a line may lose a count;
//! what they note is one word each, so it is never torn.
//!
//! Leaves out the clocks of CPU time, and `clock_getres`.
//!
//! [`Timeline`]: super::timeline::Timeline

#![expect(unsafe_code, reason = "the code's extent is known to the assembler alone")]

use std::arch::global_asm;

/// Where the four addresses stand at the beginning of the image, in bytes.
const CONTROL: usize = 0;
const SEEN: usize = 8;
const CLOCK_GETTIME: usize = 16;
const GETTIMEOFDAY: usize = 24;
/// Where the offsets of the three entries stand.
const ENTRIES: [usize; 3] = [32, 40, 48];

global_asm!(
    ".pushsection .text.partita_clock_stub,\"ax\",@progbits",
    ".p2align 6",
    ".globl partita_clock_stub",
    ".hidden partita_clock_stub",
    "partita_clock_stub:",
    ".Lpartita_control: .quad 0",
    ".Lpartita_seen: .quad 0",
    ".Lpartita_true_clock_gettime: .quad 0",
    ".Lpartita_true_gettimeofday: .quad 0",
    ".quad .Lpartita_clock_gettime - partita_clock_stub",
    ".quad .Lpartita_gettimeofday - partita_clock_stub",
    ".quad .Lpartita_time - partita_clock_stub",
    // Which timeline a clock follows, by the clock's number; 255 for clocks that are left alone:
    // REALTIME, MONOTONIC, two of CPU time, MONOTONIC_RAW, REALTIME_COARSE, MONOTONIC_COARSE,
    // BOOTTIME, REALTIME_ALARM, BOOTTIME_ALARM, none, TAI.
    ".Lpartita_timelines: .byte 0, 1, 255, 255, 2, 0, 1, 3, 0, 3, 255, 4",
    ".p2align 4",
    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    ".Lpartita_clock_gettime:",
    "endbr64",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "mov ebx, edi",
    "mov rbp, rsi",
    "mov r12, [rip + .Lpartita_control]",
    "2:",
    "mov r13, [r12]",
    "test r13b, 1",
    "jnz 6f",
    "mov edi, ebx",
    "mov rsi, rbp",
    "call [rip + .Lpartita_true_clock_gettime]",
    "test eax, eax",
    "jnz 5f",
    "lfence",
    "cmp ebx, 11",
    "ja 4f",
    "lea rcx, [rip + .Lpartita_timelines]",
    "movzx r14d, byte ptr [rcx + rbx]",
    "cmp r14d, 255",
    "je 4f",
    "imul rax, [rbp], 1000000000",
    "add rax, [rbp + 8]",
    // The last of the four pieces that has begun: r9; the first one if none has.
    "mov ecx, r14d",
    "shl ecx, 7",
    "lea r9, [r12 + rcx + 64]",
    "lea rcx, [r9 + 32]",
    "lea rdx, [r9 + 64]",
    "lea rsi, [r9 + 96]",
    "cmp rax, [rcx]",
    "cmovge r9, rcx",
    "cmp rax, [rdx]",
    "cmovge r9, rdx",
    "cmp rax, [rsi]",
    "cmovge r9, rsi",
    "mov r10, [r9]",
    "mov rcx, [r9 + 8]",
    "mov r11, [r9 + 16]",
    "cmp r13, [r12]",
    "jne 2b",
    "mov r8, rax",
    "sub rax, r10",
    "imul r11",
    "shrd rax, rdx, 32",
    "add rax, rcx",
    // What was seen: realtime and TAI in words 0 and 1 of this thread's line, others in 2 and 3.
    "mov rdi, rax",
    "sub rdi, r8",
    "mov rcx, rsp",
    "mov rdx, rsp",
    "shr rcx, 14",
    "shr rdx, 23",
    "xor ecx, edx",
    "and ecx, 63",
    "shl ecx, 6",
    "add rcx, [rip + .Lpartita_seen]",
    "test r14d, 3",
    "jz 3f",
    "add rcx, 16",
    "3:",
    "inc qword ptr [rcx]",
    "mov [rcx + 8], rdi",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "mov [rbp], rax",
    "mov [rbp + 8], rdx",
    "4:",
    "xor eax, eax",
    "5:",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    "6:",
    "pause",
    "jmp 2b",
    ".p2align 4",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi): the zone is the vDSO's affair.
    ".Lpartita_gettimeofday:",
    "endbr64",
    "push rbx",
    "sub rsp, 16",
    "mov rbx, rdi",
    "test rsi, rsi",
    "jz 7f",
    "xor edi, edi",
    "call [rip + .Lpartita_true_gettimeofday]",
    "7:",
    "xor eax, eax",
    "test rbx, rbx",
    "jz 8f",
    "xor edi, edi",
    "mov rsi, rsp",
    "call .Lpartita_clock_gettime",
    "mov rax, [rsp]",
    "mov [rbx], rax",
    "mov rax, [rsp + 8]",
    "xor edx, edx",
    "mov ecx, 1000",
    "div rcx",
    "mov [rbx + 8], rax",
    "xor eax, eax",
    "8:",
    "add rsp, 16",
    "pop rbx",
    "ret",
    ".p2align 4",
    // time_t time(time_t *rdi): from the coarse clock, as the vDSO has it.
    ".Lpartita_time:",
    "endbr64",
    "push rbx",
    "sub rsp, 16",
    "mov rbx, rdi",
    "mov edi, 5",
    "mov rsi, rsp",
    "call .Lpartita_clock_gettime",
    "mov rax, [rsp]",
    "test rbx, rbx",
    "jz 9f",
    "mov [rbx], rax",
    "9:",
    "add rsp, 16",
    "pop rbx",
    "ret",
    ".globl partita_clock_stub_end",
    ".hidden partita_clock_stub_end",
    "partita_clock_stub_end:",
    ".popsection",
);

unsafe extern "C" {
    static partita_clock_stub: u8;
    static partita_clock_stub_end: u8;
}

/// The addresses that the stub works with, as they are in the program it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    /// The control page.
    pub(super) control: u64,
    /// The page of what was seen.
    pub(super) seen: u64,
    /// The vDSO's `clock_gettime`.
    pub(super) clock_gettime: u64,
    /// The vDSO's `gettimeofday`.
    pub(super) gettimeofday: u64,
}

/// Where in the image the entries are, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries {
    pub(super) clock_gettime: u64,
    pub(super) gettimeofday: u64,
    pub(super) time: u64,
}

/// The code for a program with these addresses, and its entries. Shorter than a page, and a
/// multiple of eight bytes long.
pub(super) fn image(addresses: Addresses) -> (Vec<u8>, Entries) {
    let mut code = template().to_vec();
    code.resize(code.len().next_multiple_of(8), 0xcc);
    let fill = [
        (CONTROL, addresses.control),
        (SEEN, addresses.seen),
        (CLOCK_GETTIME, addresses.clock_gettime),
        (GETTIMEOFDAY, addresses.gettimeofday),
    ];
    for (place, address) in fill {
        code[place..place + 8].copy_from_slice(&address.to_le_bytes());
    }
    let [clock_gettime, gettimeofday, time] = ENTRIES
        .map(|place| u64::from_le_bytes(code[place..place + 8].try_into().expect("eight bytes")));
    (code, Entries { clock_gettime, gettimeofday, time })
}

fn template() -> &'static [u8] {
    let (start, end) = (&raw const partita_clock_stub, &raw const partita_clock_stub_end);
    // SAFETY: both symbols are defined above in one section, the end behind the start, and what is
    // between them is readable code that nobody writes to.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}
