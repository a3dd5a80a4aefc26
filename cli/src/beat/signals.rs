//! Signals that reach a job's runner and are meant for the job.
//!
//! Owns which are passed on to the command, and which end the runner once the command is gone. Never listens to one that whoever
//! started us had ignored: the command ignores it too then.

use std::convert::Infallible;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What is done about a signal.
#[derive(Clone, Copy, Debug)]
struct Heard {
    which: Signal,
    /// A terminal sends it when keys are pressed, and then to the command too.
    by_keys: bool,
    /// Whoever sends it wants an end; others only speak to the command.
    ends: bool,
}

/// All that are passed on.
const PASSED_ON: [Heard; 6] = [
    Heard { which: Signal::TERM, by_keys: false, ends: true },
    Heard { which: Signal::HUP, by_keys: false, ends: true },
    Heard { which: Signal::USR1, by_keys: false, ends: false },
    Heard { which: Signal::USR2, by_keys: false, ends: false },
    Heard { which: Signal::INT, by_keys: true, ends: true },
    Heard { which: Signal::QUIT, by_keys: true, ends: true },
];

/// The signals that come.
#[derive(Debug)]
pub(super) struct Signals(mpsc::Receiver<Heard>);

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (heard, signals) = mpsc::channel(16);
        // Elsewhere than on Linux nobody says which are ignored.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        for what in PASSED_ON.into_iter().filter(|what| !is_ignored(&status, what.which)) {
            let mut listening = signal(SignalKind::from_raw(what.which.as_raw()))?;
            let heard = heard.clone();
            tokio::spawn(async move {
                while listening.recv().await.is_some() {
                    if heard.send(what).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self(signals))
    }

    /// Passes them on to the process of this number, for as long as it is asked to.
    pub(super) async fn pass_on(&mut self, to: Option<u32>) -> Infallible {
        let to = to.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        while let (Some(heard), Some(to)) = (self.0.recv().await, to) {
            if !(heard.by_keys && is_in_foreground()) {
                // It may have ended this moment.
                let _ = kill_process(to, heard.which);
            }
        }
        std::future::pending().await
    }

    /// One that wants an end, now that there is nobody to pass it on to.
    pub(super) async fn end(&mut self) {
        while let Some(heard) = self.0.recv().await {
            if heard.ends {
                return;
            }
        }
        std::future::pending().await
    }
}

/// `SigIgn` of proc_pid_status(5): a bit for each signal, in hexadecimal digits, the lowest for signal 1.
fn is_ignored(status: &str, signal: Signal) -> bool {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// Whether our terminal's keys reach us, and so the command too; where standard input comes from does not matter.
fn is_in_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ignored_from_the_start_is_known() {
        for (status, signal, expected) in [
            ("SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000000001\n", Signal::HUP, true),
            ("SigIgn:\t0000000000000001\nSigCgt:\tffffffffffffffff\n", Signal::INT, false),
            ("SigIgn:\t0000000000005006\n", Signal::INT, true),
            ("SigIgn:\t0000000000005006\n", Signal::QUIT, true),
            ("SigIgn:\t0000000000005006\n", Signal::TERM, true),
            ("SigIgn:\t0000000000005006\n", Signal::USR1, false),
            ("SigIgn:\tno number\n", Signal::HUP, false),
            ("", Signal::HUP, false),
        ] {
            assert_eq!(is_ignored(status, signal), expected, "{status} {signal:?}");
        }
    }
}
