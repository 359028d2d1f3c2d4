//! A disk in memory with the system's cache before it. It keeps only what was synced, and decides
//! by a seeded generator what of the rest survives a crash: any of the unsynced writes, in whatever
//! order the disk took them, whole or in pieces. It can be full, fail a write or a sync, and stop
//! at any step. After a failed sync, reading still shows what the disk never got.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::file::SimFile;
use crate::storage::{SegmentFile, Storage};

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The machine stops in the middle of the operation.
    Crash,
    /// A write ends in the middle: the disk is full, and stays so until there is space.
    Full,
    /// A write fails in the middle.
    Write,
    /// A sync fails, and the system forgets what it should have written.
    Sync,
    /// A read fails.
    Read,
}

impl Fault {
    pub(super) const ALL: [Self; 5] =
        [Self::Crash, Self::Full, Self::Write, Self::Sync, Self::Read];
}

/// What an operation does, by which a fault finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Sync,
    Read,
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    rng: StdRng,
    files: BTreeMap<String, SimFile>,
    /// Removed files whose removal is not safe yet.
    removed: BTreeMap<String, SimFile>,
    /// Operations until the fault.
    fault: Option<(u32, Fault)>,
    /// Operations so far.
    steps: u64,
    crashed: bool,
    full: bool,
    /// A write or sync has failed in this process: another one would be a retry.
    failed: bool,
    /// Processes so far: none may use a file of another's.
    process: u64,
    locked: bool,
}

struct Open {
    disk: SimDisk,
    name: String,
    process: u64,
}

struct Lock(SimDisk, u64);

// === impl SimDisk ===

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            rng: StdRng::seed_from_u64(seed),
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            fault: None,
            steps: 0,
            crashed: false,
            full: false,
            failed: false,
            process: 0,
            locked: false,
        })))
    }

    /// Another disk with the same content, which nobody has open.
    pub(super) fn copy(&self, seed: u64) -> Self {
        let files = self.0.lock().files.clone();
        let copy = Self::new(seed);
        copy.0.lock().files = files;
        copy
    }

    /// Goes wrong within the next `steps` operations.
    pub(super) fn plan(&self, steps: u32, fault: Fault) {
        self.0.lock().fault = Some((steps, fault));
    }

    /// Nothing more goes wrong.
    pub(super) fn calm(&self) {
        let mut disk = self.0.lock();
        disk.fault = None;
        disk.full = false;
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.lock().full
    }

    /// Somebody has freed some space.
    pub(super) fn free(&self) {
        self.0.lock().full = false;
    }

    /// Whether the machine has stopped.
    pub(super) fn is_down(&self) -> bool {
        self.0.lock().crashed
    }

    /// Operations so far.
    pub(super) fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// The machine stops and starts: unsynced writes survive wholly, partly, damaged or not.
    pub(super) fn reboot(&self) {
        let mut disk = self.0.lock();
        let Disk { rng, files, removed, .. } = &mut *disk;
        for (name, file) in std::mem::take(removed) {
            if rng.random_bool(0.5) {
                files.insert(name, file);
            }
        }
        files.retain(|_, file| {
            file.survive(rng);
            file.name_is_safe || rng.random_bool(0.5)
        });
        files.values_mut().for_each(|file| file.name_is_safe = true);
        disk.crashed = false;
        disk.fault = None;
        disk.next_process();
    }

    /// The process ends and another one starts; the system keeps what it has in its cache, and
    /// knows nothing of a sync that failed before.
    pub(super) fn next_process(&self) {
        self.0.lock().next_process();
    }

    /// Flips a bit somewhere in a file, which had better be noticed.
    pub(super) fn damage(&self, name: &str, offset: usize) {
        self.0.lock().files.get_mut(name).unwrap().flip(offset);
    }

    pub(super) fn cut(&self, name: &str, len: usize) {
        self.0.lock().files.get_mut(name).unwrap().cut_safely(len);
    }

    /// The machine stops and starts; of the file's unsynced writes only this one is lost, and
    /// reads as zeroes.
    pub(super) fn reboot_without(&self, name: &str, write: usize) {
        self.0.lock().files.get_mut(name).unwrap().lose(write);
        self.reboot();
    }

    /// The files and their sizes: safe, and as reading shows them.
    pub(super) fn describe(&self) -> String {
        let disk = self.0.lock();
        let lines = disk.files.iter().map(|(name, file)| format!("{name} {}", file.describe()));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().files.keys().cloned().collect()
    }

    /// Bytes of the file that no crash takes.
    pub(super) fn len(&self, name: &str) -> usize {
        self.0.lock().files[name].safe_len()
    }

    fn open(&self, name: &str, process: u64) -> Open {
        Open { disk: self.clone(), name: name.to_owned(), process }
    }
}

impl Disk {
    fn next_process(&mut self) {
        self.failed = false;
        self.locked = false;
        self.process += 1;
    }

