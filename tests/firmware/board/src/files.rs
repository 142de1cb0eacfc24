//! Files of the host.

use cortex_m_semihosting::nr::open::{R_BINARY, W_TRUNC};
use cortex_m_semihosting::syscall;

/// A file of the host, which is open.
#[derive(Debug)]
pub struct File {
    handle: usize,
}

impl File {
    /// Opens a file to read it. The name ends with a zero.
    #[must_use]
    pub fn open(name: &[u8]) -> Option<Self> {
        Self::with_mode(name, R_BINARY)
    }

    /// Makes a file to write to, and empties it. The name ends with a zero.
    #[must_use]
    pub fn create(name: &[u8]) -> Option<Self> {
        Self::with_mode(name, W_TRUNC)
    }

    fn with_mode(name: &[u8], mode: usize) -> Option<Self> {
        let length = name.len().checked_sub(1)?;
        // SAFETY: name and length are of one slice, which ends with a zero after that length.
        let handle = unsafe { syscall!(OPEN, name.as_ptr(), mode, length) };
        (handle != usize::MAX).then_some(Self { handle })
    }

    /// Fills the buffer as far as the file goes, and says how far that is.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        // SAFETY: the buffer is as long as it says.
        let missing = unsafe { syscall!(READ, self.handle, buffer.as_mut_ptr(), buffer.len()) };
        buffer.len().saturating_sub(missing)
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) {
        // SAFETY: the slice is as long as it says.
        unsafe { syscall!(WRITE, self.handle, bytes.as_ptr(), bytes.len()) };
    }
}
