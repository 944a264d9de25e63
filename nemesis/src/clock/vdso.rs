//! Finds the clock functions in a vDSO, the library that the kernel maps into every program.
//!
//! Programs find them by name in its table of dynamic symbols (vdso(7)): C libraries and Go alike
//! read that table when they start. A symbol is redirected by changing its address there, in the
//! program's own copy of the page; the functions themselves stay as they are, for the stub to call.
//! Reads the section headers, which every x86-64 vDSO has had since Linux 2.6.

/// The `.dynsym` section type, and the size of a symbol, a section header and the file header
/// (elf(5)).
const SHT_DYNSYM: u32 = 11;
const SYMBOL: usize = 24;
const SECTION: usize = 64;
const HEADER: usize = 64;
/// `ELF`, 64 bits, little-endian.
const MAGIC: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// A function of the vDSO that tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    ClockGettime,
    Gettimeofday,
    Time,
}

/// The names under which programs look the functions up.
const NAMES: [(&[u8], Function); 6] = [
    (b"__vdso_clock_gettime", Function::ClockGettime),
    (b"clock_gettime", Function::ClockGettime),
    (b"__vdso_gettimeofday", Function::Gettimeofday),
    (b"gettimeofday", Function::Gettimeofday),
    (b"__vdso_time", Function::Time),
    (b"time", Function::Time),
];

/// What is in a vDSO, as offsets from its beginning in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where each symbol of a clock function has its address, and whose.
    pub(super) symbols: Vec<(u64, Function)>,
    /// The functions themselves.
    pub(super) clock_gettime: u64,
    pub(super) gettimeofday: u64,
    /// A `syscall` instruction.
    pub(super) syscall: u64,
}

/// Reads a vDSO; what is missing in it, if something is.
pub(super) fn read(image: &[u8]) -> Result<Layout, &'static str> {
    if image.get(..MAGIC.len()) != Some(&MAGIC) || image.len() < HEADER {
        return Err("it has no 64-bit vDSO");
    }
    let symbols = symbols(image).ok_or("its vDSO has no readable symbols")?;
    let value = |wanted| {
        let (place, _) = symbols.iter().find(|(_, function)| *function == wanted)?;
        number::<8>(image, usize::try_from(*place).ok()?)
    };
    let missing = "its vDSO lacks a function for the time";
    let syscall = image.windows(2).position(|bytes| bytes == SYSCALL);
    Ok(Layout {
        clock_gettime: value(Function::ClockGettime).ok_or(missing)?,
        gettimeofday: value(Function::Gettimeofday).ok_or(missing)?,
        syscall: syscall.ok_or("its vDSO makes no system call")? as u64,
        symbols,
    })
}

/// Where the symbols of clock functions have their addresses.
fn symbols(image: &[u8]) -> Option<Vec<(u64, Function)>> {
    let sections = number::<8>(image, 0x28)? as usize;
    let count = number::<2>(image, 0x3c)? as usize;
    let header = |index: usize| sections.checked_add(index.checked_mul(SECTION)?);
    let is_dynsym = |index: &usize| {
        let kind = header(*index).and_then(|at| number::<4>(image, at + 4));
        kind == Some(u64::from(SHT_DYNSYM))
    };
    let at = header((0..count).find(is_dynsym)?)?;
    let (table, size) = (number::<8>(image, at + 0x18)?, number::<8>(image, at + 0x20)?);
    let strings = header(number::<4>(image, at + 0x28)? as usize)?;
    let names = number::<8>(image, strings + 0x18)? as usize;

    let mut found = Vec::new();
    for symbol in (table..table.checked_add(size)?).step_by(SYMBOL) {
        let name = names.checked_add(number::<4>(image, symbol as usize)? as usize)?;
        let name = image.get(name..)?.split(|byte| *byte == 0).next()?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        found.extend(known.map(|(_, function)| (symbol + 8, *function)));
    }
    Some(found)
}

/// The little-endian number of so many bytes at a place.
fn number<const SIZE: usize>(image: &[u8], at: usize) -> Option<u64> {
    let bytes = image.get(at..at.checked_add(SIZE)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
