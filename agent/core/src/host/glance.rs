//! What a host shows at one moment.
//!
//! Owns the words that every system is put into. What a system does not tell is absent, and never zero.

/// The most file systems, interfaces and sensors that are counted, each.
pub const MAX_PARTS: usize = 256;

/// What can be read without waiting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glance {
    /// What processors have spent their time with since the start, by mode, in any one unit.
    pub cpu: Vec<(&'static str, u64)>,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Time in which work stood still for want of something, by resource.
    pub pressure: Vec<(&'static str, Pressure)>,
    /// Network interfaces.
    pub network: Vec<Interface>,
    /// Files that are open in the whole system.
    pub descriptors: Option<u64>,
}

/// Memory and swap, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What programs could still have without swapping.
    pub available: u64,
    /// All swap there is; 0 if there is none.
    pub swap_total: u64,
    /// Of it, what is free.
    pub swap_free: u64,
}

/// Time in which work stood still since the start, in microseconds (Linux's pressure stall information).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// At least one task did.
    pub some: Option<u64>,
    /// All tasks did.
    pub full: Option<u64>,
}

/// What went through a network interface since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Received and sent.
    pub bytes: [u64; 2],
    /// Received and sent badly.
    pub errors: [u64; 2],
    /// Not taken in and not let out, where that is told.
    pub drops: Option<[u64; 2]>,
}

/// How full a file system is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Where it is mounted.
    pub mount: String,
    /// All bytes.
    pub bytes: u64,
    /// Of them, those that nobody has.
    pub bytes_free: u64,
    /// Of these, those that programs without privileges may have.
    pub bytes_available: u64,
    /// All inodes; 0 if the file system makes them as they are needed, or does not tell.
    pub inodes: u64,
    /// Of them, those that are free.
    pub inodes_free: u64,
}

/// How warm something is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// What.
    pub name: String,
    /// In degrees Celsius.
    pub celsius: f64,
}
