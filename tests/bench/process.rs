//! Child processes: what they used, read from /proc, and how they end. Ends only what it started.

use std::fs;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::Stopwatch;

/// Time a process has to end after it was asked to, before it is killed.
const ENDING_MAX: Duration = Duration::from_secs(10);

/// What Linux calls a clock tick in /proc: a hundredth of a second on every machine it is built
/// for, whatever the kernel's own timer does.
const TICK_US: f64 = 10_000.0;

/// A process that was started here, with the children that it started itself.
#[derive(Debug)]
pub(crate) struct Processes {
    child: Child,
}

/// Resident memory in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) now_mib: f64,
    pub(crate) peak_mib: f64,
}

// === impl Processes ===

impl Processes {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    /// Whether it has ended, with its status as text.
    pub(crate) fn ended(&mut self) -> Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }

    /// User and system time of all its processes so far, in microseconds.
    pub(crate) fn cpu_us(&self) -> Result<f64> {
        let mut ticks = 0u64;
        for pid in self.pids()? {
            let stat = Stat::read(pid).with_context(|| format!("process {pid} has ended"))?;
            ticks = ticks.saturating_add(stat.ticks);
        }
        Ok(u32::try_from(ticks).map(f64::from)? * TICK_US)
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for pid in self.pids()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let mib = |field: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(field));
                let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
                kib.unwrap_or(0.0) / 1024.0
            };
            memory.now_mib += mib("VmRSS:");
            memory.peak_mib += mib("VmHWM:");
        }
        Ok(memory)
    }

    /// The process and its direct children, such as nginx's workers.
    fn pids(&self) -> Result<Vec<u32>> {
        let own = self.child.id();
        let mut pids = vec![own];
        for entry in fs::read_dir("/proc")?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            // A process that ends while the folder is read is none of ours.
            if let Some(stat) = pid.and_then(Stat::read).filter(|stat| stat.parent == own) {
                pids.push(stat.pid);
            }
        }
        Ok(pids)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.map(|pid| kill_process(pid, Signal::TERM));
        let watch = Stopwatch::start();
        while matches!(asked, Some(Ok(()))) && watch.elapsed() < ENDING_MAX {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Nothing is left to do about a process that can't even be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What /proc/<pid>/stat says.
struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

// === impl Stat ===

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; fields count from behind it.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let ticks = number(11)?.saturating_add(number(12)?);
        Some(Self { pid, parent: u32::try_from(number(1)?).ok()?, ticks })
    }
}
