//! A bus that does what a script says, and notes what was asked of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::pending;
use std::rc::Rc;

use aplomb_sim::now;
use embedded_hal::{i2c, spi};
use embedded_hal_async::i2c::I2c;
use embedded_hal_async::spi::{SpiBus, SpiDevice};

/// What becomes of a transfer. Where the script ends, all go well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Works,
    Fails(Fault),
    /// It never ends.
    Hangs,
    Panics,
}

/// An error of either kind of bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The device is busy.
    Nack,
    /// The bus is stuck.
    Stuck,
}

impl i2c::Error for Fault {
    fn kind(&self) -> i2c::ErrorKind {
        match self {
            Self::Nack => i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address),
            Self::Stuck => i2c::ErrorKind::Bus,
        }
    }
}

impl spi::Error for Fault {
    fn kind(&self) -> spi::ErrorKind {
        match self {
            Self::Nack => spi::ErrorKind::Other,
            Self::Stuck => spi::ErrorKind::ModeFault,
        }
    }
}

/// When something was asked of the bus, in milliseconds, and what.
pub(crate) type Log = Rc<RefCell<Vec<(u64, String)>>>;

pub(crate) struct Flaky {
    script: VecDeque<Act>,
    pub(crate) log: Log,
    /// What is read, again and again.
    answer: Vec<u8>,
}

impl Flaky {
    pub(crate) fn new(script: &[Act]) -> Self {
        Self { script: script.iter().copied().collect(), log: Log::default(), answer: vec![0x2a] }
    }

    pub(crate) fn answering(self, answer: &[u8]) -> Self {
        Self { answer: answer.to_vec(), ..self }
    }

    pub(crate) fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push((now().as_nanos() / 1_000_000, what.into()));
    }

    async fn act(&mut self, what: String) -> Result<(), Fault> {
        self.note(what);
        match self.script.pop_front().unwrap_or(Act::Works) {
            Act::Works => Ok(()),
            Act::Fails(fault) => Err(fault),
            Act::Hangs => pending().await,
            Act::Panics => panic!("the driver of the peripheral has a fault"),
        }
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(self.answer.iter().cycle()).for_each(|(byte, answer)| *byte = *answer);
    }
}

impl i2c::ErrorType for Flaky {
    type Error = Fault;
}

impl I2c for Flaky {
    async fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), Fault> {
        let mut what = format!("{address:02x}");
        for operation in &mut *operations {
            match operation {
                i2c::Operation::Write(bytes) => write!(what, " w{bytes:02x?}").unwrap(),
                i2c::Operation::Read(bytes) => write!(what, " r{}", bytes.len()).unwrap(),
            }
        }
        self.act(what).await?;
        for operation in operations {
            if let i2c::Operation::Read(bytes) = operation {
                self.fill(bytes);
            }
        }
        Ok(())
    }
}

impl spi::ErrorType for Flaky {
    type Error = Fault;
}

impl SpiDevice for Flaky {
    async fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Fault> {
        let mut what = String::from("select");
        for operation in &mut *operations {
            match operation {
                spi::Operation::Write(bytes) => write!(what, " w{bytes:02x?}").unwrap(),
                spi::Operation::Read(bytes) => write!(what, " r{}", bytes.len()).unwrap(),
                spi::Operation::TransferInPlace(bytes) => {
                    write!(what, " x{bytes:02x?}").unwrap();
                    // Received by halves, before it fails.
                    let half = bytes.len() / 2;
                    bytes[..half].fill(0xff);
                }
                spi::Operation::Transfer(..) | spi::Operation::DelayNs(_) => unreachable!("no test transfers so"),
            }
        }
        self.act(what).await?;
        for operation in operations {
            if let spi::Operation::Read(bytes) | spi::Operation::TransferInPlace(bytes) = operation {
                self.fill(bytes);
            }
        }
        Ok(())
    }
}

impl SpiBus for Flaky {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), Fault> {
        self.act(format!("r{}", words.len())).await?;
        self.fill(words);
        Ok(())
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), Fault> {
        self.act(format!("w{words:02x?}")).await
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Fault> {
        self.act(format!("w{write:02x?} r{}", read.len())).await
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Fault> {
        self.act(format!("x{words:02x?}")).await
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.act("flush".into()).await
    }
}
