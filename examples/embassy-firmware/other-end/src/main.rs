//! The other end of the firmware's wires: starts the emulator with a firmware, is a modem at its serial port that is not at its best, and a finger on its button; and says at the end whether what the firmware told was right.
//!
//! What it does next hangs on what the firmware has told, and on no clock: so it comes out the same on a machine that is slow.

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
const EXPECTED: [(&str, usize); 13] = [
    ("signal: 17", 1),
    (TIMED_OUT, 1),
    (GARBLED, 1),
    (WORKED, 1),
    (OPENED, 1),
    ("breaker: rejected", 1),
    (CLOSED, 1),
    ("button: pressed, 2", 1),
    (HELD, 1),
    ("airtime: had to wait", 3),
    ("offset: read anew", 2),
    ("sensor: closed -> open", 1),
    ("sensor: half-open -> closed", 1),
];
const TIMED_OUT: &str = "the attempt timed out; again in";
const GARBLED: &str = "garbled; again in";
const WORKED: &str = "it worked after all";
const OPENED: &str = "breaker: closed -> open";
const CLOSED: &str = "breaker: half-open -> closed";
const PRESSED: &str = "button: pressed";
const RELEASED: &str = "button: released";
const HELD: &str = "button: held";

/// Twice shortly, once for long.
const PRESSES: usize = 3;

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

/// Answers promptly, late, wrongly, and not at all; and so that the firmware ends, when it has told all that it is to.
fn modem(mut port: TcpStream, told: &Told) -> Result<(), Anything> {
    for command in BufReader::new(port.try_clone()?).split(b'\r') {
        if command? != b"AT+CSQ" {
            port.write_all(b"ERROR\r\n")?;
        } else if !told.has("signal: 17", 1) {
            port.write_all(b"+CSQ: 17\r\n")?;
        } else if !told.has(TIMED_OUT, 1) {
            told.wait_for(TIMED_OUT, 1);
            port.write_all(b"+CSQ: 16\r\n")?;
        } else if !told.has(GARBLED, 1) {
            port.write_all(b"+C\x00Q: 1\xff\r\n")?;
        } else if told.has(WORKED, 1) && !told.has(OPENED, 1) {
            // It is gone.
        } else if EXPECTED.iter().all(|(wanted, times)| told.has(wanted, *times)) {
            port.write_all(b"+CSQ: 99\r\n")?;
        } else {
            port.write_all(b"+CSQ: 17\r\n")?;
        }
    }
    Ok(())
}

/// Presses the button. Its contact bounces each time.
fn finger(mut emulator: TcpStream, told: &Told) -> Result<(), Anything> {
    emulator.write_all(b"{\"execute\": \"qmp_capabilities\"}\n")?;
    // What was never touched reads as pressed.
    emulator.write_all(bounce(false).as_bytes())?;
    told.wait_for("button: ready", 1);
    for press in 1..=PRESSES {
        emulator.write_all(bounce(true).as_bytes())?;
        told.wait_for(PRESSED, press);
        if press == PRESSES {
            told.wait_for(HELD, 1);
        }
        emulator.write_all(bounce(false).as_bytes())?;
        told.wait_for(RELEASED, press);
    }
    // The emulator says something to each command.
    while emulator.read(&mut [0; 1_024])? > 0 {}
    Ok(())
}

/// The select button goes down, or up, not without changing its mind.
fn bounce(down: bool) -> String {
    let events = [down, !down, down, !down, down]
        .map(|down| format!(r#"{{"type": "key", "data": {{"down": {down}, "key": {{"type": "qcode", "data": "ctrl"}}}}}}"#));
    format!("{{\"execute\": \"input-send-event\", \"arguments\": {{\"events\": [{}]}}}}\n", events.join(", "))
}

/// Whether the firmware told what it had to, and of no press that there was not.
fn judge(told: &Told) -> bool {
    let missing: Vec<_> = EXPECTED.iter().filter(|(wanted, times)| !told.has(wanted, *times)).collect();
    for (wanted, times) in &missing {
        eprintln!("other end: {wanted:?} was to be told {times} times");
    }
    let ghosts = told.has(PRESSED, PRESSES + 1);
    if ghosts {
        eprintln!("other end: the button was pressed {PRESSES} times only");
    }
    missing.is_empty() && !ghosts
}
