//! The other end of the firmware's wires: starts the emulator with a firmware, is a modem at its serial port that is not at its best, and a finger on its button; and says at the end whether what the firmware told was right.
//!
//! What it does next hangs on what the firmware has told, and on no clock, and how long the button is held is counted by the emulator's: so it comes out the same where this program is slow.

mod told;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use told::Told;

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// It takes some seconds.
const LONGEST: Duration = Duration::from_mins(2);

/// What the firmware is to tell, in any order, and how often at least.
const EXPECTED: [(&str, usize); 19] = [
    (NOT_KNOWN, 1),
    (HEARS, 1),
    (REFUSED, 1),
    (TIMED_OUT, 1),
    (GARBLED, 1),
    (WORKED, 2),
    (OPENED, 1),
    ("breaker: rejected", 1),
    (CLOSED, 1),
    ("button: pressed, 2", 1),
    (HELD, 1),
    ("airtime: had to wait", 3),
    ("offset: not there", 2),
    ("offset: read anew", 2),
    ("offset: kept", 1),
    ("offset: expired", 1),
    ("superseded", 3),
    ("sensor: closed -> open", 1),
    ("sensor: half-open -> closed", 1),
];
const NOT_KNOWN: &str = "signal: not known";
const HEARS: &str = "signal: 17";
const REFUSED: &str = "the modem refuses; again in";
const TIMED_OUT: &str = "the attempt timed out; again in";
const GARBLED: &str = "garbled; again in";
const WORKED: &str = "it worked after all";
const OPENED: &str = "breaker: closed -> open";
const CLOSED: &str = "breaker: half-open -> closed";
const PRESSED: &str = "button: pressed";
const RELEASED: &str = "button: released";
const HELD: &str = "button: held";

/// Twice for 45 ms, once for 795.
const PRESSES: [usize; 3] = [5, 5, 80];

fn main() -> Result<ExitCode, Anything> {
    let Some(firmware) = env::args_os().nth(1) else { return Err("usage: other-end FIRMWARE".into()) };
    let (serial, control) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let mut emulator = Command::new("qemu-system-arm")
        .args(["-M", "lm3s6965evb", "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(["-serial", &format!("tcp:{}", serial.local_addr()?)])
        .args(["-qmp", &format!("tcp:{}", control.local_addr()?)])
        .arg("-kernel")
        .arg(firmware)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("qemu-system-arm (Debian's package qemu-system-arm): {error}"))?;
    let output = emulator.stdout.take().ok_or("the emulator has no output")?;
    let told = Arc::new(Told::default());
    let heard = told.clone();
    thread::spawn(move || modem(accept(&serial)?, &heard));
    let heard = told.clone();
    thread::spawn(move || finger(accept(&control)?, &heard));
    let heard = told.clone();
    thread::spawn(move || heard.listen(output));
    if !told.wait_for_end(LONGEST) {
        emulator.kill()?;
        eprintln!("other end: the firmware has come to no end");
        judge(&told);
        return Ok(ExitCode::FAILURE);
    }
    let success = emulator.wait()?.success() && judge(&told);
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn accept(listener: &TcpListener) -> Result<TcpStream, Anything> {
    let (port, _) = listener.accept()?;
    port.set_nodelay(true)?;
    Ok(port)
}

/// Answers promptly, late, wrongly, and not at all; and sends back what it reads, as modems do.
fn modem(mut port: TcpStream, told: &Told) -> Result<(), Anything> {
    for command in BufReader::new(port.try_clone()?).split(b'\r') {
        let command = command?;
        port.write_all(&command)?;
        port.write_all(b"\r")?;
        if command != b"AT+CSQ" {
            port.write_all(b"\r\nERROR\r\n")?;
        } else if !told.has(NOT_KNOWN, 1) {
            port.write_all(b"\r\n+CSQ: 99,99\r\n\r\nOK\r\n")?;
        } else if !told.has(HEARS, 1) {
            port.write_all(b"\r\n+CREG: 1\r\n\r\n+CSQ: 17,99\r\n\r\nOK\r\n")?;
        } else if !told.has(REFUSED, 1) {
            port.write_all(b"\r\n+CME ERROR: 14\r\n")?;
        } else if !told.has(TIMED_OUT, 1) {
            told.wait_for(TIMED_OUT, 1);
            port.write_all(b"\r\n+CSQ: 16,99\r\n\r\nOK\r\n")?;
        } else if told.has(WORKED, 1) && !told.has(GARBLED, 1) {
            port.write_all(b"\r\n+C\x00Q: 1\xff\r\n\r\nOK\r\n")?;
        } else if told.has(WORKED, 2) && !told.has(OPENED, 1) {
            // It is gone.
        } else {
            port.write_all(b"\r\n+CSQ: 17,99\r\n\r\nOK\r\n")?;
        }
    }
    Ok(())
}

/// Presses the button, and ends it all when the firmware has told all that it is to.
fn finger(mut emulator: TcpStream, told: &Told) -> Result<(), Anything> {
    emulator.write_all(b"{\"execute\": \"qmp_capabilities\"}\n")?;
    // What was never touched reads as pressed.
    emulator.write_all(key(1, 1).as_bytes())?;
    told.wait_for("button: ready", 1);
    for (press, held) in (1..).zip(PRESSES) {
        emulator.write_all(press_for(held).as_bytes())?;
        told.wait_for(RELEASED, press);
    }
    for (wanted, times) in EXPECTED {
        told.wait_for(wanted, times);
    }
    emulator.write_all(b"{\"execute\": \"quit\"}\n")?;
    // It says something to each command.
    while emulator.read(&mut [0; 1_024])? > 0 {}
    Ok(())
}

/// The select button goes down and up, and its contact changes its mind at both ends.
fn press_for(steps: usize) -> String {
    [key(1, 1), key(1, 2), key(steps, 5), key(1, 2), key(1, 1)].concat()
}

/// The button is down for one step less than twice that many, and then up for a step, of so many milliseconds of the emulator's: it lets keys go one by one, the first one last.
fn key(steps: usize, step: u32) -> String {
    let others = r#", {"type": "qcode", "data": "a"}"#.repeat(steps - 1);
    format!(
        r#"{{"execute": "send-key", "arguments": {{"keys": [{{"type": "qcode", "data": "ctrl"}}{others}], "hold-time": {step}}}}}"#
    ) + "\n"
}

/// Whether the firmware told what it had to, and of no press that there was not.
fn judge(told: &Told) -> bool {
    let missing: Vec<_> = EXPECTED.iter().filter(|(wanted, times)| !told.has(wanted, *times)).collect();
    for (wanted, times) in &missing {
        eprintln!("other end: {wanted:?} was to be told {times} times");
    }
    let ghosts = told.has(PRESSED, PRESSES.len() + 1);
    if ghosts {
        eprintln!("other end: the button was pressed {} times only", PRESSES.len());
    }
    missing.is_empty() && !ghosts
}
