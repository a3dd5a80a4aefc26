//! Reading `/proc/PID/stat` (proc_pid_stat(5)).
//!
//! Owns its form. The name in parentheses is the process's own choice, and may hold parentheses, spaces and line ends.

/// What Linux tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// One letter: R, S, D, Z and so on.
    pub state: u8,
    /// The number of its parent.
    pub parent: u32,
    /// Time on processors, in ticks, its own and the kernel's for it.
    pub cpu_ticks: u64,
    /// How many threads it has.
    pub threads: u64,
    /// When it began, in ticks since the machine did.
    pub started_ticks: u64,
    /// Memory that it holds, in pages.
    pub resident_pages: u64,
    /// How it ended, as wait(2) has it: of use where it has ended. 0 too where the reader may not know.
    pub wait_status: i32,
}

impl Stat {
    /// Reads it.
    pub fn read(text: &[u8]) -> Option<Self> {
        let end = memchr::memrchr(b')', text)?;
        let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // The manual counts from 1; the state is its third. What lies between is passed over.
        let mut at = 3;
        let mut field = |n: usize| fields.nth(n - std::mem::replace(&mut at, n) - 1);
        let number = |field: Option<&str>| field?.parse::<u64>().ok();
        Some(Self {
            state,
            parent: field(4)?.parse().ok()?,
            cpu_ticks: number(field(14))?.saturating_add(number(field(15))?),
            threads: number(field(20))?,
            started_ticks: number(field(22))?,
            resident_pages: number(field(24))?,
            wait_status: field(52).and_then(|n| n.parse().ok()).unwrap_or(0),
        })
    }

    /// Whether it has ended and only waits for its parent to notice. The first thread of a process may end before the
    /// others: then it is shown as a zombie, and lives.
    pub fn has_ended(&self) -> bool {
        match self.state {
            b'Z' => self.threads <= 1,
            state => matches!(state, b'X' | b'x'),
        }
    }
}
