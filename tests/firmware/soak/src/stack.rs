//! How much of the stack was used.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes of the stack that were ever used, and those that never were. It was painted at the start.
pub fn used() -> (usize, usize) {
    let (top, end) = (&raw const _stack_start, &raw const _stack_end);
    let length = (top.addr() - end.addr()) / size_of::<u32>();
    // SAFETY: the linker has left these words for the stack, of which those below the present frame are nobody's.
    let unused = (0..length).take_while(|index| unsafe { end.add(*index).read_volatile() } == STACK_PAINT_VALUE).count();
    ((length - unused) * size_of::<u32>(), unused * size_of::<u32>())
}