    /// One operation; the fault that hits it.
    fn step(&mut self, kind: Kind) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(down());
        }
        self.steps += 1;
        if self.full && kind == Kind::Write {
            return Ok(Some(Fault::Full));
        }
        let Some((steps, fault)) = self.fault else { return Ok(None) };
        let hits = match fault {
            Fault::Crash => true,
            Fault::Full | Fault::Write => kind == Kind::Write,
            Fault::Sync => kind == Kind::Sync,
            Fault::Read => kind == Kind::Read,
        };
        if steps > 0 || !hits {
            self.fault = Some((steps.saturating_sub(1), fault));
            return Ok(None);
        }
        self.fault = None;
        self.crashed = fault == Fault::Crash;
        self.full |= fault == Fault::Full;
        Ok(Some(fault))
    }

    /// An operation that only a crash, or a fault of its kind, can hit.
    fn plain_step(&mut self, kind: Kind) -> io::Result<()> {
        match self.step(kind)? {
            Some(_) => Err(down()),
            None => Ok(()),
        }
    }

    /// A write of these bytes; how many of them are taken.
    fn write_step(&mut self, len: usize) -> io::Result<(usize, io::Result<()>)> {
        self.expect_no_retry();
        let fault = self.step(Kind::Write)?;
        let taken = if fault.is_some() { self.rng.random_range(0..=len) } else { len };
        let result = match fault {
            None => Ok(()),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => {
                self.failed = true;
                Err(io::Error::other("could not write"))
            }
        };
        Ok((taken, result))
    }

    fn sync_step(&mut self) -> io::Result<bool> {
        self.expect_no_retry();
        let failed = self.step(Kind::Sync)?.is_some();
        self.failed |= failed;
        Ok(!failed)
    }

    fn expect_no_retry(&self) {
        assert!(!self.failed, "a failed write or sync was followed by another");
    }

    fn file(&mut self, name: &str) -> io::Result<&mut SimFile> {
        self.files.get_mut(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// The file's unsynced changes reach the disk, all of them or by chance.
    fn sync_file(&mut self, name: &str, all: bool) -> io::Result<()> {
        let Self { files, rng, .. } = self;
        let file = files.get_mut(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if all {
            file.sync();
            return Ok(());
        }
        file.fail_to_sync(rng);
        Err(io::Error::other("could not sync"))
    }
}

fn down() -> io::Error {
    io::Error::other("the machine is down")
}

impl Storage for SimDisk {
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut disk = self.0.lock();
        disk.plain_step(Kind::Other)?;
        if disk.locked {
            return Ok(None);
        }
        disk.locked = true;
        Ok(Some(Box::new(Lock(self.clone(), disk.process))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.0.lock();
        disk.plain_step(Kind::Read)?;
        Ok(disk.files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut disk = self.0.lock();
        disk.plain_step(Kind::Read)?;
        Ok(disk.file(name)?.shown().to_vec())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let mut disk = self.0.lock();
        let (taken, made) = disk.write_step(1)?;
        // A full disk may still have room for a name.
        if taken == 0 {
            made?;
        }
        disk.failed = false;
        let before = disk.files.insert(name.to_owned(), SimFile::default());
        assert!(before.is_none(), "{name} was there already");
        let process = disk.process;
        Ok(Box::new(self.open(name, process)))
    }

    fn append_to(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut disk = self.0.lock();
        disk.plain_step(Kind::Other)?;
        let process = disk.process;
        let len = usize::try_from(len).unwrap();
        let file = disk.file(name)?;
        if file.shown().len() != len {
            file.cut(len);
        }
        Ok(Box::new(self.open(name, process)))
    }

    fn rewrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock();
        let (taken, written) = disk.write_step(bytes.len())?;
        let offset = usize::try_from(offset).unwrap();
        let file = disk.file(name)?;
        assert_eq!(&file.shown()[offset..offset + bytes.len()], bytes, "not the same bytes");
        file.write(offset, &bytes[..taken]);
        written?;
        let all = disk.sync_step()?;
        disk.sync_file(name, all)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.plain_step(Kind::Other)?;
        if let Some(file) = disk.files.remove(name) {
            disk.removed.insert(name.to_owned(), file);
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        if !disk.sync_step()? {
            return Err(io::Error::other("could not sync the folder"));
        }
        disk.removed.clear();
        disk.files.values_mut().for_each(|file| file.name_is_safe = true);
        Ok(())
    }
}

impl Open {
    fn disk(&self) -> parking_lot::MutexGuard<'_, Disk> {
        let disk = self.disk.0.lock();
        assert_eq!(self.process, disk.process, "another process's file was used");
        disk
    }
}

impl SegmentFile for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let (taken, written) = disk.write_step(bytes.len())?;
        let file = disk.file(&self.name)?;
        file.write(file.shown().len(), &bytes[..taken]);
        written
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.plain_step(Kind::Other)?;
        disk.file(&self.name)?.cut(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        let all = disk.sync_step()?;
        disk.sync_file(&self.name, all)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut disk = self.0.0.lock();
        if disk.process == self.1 {
            disk.locked = false;
        }
    }
}
